#include "monitor/interrupts.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/segment/machine.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
using test::same;
namespace access = test::access;

constexpr std::uint8_t vector = 0x40;
constexpr std::uint32_t handler = 0x7000;

Descriptor interrupt_gate(unsigned dpl = 0, std::uint16_t target = Machine::code_0,
                          std::uint32_t offset = handler) {
  return Descriptor::gate(SystemType::interrupt_gate_32, dpl, target, offset);
}
Descriptor trap_gate(unsigned dpl = 0, std::uint16_t target = Machine::code_0) {
  return Descriptor::gate(SystemType::trap_gate_32, dpl, target, handler);
}
Delivery deliver(Machine& machine, Event event) {
  return undercroft::deliver(machine.vcpu, machine.memory, machine.environment, event);
}
Exception gp(std::uint32_t code) { return Exception::general_protection(code); }
Exception np(std::uint32_t code) { return Exception::with_code(Vector::segment_not_present, code); }
Exception ts(std::uint32_t code) { return Exception::with_code(Vector::invalid_tss, code); }
Exception ss(std::uint32_t code) { return Exception::stack_fault(code); }

// SDM volume 3, table 6-5, and "shutdown" in 6.15.
TEST(Combine, DoubleFaultTable) {
  using C = Combination;
  using F = FaultClass;
  const F second[] = {F::benign, F::contributory, F::page_fault};
  const C table[4][3] = {
      {C::serial, C::serial, C::serial},
      {C::serial, C::double_fault, C::serial},
      {C::serial, C::double_fault, C::double_fault},
      {C::serial, C::triple_fault, C::triple_fault},
  };
  const F first[] = {F::benign, F::contributory, F::page_fault, F::double_fault};
  for (unsigned i = 0; i < 4; ++i) {
    for (unsigned j = 0; j < 3; ++j) EXPECT_EQ(combine(first[i], second[j]), table[i][j]);
  }
}

TEST(Combine, ClassesOfVectors) {
  for (unsigned v = 0; v < 20; ++v) {
    const bool contributory = v == 0 || (v >= 10 && v <= 13);
    const FaultClass expected = v == 8         ? FaultClass::double_fault
                                : v == 14      ? FaultClass::page_fault
                                : contributory ? FaultClass::contributory
                                               : FaultClass::benign;
    EXPECT_EQ(fault_class(static_cast<Vector>(v)), expected) << v;
  }
}

TEST(Deliver, InterruptAtTheSameLevel) {
  Machine machine;
  machine.set_gate(vector, interrupt_gate());
  machine.vcpu.eflags |= eflags::interrupt | eflags::trap | eflags::nested_task | eflags::carry;
  machine.vcpu.halted = true;
  machine.vcpu.interrupt_shadow = InterruptShadow::sti;
  const std::uint32_t flags = machine.vcpu.eflags;
  EXPECT_EQ(deliver(machine, Event::external(vector)).faults, 0);
  EXPECT_EQ(machine.vcpu.eip, handler);
  EXPECT_EQ(machine.vcpu.eflags, eflags::always_one | eflags::carry);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 12);
  EXPECT_EQ(machine.stacked(0), 0x5000u);
  EXPECT_EQ(machine.stacked(1), Machine::code_0);
  EXPECT_EQ(machine.stacked(2), flags);
  EXPECT_FALSE(machine.vcpu.halted);
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::none);
}

// A handler of ring 3 runs on the program's own stack, with the program's alignment checks (SDM
// volume 2, INT n: #AC(EXT)).
TEST(Deliver, AlignmentAtTheSameLevel) {
  for (const Event event : {Event::external(vector), Event::software_interrupt(vector, 0x5002)}) {
    Machine machine;
    machine.at_level(3);
    machine.set_gate(vector, interrupt_gate(3, Machine::code_3));
    machine.set_gate(17, interrupt_gate());
    machine.vcpu.cr0 |= cr0::alignment_mask;
    machine.vcpu.eflags |= eflags::alignment_check;
    machine.vcpu[Register::esp] += 2;
    const Delivery delivery = deliver(machine, event);
    ASSERT_EQ(delivery.faults, 1);
    EXPECT_EQ(delivery.chain[0].vector, Vector::alignment_check);
    EXPECT_EQ(delivery.chain[0].error_code, event.kind == Event::Kind::external ? 1u : 0u);
    EXPECT_EQ(machine.vcpu.cpl, 0);
  }
}

