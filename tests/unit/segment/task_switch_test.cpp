#include "monitor/segment/task_switch.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "machine.hpp"
#include "monitor/interrupts.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
using test::same;
namespace access = test::access;

constexpr std::uint32_t next = 0x5007, new_tss = 0x6000;
constexpr std::uint16_t new_task = Machine::scratch, new_ldt = 0x60;

Exception gp(std::uint32_t code) { return Exception::general_protection(code); }
Exception ts(std::uint32_t code) { return Exception::with_code(Vector::invalid_tss, code); }
Exception np(std::uint32_t code) { return Exception::with_code(Vector::segment_not_present, code); }

// A machine with a second, 32-bit task that runs at CPL 3 with every register distinct.
struct TwoTasks : Machine {
  TwoTasks() {
    set(new_task, Descriptor::segment(new_tss, 0x67, 0x89));
    set(new_ldt, Descriptor::segment(0x3800, 0xf, 0x82));
    memory.put64(0x3800, flat(access::dpl(access::data, 3)).raw());
    field(0x1c, 0x00400000);
    field(0x20, 0x7000);
    field(0x24, 0x202);
    for (unsigned i = 0; i < 8; ++i) field(0x28 + 4 * i, 0x100 + i);
    field(0x38, user_stack);                                                       // ESP
    constexpr std::uint16_t selectors[] = {7, code_3, data_3, data_3, 0, data_3};  // ES in the LDT
    for (unsigned i = 0; i < 6; ++i) field(0x48 + 4 * i, selectors[i]);
    field(0x60, new_ldt);
    for (unsigned i = 0; i < 8; ++i) vcpu.general[i] = 0x200 + i;
    vcpu[Register::esp] = kernel_stack;
    vcpu.cr0 |= cr0::paging;
    vcpu.dr7 = 0x755;
  }
  void field(std::uint32_t offset, std::uint32_t value) { memory.put32(new_tss + offset, value); }
  Guarded<Transfer> run(TaskSwitchKind kind, const TaskSwitchEvent& event = {}) {
    return task_switch(vcpu, memory, environment, new_task, kind, next, event);
  }
  bool busy(std::uint16_t selector) const { return get(selector).is_busy_tss(); }
};

TEST(TaskSwitch, LoadsTheNewTask) {
  TwoTasks machine;
  const auto result = machine.run(TaskSwitchKind::jump);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result.value().task_trap);
  const Vcpu& vcpu = machine.vcpu;
  EXPECT_EQ(vcpu.eip, 0x7000u);
  EXPECT_EQ(vcpu.eflags, 0x202u);
  EXPECT_EQ(vcpu.cpl, 3);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(vcpu.general[i], i == 4 ? Machine::user_stack : 0x100 + i);
  }
  EXPECT_EQ(vcpu[Segment::cs], machine.get(Machine::code_3).cache(Machine::code_3));
  EXPECT_EQ(vcpu[Segment::ss], machine.get(Machine::data_3).cache(Machine::data_3));
  EXPECT_EQ(vcpu[Segment::es], flat(access::dpl(access::data, 3)).cache(7));
  EXPECT_EQ(vcpu[Segment::fs], null_cache(0));
  EXPECT_EQ(vcpu.ldtr, machine.get(new_ldt).cache(new_ldt));
  EXPECT_EQ(vcpu.tr, machine.get(new_task).cache(new_task));
  EXPECT_TRUE(vcpu.cr0 & cr0::task_switched);
  EXPECT_EQ(vcpu.cr3, 0x00400000u);
  EXPECT_EQ(vcpu.dr7, 0x600u);
  EXPECT_EQ(machine.environment.root, 0x00400000u);
  EXPECT_EQ(machine.environment.tables, 1u);
  EXPECT_EQ(machine.environment.fpu_controls, 1u);
  EXPECT_EQ(machine.environment.debug_changes, 1u);
}

TEST(TaskSwitch, SavesTheOldTask) {
  TwoTasks machine;
  const Vcpu before = machine.vcpu;
  ASSERT_TRUE(machine.run(TaskSwitchKind::jump).ok());
  const auto old = [&](std::uint32_t offset) {
    return machine.memory.get32(Machine::tss + offset);
  };
  EXPECT_EQ(old(0x20), next);
  EXPECT_EQ(old(0x24), before.eflags);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(old(0x28 + 4 * i), before.general[i]);
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(old(0x48 + 4 * i), before.segments[i].selector);
}

