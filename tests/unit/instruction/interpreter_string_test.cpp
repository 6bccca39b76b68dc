// String instructions: repetition, its bound, faults half-way, directions and address sizes.
#include <gtest/gtest.h>

#include "interpreter_machine.hpp"

namespace undercroft::test {
namespace {

using Kind = StepOutcome::Kind;

constexpr std::uint32_t source = 0x10000, destination = 0x20000;

Machine string_machine(std::uint32_t count, Mode mode = Mode::protected_32) {
  Machine machine(mode);
  machine[Register::ecx] = count;
  machine[Register::esi] = source;
  machine[Register::edi] = destination;
  for (unsigned i = 0; i < 0x8000; ++i) {
    machine.memory.put8(source + i, i * 7 + i / 256);
  }
  return machine;
}

TEST(InterpreterString, MovsCopiesAndCounts) {
  Machine machine = string_machine(100);
  EXPECT_EQ(machine.run({0xf3, 0xa5}).kind, Kind::retired);
  EXPECT_EQ(machine[Register::ecx], 0u);
  EXPECT_EQ(machine[Register::esi], source + 400);
  EXPECT_EQ(machine[Register::edi], destination + 400);
  EXPECT_EQ(std::memcmp(machine.memory.data() + source, machine.memory.data() + destination, 400),
            0);
  EXPECT_EQ(machine.memory.get8(destination + 400), 0u);
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 2);
}

TEST(InterpreterString, WithoutRepeatOnce) {
  Machine machine = string_machine(5);
  EXPECT_TRUE(retired(machine.run({0xa4})));
  EXPECT_EQ(machine[Register::ecx], 5u);
  EXPECT_EQ(machine[Register::edi], destination + 1);
}

TEST(InterpreterString, ACountOfZeroTouchesNothing) {
  Machine machine = string_machine(0);
  machine[Register::esi] = machine[Register::edi] = 0xf0000000;
  EXPECT_TRUE(retired(machine.run({0xf3, 0xa4})));
}

TEST(InterpreterString, BackwardWithOverlap) {
  Machine machine = string_machine(16);
  machine.vcpu.eflags |= eflags::direction;
  machine[Register::esi] = source + 15;
  machine[Register::edi] = source + 16;
  const std::uint8_t first = machine.memory.get8(source), last = machine.memory.get8(source + 15);
  EXPECT_TRUE(retired(machine.run({0xf3, 0xa4})));
  EXPECT_EQ(machine.memory.get8(source + 1), first);
  EXPECT_EQ(machine.memory.get8(source + 16), last);
  EXPECT_EQ(machine[Register::esi], source - 1);
}

TEST(InterpreterString, ForwardOverlapFills) {
  Machine machine = string_machine(64);
  machine[Register::edi] = source + 1;
  machine.memory.put8(source, 0x5a);
  EXPECT_TRUE(retired(machine.run({0xf3, 0xa4})));
  for (unsigned i = 0; i <= 64; ++i) ASSERT_EQ(machine.memory.get8(source + i), 0x5a);
}

TEST(InterpreterString, LongOnesStopForInterrupts) {
  Machine machine = string_machine(10000);
  machine[Register::eax] = 0x77;
  const StepOutcome first = machine.run({0xf3, 0xaa});  // rep stosb
  EXPECT_EQ(first.kind, Kind::unfinished);
  EXPECT_EQ(machine.vcpu.eip, Machine::code);
  EXPECT_NE(machine.flag(eflags::resume), 0u);
  const std::uint32_t done = 10000 - machine[Register::ecx];
  EXPECT_GT(done, 0u);
  EXPECT_EQ(machine[Register::edi], destination + done);
  unsigned steps = 1;
  while (machine.step().kind == Kind::unfinished) ASSERT_LT(++steps, 100u);
  EXPECT_EQ(machine[Register::ecx], 0u);
  EXPECT_EQ(machine[Register::edi], destination + 10000);
  EXPECT_EQ(machine.memory.get8(destination + 9999), 0x77u);
  EXPECT_EQ(machine.flag(eflags::resume), 0u);
}

TEST(InterpreterString, UnderTfOneIterationAtATime) {
  Machine machine = string_machine(3);
  machine.vcpu.eflags |= eflags::trap;
  for (unsigned left : {2u, 1u, 0u}) {
    const StepOutcome outcome = machine.run({0xf3, 0xa4});
    EXPECT_TRUE(outcome.single_step);
    EXPECT_EQ(outcome.kind, left == 0 ? Kind::retired : Kind::unfinished);
    EXPECT_EQ(machine[Register::ecx], left);
  }
}

// A breakpoint that one iteration meets is told of before the next one.
TEST(InterpreterString, WithABreakpointArmedOneIterationAtATime) {
  Machine machine = string_machine(3);
  machine.vcpu.dr7 |= 2;
  EXPECT_EQ(machine.run({0xf3, 0xa4}).kind, Kind::unfinished);
  EXPECT_EQ(machine[Register::ecx], 2u);
}

TEST(InterpreterString, AFaultKeepsTheFinishedIterations) {
  for (bool user : {false, true}) {
    Machine machine = string_machine(100);
    if (user) machine.vcpu.cpl = 3;
    machine[Register::edi] = destination + 0x1000 - 40;
    machine.memory.page(destination + 0x1000).writable = false;
    EXPECT_EQ(fault(machine.run({0xf3, 0xa5})),
              Exception::page_fault(GuestLinear(destination + 0x1000), user ? 7 : 3));
    EXPECT_EQ(machine[Register::ecx], 90u);
    EXPECT_EQ(machine[Register::esi], source + 40);
    EXPECT_EQ(machine[Register::edi], destination + 0x1000);
    EXPECT_EQ(machine.vcpu.eip, Machine::code);
  }
}

TEST(InterpreterString, LimitsHoldForEveryIteration) {
  Machine machine = string_machine(100);
  machine.vcpu[Segment::es].limit = destination + 10;
  EXPECT_EQ(fault(machine.run({0xf3, 0xaa})), general_protection);
  EXPECT_EQ(machine[Register::ecx], 89u);
  EXPECT_EQ(machine[Register::edi], destination + 11);
}

TEST(InterpreterString, RepeatedCompareEndsByZf) {
  Machine machine = string_machine(50);
  std::memcpy(machine.memory.data() + destination, machine.memory.data() + source, 50);
  EXPECT_TRUE(retired(machine.run({0xf3, 0xa6})));
  EXPECT_EQ(machine[Register::ecx], 0u);
  EXPECT_NE(machine.flag(eflags::zero), 0u);

  Machine different = string_machine(50);
  std::memcpy(different.memory.data() + destination, different.memory.data() + source, 50);
  different.memory.data()[destination + 9] ^= 1;
  EXPECT_TRUE(retired(different.run({0xf3, 0xa6})));
  EXPECT_EQ(different[Register::ecx], 40u);
  EXPECT_EQ(different.flag(eflags::zero), 0u);
}

TEST(InterpreterString, ScanForAByte) {
  Machine machine = string_machine(50);
  machine.memory.put8(destination + 20, 0x42);
  machine[Register::eax] = 0x42;
  EXPECT_TRUE(retired(machine.run({0xf2, 0xae})));  // repne scasb
  EXPECT_EQ(machine[Register::edi], destination + 21);
  EXPECT_EQ(machine[Register::ecx], 29u);
}

TEST(InterpreterString, SixteenBitAddressesWrap) {
  Machine machine(Mode::real);
  machine.vcpu[Segment::es].base = 0x10000;
  machine[Register::eax] = 0xabcd;
  machine[Register::ecx] = 0xffff0003;
  machine[Register::edi] = 0x1234fffe;
  EXPECT_TRUE(retired(machine.run({0xf3, 0xab})));  // rep stosw
  EXPECT_EQ(machine[Register::ecx], 0xffff0000u);
  EXPECT_EQ(machine[Register::edi], 0x12340004u);
  EXPECT_EQ(machine.memory.get16(0x1fffe), 0xabcdu);
  EXPECT_EQ(machine.memory.get16(0x10002), 0xabcdu);
}

TEST(InterpreterString, SourceSegmentCanBeOverridden) {
  Machine machine = string_machine(1);
  machine.vcpu[Segment::fs].base = 0x100;
  EXPECT_TRUE(retired(machine.run({0x64, 0xac})));  // lods fs:[esi]
  EXPECT_EQ(machine[Register::eax], machine.memory.get8(source + 0x100));
}

TEST(InterpreterString, PortsByString) {
  Machine machine = string_machine(2);
  machine[Register::edx] = 0x1f0;
  EXPECT_TRUE(retired(machine.run({0xf3, 0x6d})));  // rep insd
  EXPECT_EQ(machine.memory.get32(destination + 4), 0x11223344u);
  machine[Register::ecx] = 1;
  machine.memory.put16(source, 0xbeef);
  EXPECT_TRUE(retired(machine.run({0x66, 0xf3, 0x6f})));  // rep outsw
  EXPECT_EQ(machine.environment.calls,
            (std::vector<std::string>{"in 1f0 4", "in 1f0 4", "out 1f0 2 beef"}));
}

// Elements go in runs of a page, and what is behind its end faults after them.
TEST(InterpreterString, InputByRunsStopsAtThePageThatFaults) {
  Machine machine = string_machine(1000, Mode::protected_32);
  const std::uint32_t end = destination + page_size;
  machine[Register::edx] = 0x1f0;
  machine[Register::edi] = end - 603;
  machine.environment.port_value = 0xa5b6;
  machine.memory.page(end).writable = false;
  const auto raised = fault(machine.run({0x66, 0xf3, 0x6d}));
  ASSERT_TRUE(raised.has_value());
  EXPECT_EQ(machine.environment.calls.size(), 301u) << "none for the element across the end";
  EXPECT_EQ(machine[Register::ecx], 1000u - 301);
  EXPECT_EQ(machine[Register::edi], end - 1);
  EXPECT_EQ(machine.memory.get16(end - 3), 0xa5b6u);
  EXPECT_EQ(machine.memory.get8(end - 604), 0u);
  EXPECT_EQ(machine.memory.get8(end - 1), 0u);
}

TEST(InterpreterString, OutputByRunsStopsAtThePageThatFaults) {
  Machine machine = string_machine(1000);
  const std::uint32_t end = source + page_size;
  machine[Register::edx] = 0x1f0;
  machine[Register::esi] = end - 4 * 150 - 2;
  machine.memory.page(end).present = false;
  EXPECT_TRUE(fault(machine.run({0xf3, 0x6f})).has_value());
  EXPECT_EQ(machine.environment.calls.size(), 150u);
  EXPECT_EQ(machine[Register::ecx], 850u);
  EXPECT_EQ(machine[Register::esi], end - 2);
}

TEST(InterpreterString, PortRunsGoBackwardOneByOne) {
  Machine machine = string_machine(3);
  machine[Register::edx] = 0x1f0;
  machine.vcpu.eflags |= eflags::direction;
  EXPECT_TRUE(retired(machine.run({0xf3, 0x6d})));
  EXPECT_EQ(machine[Register::edi], destination - 12);
  EXPECT_EQ(machine.memory.get32(destination - 8), 0x11223344u);
  EXPECT_EQ(machine.environment.calls.size(), 3u);
}

// A run is long, but not without bound: interrupts have to be looked for.
TEST(InterpreterString, PortRunsAreBounded) {
  Machine machine = string_machine(100000);
  machine[Register::edx] = 0x1f0;
  EXPECT_EQ(machine.run({0xf3, 0x6c}).kind, Kind::unfinished);
  EXPECT_EQ(machine.vcpu.eip, Machine::code);
  EXPECT_LT(machine.environment.calls.size(), 5000u);
  EXPECT_EQ(machine[Register::ecx] + machine.environment.calls.size(), 100000u);
}

TEST(InterpreterString, PortRunsEndWhereTheIndexWraps) {
  Machine machine = string_machine(4, Mode::protected_16);
  machine[Register::edx] = 0x1f0;
  machine[Register::edi] = 0xfffc;
  EXPECT_TRUE(retired(machine.run({0xf3, 0x6d})));  // rep insw
  EXPECT_EQ(machine[Register::edi] & 0xffff, 4u);
  EXPECT_EQ(machine.memory.get16(0xfffe), 0x3344u);
  EXPECT_EQ(machine.memory.get16(0x0002), 0x3344u);
}

TEST(InterpreterString, OutsHasTheWidthOfItsMemory) {
  struct {
    std::initializer_list<int> code;
    unsigned step;
    const char* call;
  } const cases[] = {
      {{0x6e}, 1, "out 1f0 1 78"},
      {{0x66, 0x6f}, 2, "out 1f0 2 5678"},
      {{0x6f}, 4, "out 1f0 4 12345678"},
  };
  for (const auto& c : cases) {
    Machine machine = string_machine(0);
    machine[Register::edx] = 0x1f0;
    machine.memory.put16(source, 0x5678);
    machine.memory.put16(source + 2, 0x1234);
    EXPECT_TRUE(retired(machine.run(c.code)));
    EXPECT_EQ(machine[Register::esi], source + c.step);
    EXPECT_EQ(machine.environment.calls, std::vector<std::string>{c.call});
  }
}

TEST(InterpreterString, InsReadsNoPortIfTheWriteWouldFault) {
  Machine machine = string_machine(1);
  machine.memory.page(destination).writable = false;
  EXPECT_TRUE(fault(machine.run({0x6c})).has_value());
  EXPECT_TRUE(machine.environment.calls.empty());
}

}  // namespace
}  // namespace undercroft::test