TEST(Deliver, InterruptFromUserSwitchesStacks) {
  Machine machine;
  machine.at_level(3);
  machine.vcpu[Segment::gs] = null_cache(0);
  const Vcpu before = machine.vcpu;
  machine.set_gate(vector, interrupt_gate());
  EXPECT_EQ(deliver(machine, Event::external(vector)).faults, 0);
  EXPECT_EQ(machine.vcpu.cpl, 0);
  EXPECT_EQ(machine.vcpu[Segment::cs].selector, Machine::code_0);
  EXPECT_EQ(machine.vcpu[Segment::ss], machine.get(Machine::data_0).cache(Machine::data_0));
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 20);
  EXPECT_EQ(machine.stacked(0), before.eip);
  EXPECT_EQ(machine.stacked(1), Machine::code_3);
  EXPECT_EQ(machine.stacked(2), before.eflags);
  EXPECT_EQ(machine.stacked(3), Machine::user_stack);
  EXPECT_EQ(machine.stacked(4), Machine::data_3);
  EXPECT_EQ(machine.vcpu[Segment::ds], before[Segment::ds]);  // data registers stay
}

TEST(Deliver, TrapGateLeavesInterruptsEnabled) {
  Machine machine;
  machine.vcpu.eflags |= eflags::interrupt;
  machine.set_gate(vector, trap_gate());
  deliver(machine, Event::external(vector));
  EXPECT_TRUE(machine.vcpu.interrupts_enabled());
}

TEST(Deliver, ErrorCodeAndPageFaultAddress) {
  Machine machine;
  machine.set_gate(14, interrupt_gate());
  deliver(machine, Event::of(Exception::page_fault(GuestLinear(0xdeadbeef), 6)));
  EXPECT_EQ(machine.vcpu.cr2, 0xdeadbeefu);
  EXPECT_EQ(machine.stacked(0), 6u);
  EXPECT_EQ(machine.stacked(1), 0x5000u);
  EXPECT_EQ(machine.stacked(3), eflags::always_one | eflags::resume);
}

// SDM volume 3, 17.3.1.1: faults but #DB push RF = 1, the rest what it is.
TEST(Deliver, ResumeFlagPushed) {
  for (unsigned v = 0; v < 20; ++v) {
    if (v == 9 || v == 15) continue;
    Machine machine;
    machine.set_gate(v, interrupt_gate());
    deliver(machine, Event::of(Exception::without_code(static_cast<Vector>(v))));
    // #DB without bits of DR6 is general detect, a fault.
    const bool trap_or_abort = (v >= 2 && v <= 4) || v == 8 || v == 18;
    EXPECT_EQ((machine.stacked(2) & eflags::resume) != 0, !trap_or_abort) << v;
    EXPECT_FALSE(machine.vcpu.eflags & eflags::resume);
  }
  for (const Event event : {Event::external(vector), Event::software_interrupt(vector, 0),
                            Event::debug(1u << 14), Event::debug(1)}) {
    Machine machine;
    machine.set_gate(event.vector, interrupt_gate());
    deliver(machine, event);
    EXPECT_FALSE(machine.stacked(2) & eflags::resume);
  }
}

// What comes between two instructions, or iterations of one, keeps RF; INT n and its kin have
// cleared it when they begin.
TEST(Deliver, ResumeFlagOfTheInterruptedProgram) {
  struct Case {
    Event event;
    bool pushed;
  };
  for (const Case& c :
       {Case{Event::external(vector), true}, Case{Event::nonmaskable(), true},
        Case{Event::debug(1u << 14), true}, Case{Event::software_interrupt(vector, 0), false},
        Case{Event::breakpoint(0), false}, Case{Event::overflow(0), false},
        Case{Event::icebp(0), false}}) {
    Machine machine;
    machine.set_gate(c.event.vector, interrupt_gate());
    machine.vcpu.eflags |= eflags::resume;
    deliver(machine, c.event);
    EXPECT_EQ((machine.stacked(2) & eflags::resume) != 0, c.pushed) << int(c.event.vector);
    EXPECT_FALSE(machine.vcpu.eflags & eflags::resume);
  }
}