// Busy bits, NT and back link by kind: SDM volume 3, table 7-2.
TEST(TaskSwitch, Nesting) {
  struct Case {
    TaskSwitchKind kind;
    bool old_busy, new_nested, linked;
  };
  for (const Case& c : {Case{TaskSwitchKind::jump, false, false, false},
                        Case{TaskSwitchKind::call, true, true, true},
                        Case{TaskSwitchKind::interrupt, true, true, true},
                        Case{TaskSwitchKind::interrupt_return, false, false, false}}) {
    TwoTasks machine;
    machine.memory.put16(new_tss, 0xabcd);
    machine.vcpu.eflags |= eflags::nested_task;
    const bool returning = c.kind == TaskSwitchKind::interrupt_return;
    if (returning) machine.set(new_task, machine.get(new_task).with_busy(true));
    ASSERT_TRUE(machine.run(c.kind).ok());
    EXPECT_EQ(machine.busy(Machine::tss_selector), c.old_busy);
    EXPECT_TRUE(machine.busy(new_task));
    EXPECT_EQ((machine.vcpu.eflags & eflags::nested_task) != 0, c.new_nested);
    EXPECT_EQ(machine.memory.get16(new_tss), c.linked ? Machine::tss_selector : 0xabcd);
    EXPECT_EQ((machine.memory.get32(Machine::tss + 0x24) & eflags::nested_task) != 0, !returning);
  }
}

TEST(TaskSwitch, ThereAndBackByCallAndIret) {
  TwoTasks machine;
  machine.vcpu.dr7 = 0x400;
  const Vcpu before = machine.vcpu;
  ASSERT_TRUE(
      far_call(machine.vcpu, machine.memory, machine.environment, {new_task, 0}, 4, next).ok());
  machine.memory.put32(Machine::tss + 0x60, Machine::ldt_selector);
  ASSERT_TRUE(interrupt_return(machine.vcpu, machine.memory, machine.environment, 4, 0x7001).ok());
  Vcpu expected = before;
  expected.eip = next;
  expected.cr0 |= cr0::task_switched;
  EXPECT_TRUE(same(machine.vcpu, expected));
  EXPECT_EQ(machine.memory.get32(new_tss + 0x20), 0x7001u);
  EXPECT_FALSE(machine.busy(new_task));
}

TEST(TaskSwitch, BusyBitIsTheOnlyChangeInTheDescriptors) {
  TwoTasks machine;
  const Descriptor old_task = machine.get(Machine::tss_selector), task = machine.get(new_task);
  ASSERT_TRUE(machine.run(TaskSwitchKind::jump).ok());
  EXPECT_EQ(machine.get(Machine::tss_selector), old_task.with_busy(false));
  EXPECT_EQ(machine.get(new_task), task.with_busy(true));
}

// From CPL 3 both TSSs and the tables are accessed as supervisor, and no more than the dynamic
// fields of the old TSS need be writable.
TEST(TaskSwitch, AccessesAreTheSupervisorsAndNoWiderThanNeeded) {
  TwoTasks machine;
  machine.at_level(3);
  machine.vcpu.tr.base = 0x5000 - 0x60;
  machine.memory.page(0x5000).writable = false;
  for (const std::uint32_t page : {Machine::gdt, Machine::tss, new_tss, Machine::ldt}) {
    machine.memory.page(page).user = false;
  }
  EXPECT_TRUE(machine.run(TaskSwitchKind::jump).ok());
}

// The reserved halves beside selectors and back link keep what stands there.
TEST(TaskSwitch, SelectorsAreWrittenAsSixteenBits) {
  TwoTasks machine;
  machine.field(0, 0xabcdabcd);
  machine.memory.put32(Machine::tss + 0x48, 0xabcdabcd);
  ASSERT_TRUE(machine.run(TaskSwitchKind::call).ok());
  EXPECT_EQ(machine.memory.get32(new_tss), 0xabcd0000u | Machine::tss_selector);
  EXPECT_EQ(machine.memory.get32(Machine::tss + 0x48), 0xabcd0000u | Machine::data_0);
}

