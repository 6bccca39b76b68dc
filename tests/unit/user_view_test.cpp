// User code and virtual-8086 tasks on the processor: what it is entered with, and what comes back.
#include <gtest/gtest.h>

#include "monitor/segment/descriptor.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/small_guest.hpp"

namespace undercroft::test {
namespace {

constexpr unsigned general_protection = 13;

// A task at 0:1000 whose first instruction is sensitive, in a guest without an IDT: what it raises
// ends the run.
struct Task : SmallGuest {
  Task(std::initializer_list<int> program, std::uint32_t flags) {
    put(code, program);
    vcpu.cr0 |= cr0::protection_enable;
    vcpu.cpl = 3;
    vcpu.eflags |= eflags::virtual_8086 | flags;
    vcpu.idtr.limit = 0;
    vcpu[Segment::ds] = {0x300, 0xf3, 0x3000, 0xffff, true};
    vcpu[Segment::gs] = {0x400, 0xf3, 0x4000, 0xffff, true};
  }
};

TEST(VirtualView, EntersWithIoplZeroWhateverTheGuestsIs) {
  for (const std::uint32_t flags : {0u, eflags::iopl, eflags::interrupt, eflags::trap}) {
    Task task({0xf4}, flags | eflags::nested_task);
    task.processor.guest = [&](GuestContext& context) {
      EXPECT_EQ(context.eflags, eflags::always_one | eflags::virtual_8086 | eflags::interrupt |
                                    eflags::nested_task | (flags & eflags::trap));
      EXPECT_EQ(context.cs, 0u);
      EXPECT_EQ(context.v86_ds, 0x300u);
      EXPECT_EQ(context.v86_gs, 0x400u);
      context.vector = general_protection;
    };
    EXPECT_EQ(task.run().kind, RunEnd::Kind::triple_fault);
    EXPECT_EQ(task.vcpu.eflags & (eflags::iopl | eflags::interrupt),
              flags & (eflags::iopl | eflags::interrupt));
  }
}

TEST(VirtualView, SegmentsAreWhatTheTaskLoaded) {
  Task task({0xf4}, 0);
  task.processor.guest = [&](GuestContext& context) {
    context.v86_ds = 0x1234;
    context.ss = 0x2000;
    context.vector = general_protection;
  };
  EXPECT_EQ(task.run().kind, RunEnd::Kind::triple_fault);
  EXPECT_EQ(task.vcpu[Segment::ds].base, 0x12340u);
  EXPECT_EQ(task.vcpu[Segment::ss].base, 0x20000u);
  EXPECT_EQ(task.vcpu[Segment::gs].base, 0x4000u);
}

// CLI with IOPL 3 is done, below it raises #GP.
TEST(VirtualView, SensitiveInstructionsDoWhatTheGuestsIoplSays) {
  for (const bool allowed : {false, true}) {
    Task task({0xfa, 0xf4}, eflags::interrupt | (allowed ? eflags::iopl : 0));
    task.processor.guest = [&](GuestContext& context) { context.vector = general_protection; };
    EXPECT_EQ(task.run().kind, RunEnd::Kind::triple_fault);
    EXPECT_EQ(task.vcpu.eflags & eflags::interrupt, allowed ? 0 : eflags::interrupt);
    EXPECT_EQ(task.vcpu.eip, SmallGuest::code + allowed);
  }
}

// INT1 raises #DB too and has been executed then; DR6 tells it from a single step, TF does not.
TEST(VirtualView, DebugExceptionThatDr6DoesNotExplainIsInt1) {
  for (const unsigned bits : {0u, 1u, 3u}) {
    const bool stepped = bits & 2;
    Task task({0xf1, 0xf4}, bits & 1 ? eflags::trap : 0);
    task.processor.debug_status = 0xffff0ff0 | (stepped ? 1u << 14 : 0);
    task.processor.guest = [](GuestContext& context) {
      context.vector = 1;
      context.eip += 1;
    };
    const RunEnd end = task.run();
    EXPECT_EQ(end.kind, RunEnd::Kind::triple_fault);
    EXPECT_EQ(end.event.kind, stepped ? Event::Kind::exception : Event::Kind::icebp);
    EXPECT_EQ(end.event.return_eip, stepped ? 0 : SmallGuest::code + 1);
  }
}

// IRET would refuse EIP; so would the processor at the fetch.
TEST(VirtualView, BehindTheSegmentIsInterpreted) {
  Task task({0xf4}, 0);
  task.vcpu.eip = 0x10000;
  task.processor.guest = [](GuestContext&) { FAIL(); };
  EXPECT_EQ(task.run().kind, RunEnd::Kind::triple_fault);
}

TEST(VirtualView, EngineInterpretEntersNothing) {
  Task task({0xf4}, 0);
  task.processor.guest = [](GuestContext&) { FAIL(); };
  EXPECT_EQ(task.run({.interpret_kernel = true}).kind, RunEnd::Kind::triple_fault);
}

// User code at 0x1000, no paging, and a kernel that leaves by OUT to the exit port.
class UserView : public testing::Test, protected SmallGuest {
 protected:
  static constexpr std::uint32_t gdt = 0x2000, idt = 0x2800, handler = 0x3000, tss = 0x4000,
                                 other_tss = 0x4100, user_stack = 0x9000, task_stack = 0xa000;
  static constexpr std::uint16_t code_0 = 0x08, data_0 = 0x10, code_3 = 0x1b, data_3 = 0x23,
                                 tss_selector = 0x28, task_selector = 0x30;