TEST(Deliver, AnNmiHoldsTheNextOneBack) {
  Machine machine;
  machine.set_gate(2, interrupt_gate());
  machine.set_gate(0x20, interrupt_gate());
  deliver(machine, Event::external(0x20));
  EXPECT_FALSE(machine.vcpu.nmi_blocked);
  deliver(machine, Event::nonmaskable());
  EXPECT_TRUE(machine.vcpu.nmi_blocked);
  deliver(machine, Event::external(0x20));
  EXPECT_TRUE(machine.vcpu.nmi_blocked) << "until IRET";
}

// What no machine of the tests can raise: #MC and the coprocessor's segment overrun have no error
// code, and a fault on the way to their handlers is delivered by itself (SDM volume 3, table 6-4).
TEST(Deliver, MachineCheckAndSegmentOverrun) {
  for (const Vector raised : {Vector::machine_check, Vector::coprocessor_overrun}) {
    const auto number = static_cast<unsigned>(raised);
    for (unsigned cpl : {0u, 3u}) {
      Machine machine;
      machine.at_level(cpl);
      machine.vcpu.eflags |= eflags::interrupt;
      machine.set_gate(number, interrupt_gate());
      EXPECT_EQ(deliver(machine, Event::of(Exception::without_code(raised))).faults, 0);
      EXPECT_EQ(machine.stacked(0), 0x5000u);
      EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - (cpl == 0 ? 12 : 20));
      EXPECT_FALSE(machine.vcpu.interrupts_enabled());
    }
    Machine machine;
    machine.set_gate(number, Descriptor());
    machine.set_gate(13, interrupt_gate());
    const Delivery delivery = deliver(machine, Event::of(Exception::without_code(raised)));
    EXPECT_EQ(delivery.outcome, Delivery::Outcome::delivered);
    EXPECT_EQ(delivery.chain[0], gp(number * 8 + 3));
  }
}

TEST(Deliver, DebugExceptionSetsItsRegisters) {
  Machine machine;
  machine.vcpu.dr7 = 0x2400;
  machine.set_gate(1, interrupt_gate());
  deliver(machine, Event::debug(1u << 14));
  EXPECT_EQ(machine.vcpu.dr6, 0xffff4ff0u);
  EXPECT_EQ(machine.vcpu.dr7, 0x400u);
  EXPECT_EQ(machine.environment.debug_changes, 1u);
}

TEST(Deliver, SoftwareInterruptReturnsToTheNextInstruction) {
  Machine machine;
  machine.at_level(3);
  machine.set_gate(0x80, trap_gate(3));
  EXPECT_EQ(deliver(machine, Event::software_interrupt(0x80, 0x5002)).faults, 0);
  EXPECT_EQ(machine.stacked(0), 0x5002u);
}

// Gate type, for every event kind: SDM volume 2, INT n.
TEST(Deliver, GateTypes) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    const unsigned type = access_byte & 0x1f, dpl = access_byte >> 5 & 3;
    if (type == 5) continue;  // task gates: task_switch_test
    for (unsigned cpl : {0u, 1u, 3u}) {
      for (const Event event :
           {Event::software_interrupt(vector, 0x5002), Event::external(vector)}) {
        Machine machine;
        machine.at_level(cpl);
        machine.set_gate(vector, Descriptor(0x00087000, access_byte << 8));
        for (unsigned v = 8; v < 15; ++v) machine.set_gate(v, interrupt_gate());
        const bool software = event.kind == Event::Kind::software_interrupt;
        const std::uint32_t code = vector * 8 + 2 + (software ? 0 : 1);
        const Delivery delivery = deliver(machine, event);
        const bool gate = type == 6 || type == 7 || type == 14 || type == 15;
        if (!gate || (software && dpl < cpl)) {
          ASSERT_EQ(delivery.chain[0], gp(code)) << access_byte;
        } else if (!(access_byte & 0x80)) {
          ASSERT_EQ(delivery.chain[0], np(code)) << access_byte;
        } else {
          ASSERT_EQ(delivery.faults, 0) << access_byte;
          ASSERT_EQ(machine.vcpu.eip, handler);
        }
        ASSERT_EQ(delivery.outcome, Delivery::Outcome::delivered);
      }
    }
  }
}