// The old task's descriptor may lie on another page than the new one's.
TEST(TaskSwitch, OldDescriptorIsProbedToo) {
  TwoTasks machine;
  const std::uint32_t base = 0xd000 - Machine::tss_selector - 8;
  for (std::uint32_t i = 0; i < 0x100; ++i) {
    machine.memory.put8(base + i, machine.memory.get8(Machine::gdt + i));
  }
  machine.vcpu.gdtr.base = GuestLinear(base);
  machine.memory.page(0xcfff).writable = false;
  const Vcpu before = machine.vcpu;
  EXPECT_EQ(machine.run(TaskSwitchKind::jump).error(),
            Exception::page_fault(GuestLinear(base + Machine::tss_selector + 5), 3));
  EXPECT_TRUE(same(machine.vcpu, before));
  EXPECT_EQ(machine.memory.writes, 0u);
  EXPECT_TRUE(machine.run(TaskSwitchKind::call).ok());  // leaves the old task busy
}

TEST(TaskSwitch, TrapBitIsReported) {
  TwoTasks machine;
  machine.field(0x64, 1);
  EXPECT_TRUE(machine.run(TaskSwitchKind::jump).value().task_trap);
}

TEST(TaskSwitch, RootIsLoadedOnlyWithPaging) {
  TwoTasks machine;
  machine.vcpu.cr0 &= ~cr0::paging;
  ASSERT_TRUE(machine.run(TaskSwitchKind::jump).ok());
  EXPECT_EQ(machine.environment.roots, 0u);
  EXPECT_EQ(machine.vcpu.cr3, 0u);
}

TEST(TaskSwitch, PagePointersAreLatchedWithPaePaging) {
  TwoTasks machine;
  constexpr std::array<std::uint64_t, 4> some{0x1001, 0, 0x2001, 0};
  machine.vcpu.cr4 |= cr4::physical_address_extension;
  machine.environment.pointers = some;
  ASSERT_TRUE(machine.run(TaskSwitchKind::jump).ok());
  EXPECT_EQ(machine.vcpu.cr3, 0x00400000u);
  EXPECT_EQ(machine.vcpu.pdptes, some);
  TwoTasks reserved;
  reserved.vcpu.cr4 |= cr4::physical_address_extension;
  const auto result = reserved.run(TaskSwitchKind::jump);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Exception::with_code(Vector::invalid_tss, new_task));
  EXPECT_EQ(reserved.vcpu.cr3, 0u);
  EXPECT_EQ(reserved.vcpu.tr.selector, new_task) << "in the new task";
}

TEST(TaskSwitch, IntoVirtual8086Mode) {
  TwoTasks machine;
  machine.field(0x24, eflags::virtual_8086 | 0x202);
  machine.field(0x4c, 0x1234);
  ASSERT_TRUE(machine.run(TaskSwitchKind::jump).ok());
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x1234, 0xf3, 0x12340, 0xffff, true}));
}

struct Refusal {
  const char* name;
  std::function<void(TwoTasks&)> put;
  Exception expected;
};

TEST(TaskSwitch, RefusalsBeforeTheCommitPointChangeNothing) {
  const Refusal refusals[] = {
      {"busy", [](TwoTasks& m) { m.set(new_task, m.get(new_task).with_busy(true)); }, gp(new_task)},
      {"no TSS", [](TwoTasks& m) { m.set(new_task, m.get(new_ldt)); }, gp(new_task)},
      {"absent", [](TwoTasks& m) { m.set(new_task, Descriptor::segment(new_tss, 0x67, 0x09)); },
       np(new_task)},
      {"short", [](TwoTasks& m) { m.set(new_task, Descriptor::segment(new_tss, 0x66, 0x89)); },
       ts(new_task)},
      {"beyond table", [](TwoTasks& m) { m.vcpu.gdtr.limit = new_task + 6; }, gp(new_task)},
      {"old TSS short", [](TwoTasks& m) { m.vcpu.tr.limit = 0x66; }, ts(Machine::tss_selector)},
      {"no old TSS", [](TwoTasks& m) { m.vcpu.tr = null_cache(0); }, ts(0)},
      {"old TSS read-only", [](TwoTasks& m) { m.memory.page(Machine::tss).writable = false; },
       Exception::page_fault(GuestLinear(Machine::tss + 0x20), 3)},
      {"new TSS not mapped", [](TwoTasks& m) { m.memory.page(new_tss).present = false; },
       Exception::page_fault(GuestLinear(new_tss), 2)},
      {"GDT read-only", [](TwoTasks& m) { m.memory.page(Machine::gdt).writable = false; },
       Exception::page_fault(GuestLinear(Machine::gdt + new_task + 5), 3)},
  };
  for (const Refusal& refusal : refusals) {
    TwoTasks machine;
    refusal.put(machine);
    const Vcpu before = machine.vcpu;
    const unsigned writes = machine.memory.writes;
    EXPECT_EQ(machine.run(TaskSwitchKind::call).error(), refusal.expected) << refusal.name;
    EXPECT_TRUE(same(machine.vcpu, before)) << refusal.name;
    EXPECT_EQ(machine.memory.writes, writes) << refusal.name;
  }
}