  UserView() {
    set_entry(code_0, Descriptor::segment(0, ~0u, 0x409b));
    set_entry(data_0, Descriptor::segment(0, ~0u, 0x4093));
    set_entry(code_3, Descriptor::segment(0, ~0u, 0x40fb));
    set_entry(data_3, Descriptor::segment(0, ~0u, 0x40f3));
    set_entry(tss_selector, Descriptor::segment(tss, 0x67, 0x8b));
    for (const unsigned vector : {6u, 13u, 14u, 0x80u}) {
      put64(idt + vector * 8,
            Descriptor::gate(SystemType::interrupt_gate_32, 3, code_0, handler).raw());
    }
    put32(tss + 4, stack);
    put32(tss + 8, data_0);
    put(handler, {0xe6, 0xf4});  // out 0xf4, al
    vcpu.cr0 |= cr0::protection_enable;
    vcpu.gdtr = {GuestLinear(gdt), 0xff};
    vcpu.idtr = {GuestLinear(idt), 0x7ff};
    vcpu.tr = entry(tss_selector).cache(tss_selector);
    vcpu.cpl = 3;
    vcpu.eflags = eflags::always_one | eflags::interrupt;
    vcpu[Register::esp] = user_stack;
    for (DescriptorCache& cache : vcpu.segments) cache = entry(data_3).cache(data_3);
    vcpu[Segment::cs] = entry(code_3).cache(code_3);
  }

  void put32(std::uint32_t address, std::uint32_t value) {
    vm.memory.write(GuestPhysical(address), value, 4);
  }
  void put64(std::uint32_t address, std::uint64_t value) {
    put32(address, static_cast<std::uint32_t>(value));
    put32(address + 4, static_cast<std::uint32_t>(value >> 32));
  }
  std::uint32_t word(std::uint32_t address) { return vm.memory.read(GuestPhysical(address), 4); }
  void set_entry(std::uint16_t selector, Descriptor d) { put64(gdt + (selector & ~7u), d.raw()); }
  Descriptor entry(std::uint16_t selector) {
    return Descriptor(word(gdt + (selector & ~7u)), word(gdt + (selector & ~7u) + 4));
  }

  // Runs the guest; `trap` is what happens at the entries into user code, all others are exits of
  // the cache, which stand for the handler's OUT.
  template <class Trap>
  void run_to_exit(Trap trap) {
    processor.guest = [&](GuestContext& context) {
      context.vector = 6;
      context.error_code = 0;
      if (context.cs != code_3) return;
      ++user_entries;
      trap(context);
    };
    EXPECT_EQ(run().kind, RunEnd::Kind::exit);
  }