TEST(Deliver, InstructionsInt3AndIntoCheckTheGateButIcebpDoesNot) {
  struct Case {
    Event event;
    unsigned vector;
    bool checked;
  };
  for (const Case& c :
       {Case{Event::breakpoint(0x5001), 3, true}, Case{Event::overflow(0x5001), 4, true},
        Case{Event::icebp(0x5001), 1, false}}) {
    Machine machine;
    machine.at_level(3);
    machine.set_gate(c.vector, interrupt_gate(0));
    machine.set_gate(13, interrupt_gate(0));
    const Delivery delivery = deliver(machine, c.event);
    if (c.checked) {
      EXPECT_EQ(delivery.chain[0], gp(c.vector * 8 + 2));
      EXPECT_EQ(machine.stacked(1), 0x5000u);  // the instruction itself
    } else {
      EXPECT_EQ(delivery.faults, 0);
      EXPECT_EQ(machine.stacked(0), 0x5001u);
    }
  }
}

// The TSS has all of ESP, but a stack of 16 bits takes SP from it; so do QEMU and Bochs.
TEST(Deliver, InnerStackOf16BitsLeavesTheUpperHalfOfEsp) {
  Machine machine;
  machine.at_level(3);
  machine.set(Machine::scratch, flat(access::data & ~attribute::size_32));
  machine.set_inner_stack(0, Machine::scratch, Machine::kernel_stack);
  machine.set_gate(vector, interrupt_gate());
  machine.vcpu[Register::esp] = 0xabcd9000;
  ASSERT_EQ(deliver(machine, Event::external(vector)).outcome, Delivery::Outcome::delivered);
  EXPECT_EQ(machine.vcpu[Register::esp], 0xabcd0000 | (Machine::kernel_stack - 20));
}

struct Obstacle {
  const char* name;
  std::function<void(Machine&)> put;
  Exception external;  // with EXT
};

// What may be wrong behind the gate, in the pseudo-code's order; from CPL 3 to a handler at CPL 0.
TEST(Deliver, RefusalsOnTheWayToAnInnerLevel) {
  const auto target = [](std::uint16_t selector, Descriptor d) {
    return [=](Machine& m) {
      m.set(Machine::scratch, d);
      m.set_gate(vector, interrupt_gate(3, selector));
    };
  };
  const auto stack = [](std::uint16_t selector, Descriptor d) {
    return [=](Machine& m) {
      m.set(Machine::scratch, d);
      m.set_inner_stack(0, selector, Machine::kernel_stack);
    };
  };
  constexpr std::uint16_t scratch = Machine::scratch;
  const Obstacle obstacles[] = {
      {"null code", target(3, {}), gp(1)},
      {"code beyond table", target(0x100, {}), gp(0x101)},
      {"data as code", target(scratch, flat(access::data)), gp(scratch | 1)},
      {"system as code", target(Machine::ldt_selector, {}), gp(Machine::ldt_selector | 1)},
      {"absent code", target(scratch, flat(access::absent(access::code))), np(scratch | 1)},
      {"offset", target(scratch, Descriptor::segment(0, handler - 1, access::code)), gp(1)},
      {"TSS too short", [](Machine& m) { m.vcpu.tr.limit = 8; }, ts(Machine::tss_selector | 1)},
      {"null stack", stack(0, {}), ts(1)},
      {"stack beyond table", stack(0x100, {}), ts(0x101)},
      {"stack RPL", stack(scratch | 1, flat(access::data)), ts(scratch | 1)},
      {"stack DPL", stack(scratch, flat(access::dpl(access::data, 1))), ts(scratch | 1)},
      {"stack read-only", stack(scratch, flat(access::read_only)), ts(scratch | 1)},
      {"stack absent", stack(scratch, flat(access::absent(access::data))), ss(scratch | 1)},
      {"stack too small",
       stack(scratch, Descriptor::segment(0, Machine::kernel_stack - 2, access::data)),
       ss(scratch | 1)},
      {"stack not mapped",
       [](Machine& m) { m.memory.page(Machine::kernel_stack - 1).present = false; },
       Exception::page_fault(GuestLinear(Machine::kernel_stack - 4), 2)},
      {"TSS not mapped", [](Machine& m) { m.memory.page(Machine::tss).present = false; },
       Exception::page_fault(GuestLinear(Machine::tss + 4), 0)},
      {"IDT not mapped", [](Machine& m) { m.memory.page(Machine::idt).present = false; },
       Exception::page_fault(GuestLinear(Machine::idt + vector * 8), 0)},
      {"beyond IDT", [](Machine& m) { m.vcpu.idtr.limit = vector * 8 + 6; }, gp(vector * 8 + 3)},
  };
  for (const Obstacle& obstacle : obstacles) {
    for (const bool software : {false, true}) {
      Machine machine;
      machine.at_level(3);
      machine.set_gate(vector, interrupt_gate(3));
      obstacle.put(machine);
      const Vcpu before = machine.vcpu;
      // No other handler exists: the chain ends in a triple fault, with nothing changed.
      const Delivery delivery = deliver(
          machine, software ? Event::software_interrupt(vector, 0x5002) : Event::external(vector));
      Exception expected = obstacle.external;
      if (software && expected.vector != Vector::page_fault) expected.error_code &= ~1u;
      EXPECT_EQ(delivery.chain[0], expected) << obstacle.name;
      EXPECT_EQ(delivery.outcome, Delivery::Outcome::triple_fault) << obstacle.name;
      EXPECT_TRUE(same(machine.vcpu, before)) << obstacle.name;
    }
  }
}