TEST(TaskSwitch, IretReportsInvalidTss) {
  TwoTasks machine;
  EXPECT_EQ(machine.run(TaskSwitchKind::interrupt_return).error(), ts(new_task));  // not busy
  machine.vcpu.eflags |= eflags::nested_task;
  for (const std::uint16_t link : {0x0004, 0x0100, 0x0000}) {
    machine.memory.put16(Machine::tss, link);
    EXPECT_EQ(interrupt_return(machine.vcpu, machine.memory, machine.environment, 4, next).error(),
              ts(link & ~3u));
  }
}

// SDM volume 3, table 7-1: these happen in the new task.
TEST(TaskSwitch, RefusalsInTheNewTask) {
  constexpr std::uint16_t other = Machine::scratch_2;
  const auto field = [](std::uint32_t offset, std::uint32_t value, Descriptor d = {}) {
    return [=](TwoTasks& m) {
      m.set(other, d);
      m.field(offset, value);
    };
  };
  const Descriptor user_code = flat(access::dpl(access::code, 3));
  const Refusal refusals[] = {
      {"LDT in LDT", field(0x60, 0x0c), ts(0x0c)},
      {"LDT beyond table", field(0x60, 0x100), ts(0x100)},
      {"LDT type", field(0x60, Machine::data_0), ts(Machine::data_0)},
      {"LDT absent", field(0x60, other, Descriptor::segment(0, 7, 0x02)), ts(other)},
      {"CS null", field(0x4c, 3), ts(0)},
      {"CS type", field(0x4c, Machine::data_3), ts(Machine::data_3 & ~3)},
      {"CS DPL", field(0x4c, other | 2, user_code), ts(other)},
      {"CS absent", field(0x4c, other | 3, flat(access::dpl(access::absent(access::code), 3))),
       np(other)},
      {"SS null", field(0x50, 0), ts(0)},
      {"SS level", field(0x50, Machine::data_0), ts(Machine::data_0)},
      {"SS absent", field(0x50, other | 3, flat(access::dpl(access::absent(access::data), 3))),
       Exception::stack_fault(other)},
      {"DS level", field(0x54, Machine::data_0), ts(Machine::data_0)},
      {"GS type", field(0x5c, Machine::tss_selector | 3), ts(Machine::tss_selector)},
      {"FS absent", field(0x58, other | 3, flat(access::dpl(access::absent(access::data), 3))),
       np(other)},
      {"EIP", field(0x4c, other | 3, Descriptor::segment(0, 0x6fff, access::dpl(access::code, 3))),
       gp(0)},
  };
  for (const Refusal& refusal : refusals) {
    TwoTasks machine;
    refusal.put(machine);
    EXPECT_EQ(machine.run(TaskSwitchKind::jump).error(), refusal.expected) << refusal.name;
    EXPECT_EQ(machine.vcpu.tr.selector, new_task) << refusal.name;
    EXPECT_EQ(machine.vcpu.eip, 0x7000u) << refusal.name;
    EXPECT_FALSE(machine.busy(Machine::tss_selector)) << refusal.name;
  }
}