  unsigned user_entries = 0;
};

void refuse(GuestContext& context) {
  context.vector = general_protection;
  context.error_code = 0;
}

// INT n arrives as #GP, for which the processor pushes EFLAGS with RF; the guest's has none.
TEST_F(UserView, TheResumeFlagOfATrapIsNotTheGuests) {
  put(code, {0xcd, 0x80});
  run_to_exit([](GuestContext& context) {
    refuse(context);
    context.eflags |= eflags::resume;
  });
  EXPECT_EQ(word(stack - 12), eflags::always_one | eflags::interrupt);
}

// What SYSEXIT may leave in DS cannot be loaded at CPL 3: IRET would empty the register.
TEST_F(UserView, KernelsSegmentsAreNotEntered) {
  put(code, {0x8c, 0xd8, 0xcd, 0x80});  // mov eax, ds; int 0x80
  vcpu[Segment::ds] = entry(data_0).cache(data_0);
  run_to_exit(refuse);
  EXPECT_EQ(user_entries, 0u);
  EXPECT_EQ(vcpu[Register::eax], data_0);
}

// User code has loaded a stack of 16 bits and then touches a page that has no shadow yet: going
// back by IRET would replace the upper half of ESP.
TEST_F(UserView, AStackOf16BitsIsNotGoneBackTo) {
  constexpr std::uint16_t short_stack = 0x3b;
  set_entry(short_stack, Descriptor::segment(0, 0xffff, 0x00f3));
  put(code, {0x8b, 0x0d, 0, 0x50, 0, 0, 0xcd, 0x80});  // mov ecx, [5000]; int 0x80
  put32(0x5000, 0x12345678);
  run_to_exit([](GuestContext& context) {
    context.ss = short_stack;
    context.esp = 0xabcd0400;
    context.vector = 14;
    context.error_code = 4;
    context.fault_address = 0x5000;
  });
  EXPECT_EQ(user_entries, 1u);
  EXPECT_EQ(vcpu[Register::ecx], 0x12345678u);
  EXPECT_EQ(word(stack - 8), 0xabcd0400u);  // ESP in the handler's frame
}

// A jump to a TSS: the processor reads it where the image says, at the bottom of the window.
TEST_F(UserView, AJumpToATaskIsEmulated) {
  set_entry(task_selector, Descriptor::segment(other_tss, 0x67, 0xe9));
  put(code, {0xea, 0, 0, 0, 0, task_selector, 0});  // jmp 0x30:0
  put32(other_tss + 0x20, handler);
  put32(other_tss + 0x24, eflags::always_one);
  put32(other_tss + 0x38, task_stack);
  for (unsigned i = 0; i < 6; ++i) put32(other_tss + 0x48 + 4 * i, i == 1 ? code_0 : data_0);
  run_to_exit([&](GuestContext& context) {
    const Descriptor shown(processor.gdt_image(View::user)[task_selector / 8]);
    EXPECT_EQ(shown.base(), processor.window.value());
    EXPECT_EQ(shown.limit(), 0x67u);
    context.vector = 14;
    context.error_code = 0;  // a read by the processor itself
    context.fault_address = shown.base() + 0x1c;
  });
  EXPECT_EQ(user_entries, 1u);
  EXPECT_EQ(vcpu.tr.selector, task_selector);
  EXPECT_EQ(vcpu[Register::esp], task_stack);
  EXPECT_TRUE(entry(task_selector).is_busy_tss());
}

// Something that user code may see at an index of the monitor's: the processor would find the
// monitor's.
TEST_F(UserView, EntriesAtTheMonitorsPlacesAreInterpreted) {
  constexpr std::uint16_t selector = host_gdt::monitor_data * 8 + 3;
  constexpr std::uint32_t large_gdt = 0x20000;
  for (unsigned i = 0; i < 32; ++i)
    put64(large_gdt + 8 * i, entry(static_cast<std::uint16_t>(i * 8)).raw());
  vcpu.gdtr = {GuestLinear(large_gdt), 0xffff};
  put64(large_gdt + (selector & ~7u), Descriptor::segment(0x4000, 0xfff, 0x40f3).raw());
  put(code, {0x8e, 0xe8, 0x65, 0xa1, 0, 0, 0, 0, 0xcd, 0x80});  // mov gs, ax; mov eax, gs:[0]
  put32(0x4000, 0x12345678);
  vcpu[Register::eax] = selector;
  run_to_exit(refuse);
  EXPECT_EQ(user_entries, 0u);
  EXPECT_EQ(vcpu[Register::eax], 0x12345678u);
}

// A kernel that rewrites descriptors at each switch of threads pays no trap for it, and user code
// finds what is there now.
TEST_F(UserView, RewrittenDescriptorsAreSeenAtTheNextEntry) {
  constexpr std::uint16_t thread_data = 0x33;
  put(code, {0x8c, 0xd8, 0x8c, 0xd8, 0xcd, 0x80});  // mov eax, ds; mov eax, ds; int 0x80
  set_entry(thread_data, Descriptor::segment(0x1000, 0xfff, 0x40f3));
  const auto shown = [&] {
    return Descriptor(processor.gdt_image(View::user)[thread_data / 8]).base();
  };
  run_to_exit([&](GuestContext& context) {
    EXPECT_EQ(shown(), 0x1000u * user_entries);
    EXPECT_FALSE(vm.table.entry(GuestPhysical(gdt)).watchers.any());
    const std::uint32_t next = 0x1000 * (user_entries + 1);
    set_entry(thread_data, Descriptor::segment(next, 0xfff, 0x40f3));
    refuse(context);
  });
  EXPECT_EQ(user_entries, 3u);
}

TEST_F(UserView, ARegisterWhoseDescriptorWasRewrittenIsNotEnteredWith) {
  put(code, {0x8c, 0xd8, 0x8c, 0xd8, 0xcd, 0x80});
  run_to_exit([&](GuestContext& context) {
    set_entry(data_3, Descriptor::segment(0x4000, 0xfff, 0x40f3));
    refuse(context);
  });
  EXPECT_EQ(user_entries, 1u);
}

TEST_F(UserView, UserCodesOwnWritesToTheTableCountAtOnce) {
  constexpr std::uint16_t selector = 0x33;
  put(code, {0xc6, 0x05, selector + 1, 0x20, 0, 0, 0x56, 0xcd, 0x80});  // mov byte [gdt+34], 0x56
  set_entry(selector, Descriptor::segment(0x123400, 0xfff, 0x40f3));
  run_to_exit([&](GuestContext& context) {
    if (user_entries > 1) return refuse(context);
    context.vector = 14;
    context.error_code = 6;
    context.fault_address = gdt + selector + 1;
  });
  EXPECT_EQ(user_entries, 2u);
  EXPECT_EQ(Descriptor(processor.gdt_image(View::user)[selector / 8]).base(), 0x563400u);
  EXPECT_TRUE(vm.table.entry(GuestPhysical(gdt)).watchers.has(Watcher::descriptor_table));
}

// The processor's accessed bit is in the table and in the image; then the kernel clears it.
TEST_F(UserView, AnAccessedBitThatTheKernelClearsIsClearInTheImage) {
  constexpr std::uint16_t selector = 0x33;
  const Descriptor fresh = Descriptor::segment(0x1000, 0xfff, 0x40f2);
  put(code, {0x8c, 0xd8, 0xcd, 0x80});  // mov eax, ds; int 0x80
  set_entry(selector, fresh);
  const auto shown = [&] { return Descriptor(processor.gdt_image(View::user)[selector / 8]); };
  run_to_exit([&](GuestContext& context) {
    EXPECT_EQ(shown().accessed(), user_entries == 2) << user_entries;
    if (user_entries == 1) {
      context.vector = 14;
      context.error_code = 3;
      context.fault_address = processor.window.value() + window::gdt + (selector & ~7u) + 4;
    } else {
      refuse(context);
    }
    if (user_entries == 2) set_entry(selector, fresh);
  });
  EXPECT_EQ(user_entries, 3u);
}

TEST_F(UserView, LargeTablesAreWatched) {
  put(code, {0xcd, 0x80});
  vcpu.gdtr.limit = 0x7ff;
  run_to_exit([&](GuestContext& context) {
    EXPECT_TRUE(vm.table.entry(GuestPhysical(gdt)).watchers.has(Watcher::descriptor_table));
    refuse(context);
  });
  EXPECT_EQ(user_entries, 1u);
}

}  // namespace
}  // namespace undercroft::test