TEST(Deliver, HandlerOfAnOuterLevelIsRefused) {
  Machine machine;
  machine.set_gate(vector, interrupt_gate(0, Machine::code_3));
  machine.set_gate(13, interrupt_gate());
  EXPECT_EQ(deliver(machine, Event::external(vector)).chain[0], gp((Machine::code_3 & ~3) | 1));
}

TEST(Deliver, ConformingHandlerStaysAtTheLevel) {
  Machine machine;
  machine.at_level(3);
  machine.set_gate(vector, interrupt_gate(0, Machine::conforming_0));
  EXPECT_EQ(deliver(machine, Event::external(vector)).faults, 0);
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu[Segment::cs].selector, Machine::conforming_0 | 3);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::user_stack - 12);
}

TEST(Deliver, SixteenBitGate) {
  Machine machine;
  machine.at_level(3);
  machine.set_gate(13,
                   Descriptor::gate(SystemType::interrupt_gate_16, 0, Machine::code_0, handler));
  EXPECT_EQ(deliver(machine, Event::of(gp(0x1234))).faults, 0);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 12);
  const std::uint32_t at = machine.vcpu[Register::esp];
  EXPECT_EQ(machine.memory.get16(at), 0x1234);
  EXPECT_EQ(machine.memory.get16(at + 2), 0x5000);
  EXPECT_EQ(machine.memory.get16(at + 10), Machine::data_3);
}

TEST(Deliver, SixteenBitStackWrapsAndKeepsTheUpperHalf) {
  Machine machine;
  machine.vcpu[Segment::ss] = {Machine::data_0, 0x93, 0, 0xffff, true};
  machine.vcpu[Register::esp] = 0xabcd0004;
  machine.set_gate(vector, interrupt_gate());
  EXPECT_EQ(deliver(machine, Event::external(vector)).faults, 0);
  EXPECT_EQ(machine.vcpu[Register::esp], 0xabcdfff8u);
  EXPECT_EQ(machine.memory.get32(0), eflags::always_one);
  EXPECT_EQ(machine.memory.get32(0xfffc), Machine::code_0);
  EXPECT_EQ(machine.memory.get32(0xfff8), 0x5000u);
}