TEST(TaskSwitch, SixteenBitTask) {
  TwoTasks machine;
  machine.set(new_task, Descriptor::segment(new_tss, 0x2b, 0x81));
  const std::uint16_t words[] = {0,
                                 0,
                                 0,
                                 0,
                                 0,
                                 0,
                                 0,  // link and stacks
                                 0x7000,
                                 0x202,
                                 0x11,
                                 0x12,
                                 0x13,
                                 0x14,
                                 0x9000,
                                 0x16,
                                 0x17,
                                 0x18,
                                 Machine::data_3,
                                 Machine::code_3,
                                 Machine::data_3,
                                 Machine::data_3,
                                 0};
  for (unsigned i = 0; i < 22; ++i) machine.memory.put16(new_tss + 2 * i, words[i]);
  ASSERT_TRUE(machine.run(TaskSwitchKind::call).ok());
  EXPECT_EQ(machine.vcpu.eip, 0x7000u);
  EXPECT_EQ(machine.vcpu.eflags, 0x202 | eflags::nested_task);
  EXPECT_EQ(machine.vcpu[Register::eax] & 0xffff, 0x11u);
  EXPECT_EQ(machine.vcpu[Register::edi] & 0xffff, 0x18u);
  EXPECT_EQ(machine.vcpu[Register::esp] & 0xffff, 0x9000u);
  EXPECT_EQ(machine.vcpu[Segment::ds].selector, Machine::data_3);
  EXPECT_FALSE(machine.vcpu[Segment::fs].usable);
  EXPECT_FALSE(machine.vcpu.ldtr.usable);
  EXPECT_EQ(machine.environment.roots, 0u);
  EXPECT_EQ(machine.memory.get16(new_tss), Machine::tss_selector);
}

TEST(TaskSwitch, ExceptionThroughATaskGate) {
  TwoTasks machine;
  machine.vcpu.idtr.limit = 0x7ff;
  machine.set_gate(13, Descriptor::gate(SystemType::task_gate, 0, new_task, 0));
  const Delivery delivery = deliver(machine.vcpu, machine.memory, machine.environment,
                                    Event::of(Exception::general_protection(0x1234)));
  EXPECT_EQ(delivery.faults, 0);
  EXPECT_EQ(machine.vcpu.tr.selector, new_task);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::user_stack - 4);
  EXPECT_EQ(machine.stacked(0), 0x1234u);
  EXPECT_EQ(machine.memory.get32(Machine::tss + 0x20), 0x5000u);
  EXPECT_TRUE(machine.memory.get32(Machine::tss + 0x24) & eflags::resume);
}

TEST(TaskSwitch, TaskGateFaultsCarryTheExternalBit) {
  TwoTasks machine;
  machine.set(new_task, machine.get(new_task).with_busy(true));
  machine.set_gate(0x40, Descriptor::gate(SystemType::task_gate, 0, new_task, 0));
  const Delivery delivery =
      deliver(machine.vcpu, machine.memory, machine.environment, Event::external(0x40));
  EXPECT_EQ(delivery.chain[0], gp(new_task | 1));
}

TEST(InnerStack, ByLevelAndWidth) {
  Machine machine;
  for (unsigned level = 0; level < 3; ++level) {
    machine.set_inner_stack(level, static_cast<std::uint16_t>(0x10 * level), 0x1000 * level);
    const auto stack = inner_stack(machine.vcpu, machine.memory, level);
    EXPECT_EQ(stack.value().ss, 0x10 * level);
    EXPECT_EQ(stack.value().esp, 0x1000 * level);
    machine.vcpu.tr.limit = 4 + 8 * level + 5;
    EXPECT_TRUE(inner_stack(machine.vcpu, machine.memory, level).ok());
    machine.vcpu.tr.limit -= 1;
    EXPECT_EQ(inner_stack(machine.vcpu, machine.memory, level).error(), ts(Machine::tss_selector));
    machine.vcpu.tr.limit = 0x67;
  }
  machine.vcpu.tr.attributes = 0x83;
  machine.memory.put32(Machine::tss + 2 + 4, 0xabcd1234);
  EXPECT_EQ(inner_stack(machine.vcpu, machine.memory, 1).value().ss, 0xabcd);
  EXPECT_EQ(inner_stack(machine.vcpu, machine.memory, 1).value().esp, 0x1234u);
}

}  // namespace
}  // namespace undercroft
