// Virtual-8086 tasks on the processor: what it is entered with, and what comes back.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace undercroft::test