TEST(Deliver, FromVirtual8086Mode) {
  Machine machine;
  machine.in_virtual_8086(0);
  constexpr std::uint16_t selectors[] = {0x100, 0x200, 0x300, 0x400, 0x500, 0x600};
  for (unsigned s = 0; s < 6; ++s) machine.vcpu.segments[s].selector = selectors[s];
  machine.vcpu[Register::esp] = 0x1234;
  machine.vcpu.eip = 0x77;
  machine.set_gate(13, interrupt_gate());
  EXPECT_EQ(deliver(machine, Event::of(gp(0))).faults, 0);
  EXPECT_EQ(machine.vcpu.cpl, 0);
  EXPECT_FALSE(machine.vcpu.virtual_8086());
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 40);
  const std::uint32_t expected[] = {
      0,      0x77,  0x200, eflags::always_one | eflags::virtual_8086 | eflags::resume,
      0x1234, 0x300, 0x100, 0x400,
      0x500,  0x600};  // code EIP CS EFLAGS ESP SS ES DS FS GS
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(machine.stacked(i), expected[i]) << i;
  for (const Segment s : {Segment::es, Segment::ds, Segment::fs, Segment::gs}) {
    EXPECT_EQ(machine.vcpu[s], null_cache(0));
  }
}

TEST(Deliver, FromVirtual8086ModeOnlyToLevelZero) {
  for (const std::uint16_t target : {Machine::code_1, Machine::code_3, Machine::conforming_0}) {
    Machine machine;
    machine.in_virtual_8086(3);
    machine.set_gate(vector, interrupt_gate(3, target));
    machine.set_gate(13, interrupt_gate());
    EXPECT_EQ(deliver(machine, Event::external(vector)).chain[0], gp((target & ~3) | 1));
  }
}

TEST(Deliver, IntInVirtual8086ModeIsIoplSensitive) {
  for (unsigned iopl = 0; iopl < 4; ++iopl) {
    for (const Event event : {Event::software_interrupt(3, 0x5002), Event::breakpoint(0x5001)}) {
      Machine machine;
      machine.in_virtual_8086(iopl);
      machine.set_gate(3, interrupt_gate(3));
      machine.set_gate(13, interrupt_gate(3));
      const Delivery delivery = deliver(machine, event);
      const bool refused = event.kind == Event::Kind::software_interrupt && iopl < 3;
      EXPECT_EQ(delivery.faults, refused ? 1 : 0);
      if (refused) {
        EXPECT_EQ(delivery.chain[0], gp(0));
      }
    }
  }
}

TEST(Deliver, RealMode) {
  Machine machine;
  machine.in_real_mode();
  machine.vcpu[Segment::cs].selector = 0x123;
  machine.vcpu[Segment::ss] = {0x100, 0x93, 0x1000, 0xffff, true};
  machine.vcpu[Register::esp] = 0x10000 - 2;
  machine.vcpu.eflags |=
      eflags::interrupt | eflags::trap | eflags::alignment_check | eflags::nested_task;
  machine.memory.put32(vector * 4, 0x02003456);
  EXPECT_EQ(deliver(machine, Event::external(vector)).faults, 0);
  EXPECT_EQ(machine.vcpu.eip, 0x3456u);
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x200, 0x93, 0x2000, 0xffff, true}));
  EXPECT_EQ(machine.vcpu[Register::esp], 0xfff8u);
  EXPECT_EQ(machine.memory.get16(0x1000 + 0xfff8), 0x5000);
  EXPECT_EQ(machine.memory.get16(0x1000 + 0xfffa), 0x123);
  EXPECT_EQ(machine.memory.get16(0x1000 + 0xfffc), 0x4302);
  EXPECT_EQ(machine.vcpu.eflags, eflags::always_one | eflags::nested_task);
}

TEST(Deliver, RealModePushesNoErrorCodeAndHonoursTheTableLimit) {
  Machine machine;
  machine.in_real_mode();
  machine.memory.put32(13 * 4, 0x02003456);
  machine.vcpu.idtr.limit = vector * 4 + 2;
  machine.vcpu[Register::esp] = 0x8000;
  const Delivery delivery = deliver(machine, Event::software_interrupt(vector, 0x5002));
  EXPECT_EQ(delivery.outcome, Delivery::Outcome::delivered);
  EXPECT_EQ(delivery.chain[0].vector, Vector::general_protection);
  EXPECT_EQ(machine.vcpu[Register::esp], 0x8000u - 6);
  EXPECT_EQ(machine.memory.get16(0x8000 - 6), 0x5000);
}

// Chains of faults by removing handlers one after another.
TEST(Deliver, FaultChains) {
  struct Case {
    Exception first;
    std::vector<unsigned> absent;  // vectors whose gates are not present
    std::vector<Exception> chain;
    bool triple;
    unsigned final_vector;
  };
  const auto missing = [](unsigned v) { return np(v * 8 + 3); };
  const Exception pf = Exception::page_fault(GuestLinear(0x123), 0);
  const Case cases[] = {
      {Exception::invalid_opcode(), {6}, {missing(6)}, false, 11},
      {gp(0), {13}, {missing(13)}, false, 8},
      {pf, {14}, {missing(14)}, false, 8},
      {Exception::invalid_opcode(), {6, 11}, {missing(6), missing(11)}, false, 8},
      {gp(0), {13, 8}, {missing(13), missing(8)}, true, 0},
      {Exception::with_code(Vector::double_fault, 0), {8}, {missing(8)}, true, 0},
      {Exception::invalid_opcode(), {6, 11, 8}, {missing(6), missing(11), missing(8)}, true, 0},
  };
  for (const Case& c : cases) {
    Machine machine;
    for (unsigned v = 0; v < 20; ++v) machine.set_gate(v, interrupt_gate(0, Machine::code_0, v));
    for (unsigned v : c.absent) {
      machine.set_gate(v, Descriptor(interrupt_gate().raw() & ~(1ull << 47)));
    }
    const Delivery delivery = deliver(machine, Event::of(c.first));
    ASSERT_EQ(delivery.faults, c.chain.size());
    for (unsigned i = 0; i < c.chain.size(); ++i) EXPECT_EQ(delivery.chain[i], c.chain[i]);
    EXPECT_EQ(delivery.outcome == Delivery::Outcome::triple_fault, c.triple);
    if (!c.triple) {
      EXPECT_EQ(machine.vcpu.eip, c.final_vector);
    }
    if (!c.triple && c.final_vector == 8) {
      EXPECT_EQ(machine.stacked(0), 0u);
    }
  }
}

// What is pushed before the word that faults stays, as on QEMU and Bochs; the manual does not say.
TEST(Deliver, WordsAboveAPageFaultArePushed) {
  Machine machine;
  machine.at_level(3);
  machine.set_gate(vector, interrupt_gate(3));
  machine.set_gate(14, Descriptor{});
  machine.set_inner_stack(0, Machine::data_0, Machine::kernel_stack + 8);
  machine.memory.page(Machine::kernel_stack - 1).writable = false;
  const std::uint32_t esp = machine.vcpu[Register::esp];
  const Delivery delivery = deliver(machine, Event::external(vector));
  EXPECT_EQ(delivery.chain[0], Exception::page_fault(GuestLinear(Machine::kernel_stack - 4), 3));
  EXPECT_EQ(machine.memory.get32(Machine::kernel_stack + 4), Machine::data_3);
  EXPECT_EQ(machine.memory.get32(Machine::kernel_stack), esp);
  EXPECT_EQ(machine.memory.get32(Machine::kernel_stack - 4), 0u);
}

// A page fault met on the way to a page fault's handler: #DF; CR2 names the last one.
TEST(Deliver, PageFaultWhilePushingAPageFault) {
  Machine machine;
  machine.at_level(3);
  machine.set_gate(14, interrupt_gate());
  machine.set_gate(8, Descriptor::gate(SystemType::interrupt_gate_32, 0, Machine::conforming_0, 8));
  machine.memory.page(Machine::kernel_stack - 1).writable = false;
  const Delivery delivery =
      deliver(machine, Event::of(Exception::page_fault(GuestLinear(0x123), 4)));
  EXPECT_EQ(delivery.outcome, Delivery::Outcome::delivered);
  EXPECT_EQ(delivery.chain[0], Exception::page_fault(GuestLinear(Machine::kernel_stack - 4), 3));
  EXPECT_EQ(machine.vcpu.eip, 8u);
  EXPECT_EQ(machine.vcpu.cr2, Machine::kernel_stack - 4);
}

}  // namespace
}  // namespace undercroft
