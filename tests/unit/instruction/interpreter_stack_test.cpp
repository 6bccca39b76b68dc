// The stack: its width by SS.B, frames that fault whole, segment registers on it; and the operands
// whose order or partner is easy to get wrong. Plain results are tests/differential/native_test's.
#include <gtest/gtest.h>

#include "interpreter_machine.hpp"

namespace undercroft::test {
namespace {

TEST(InterpreterStack, SsDecidesTheWidthOfThePointer) {
  Machine machine(Mode::protected_16);
  machine[Register::esp] = 0xabcd0000;
  machine[Register::eax] = 0x11223344;
  ASSERT_TRUE(retired(machine.run({0x50})));  // push ax: wraps
  EXPECT_EQ(machine[Register::esp], 0xabcdfffeu);
  EXPECT_EQ(machine.memory.get16(0xfffe), 0x3344u);
  ASSERT_TRUE(retired(machine.run({0x66, 0x5b})) == false);  // pop ebx would cross the limit
  machine[Register::esp] = 0xabcdfffe;
  ASSERT_TRUE(retired(machine.run({0x5b})));
  EXPECT_EQ(machine[Register::esp], 0xabcd0000u);
}

TEST(InterpreterStack, OperandSizeDecidesTheWidthOfTheItem) {
  Machine machine;
  machine[Register::eax] = 0x11223344;
  ASSERT_TRUE(retired(machine.run({0x66, 0x50})));
  EXPECT_EQ(machine[Register::esp], Machine::stack - 2);
  ASSERT_TRUE(retired(machine.run({0x6a, 0xff})));  // push -1
  EXPECT_EQ(machine.memory.get32(Machine::stack - 6), 0xffffffffu);
}

TEST(InterpreterStack, PushaIsAllOrNothing) {
  Machine machine;
  machine.memory.page(0x7000).writable = false;
  machine[Register::esp] = 0x8010;
  machine.memory.put32(0x800c, 0x55555555);
  const Vcpu before = machine.vcpu;
  EXPECT_EQ(fault(machine.run({0x60})), Exception::page_fault(GuestLinear(0x7ffc), 3));
  EXPECT_EQ(machine.vcpu.general, before.general);
  EXPECT_EQ(machine.memory.get32(0x800c), 0x55555555u);
}

TEST(InterpreterStack, PopaFaultsWithoutAnyChange) {
  Machine machine;
  machine[Register::esp] = 0x7ff0;
  machine.memory.page(0x8000).present = false;
  const Vcpu before = machine.vcpu;
  EXPECT_TRUE(fault(machine.run({0x61})).has_value());
  EXPECT_EQ(machine.vcpu.general, before.general);
}

TEST(InterpreterStack, PopToMemoryUsesTheRaisedPointer) {
  Machine machine;
  machine.memory.put32(Machine::stack, 0x12345678);
  ASSERT_TRUE(retired(machine.run({0x8f, 0x04, 0x24})));  // pop [esp]
  EXPECT_EQ(machine.memory.get32(Machine::stack + 4), 0x12345678u);
  EXPECT_EQ(machine[Register::esp], Machine::stack + 4);

  machine[Register::esp] = Machine::stack;
  machine.memory.page(0x9000).writable = false;
  EXPECT_TRUE(fault(machine.run({0x8f, 0x05, 0, 0x90, 0, 0})).has_value());
  EXPECT_EQ(machine[Register::esp], Machine::stack);
}

TEST(InterpreterStack, PushPopOfThePointerItself) {
  Machine machine;
  ASSERT_TRUE(retired(machine.run({0x54})));  // push esp: the old value
  EXPECT_EQ(machine.memory.get32(Machine::stack - 4), Machine::stack);
  machine.memory.put32(Machine::stack - 4, 0x4444);
  ASSERT_TRUE(retired(machine.run({0x5c})));  // pop esp: the popped value wins
  EXPECT_EQ(machine[Register::esp], 0x4444u);
}

TEST(InterpreterStack, EnterAndLeave) {
  Machine machine;
  machine[Register::ebp] = 0x8100;
  machine.memory.put32(0x80fc, 0xaaaa);
  ASSERT_TRUE(retired(machine.run({0xc8, 0x10, 0x00, 0x02})));  // enter 16, 2
  EXPECT_EQ(machine[Register::ebp], Machine::stack - 4);
  EXPECT_EQ(machine[Register::esp], Machine::stack - 12 - 16);
  EXPECT_EQ(machine.memory.get32(Machine::stack - 4), 0x8100u);
  EXPECT_EQ(machine.memory.get32(Machine::stack - 8), 0xaaaau);
  EXPECT_EQ(machine.memory.get32(Machine::stack - 12), Machine::stack - 4);
  ASSERT_TRUE(retired(machine.run({0xc9})));
  EXPECT_EQ(machine[Register::ebp], 0x8100u);
  EXPECT_EQ(machine[Register::esp], Machine::stack);
}

TEST(InterpreterStack, EnterChecksThatTheNewTopCanBeWritten) {
  Machine machine;
  machine.memory.page(0x7000).writable = false;
  machine[Register::ebp] = 1;
  machine[Register::esp] = 0x8020;
  EXPECT_TRUE(fault(machine.run({0xc8, 0x40, 0x00, 0x00})).has_value());
  EXPECT_EQ(machine[Register::ebp], 1u);
  EXPECT_EQ(machine[Register::esp], 0x8020u);
}

TEST(InterpreterStack, CallAndRet) {
  Machine machine;
  ASSERT_TRUE(retired(machine.run({0xe8, 0xfb, 0x0f, 0, 0})));  // call 0x2000
  EXPECT_EQ(machine.vcpu.eip, 0x2000u);
  EXPECT_EQ(machine.memory.get32(Machine::stack - 4), Machine::code + 5);
  ASSERT_TRUE(retired(machine.run({0xc2, 0x08, 0x00})));  // ret 8
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 5);
  EXPECT_EQ(machine[Register::esp], Machine::stack + 8);
}

TEST(InterpreterStack, ACallWhoseStackFaultsGoesNowhere) {
  Machine machine;
  machine.memory.page(0x7000).writable = false;
  EXPECT_TRUE(fault(machine.run({0xe8, 0, 0, 0, 0})).has_value());
  EXPECT_EQ(machine.vcpu.eip, Machine::code);
}

TEST(InterpreterStack, SegmentRegistersInRealMode) {
  Machine machine(Mode::real);
  machine.vcpu[Segment::ds].selector = 0x1234;
  ASSERT_TRUE(retired(machine.run({0x1e})));  // push ds
  EXPECT_EQ(machine[Register::esp], Machine::stack - 2);
  ASSERT_TRUE(retired(machine.run({0x07})));  // pop es
  EXPECT_EQ(machine.vcpu[Segment::es].selector, 0x1234u);
  EXPECT_EQ(machine.vcpu[Segment::es].base, 0x12340u);
  machine.memory.put16(0x6000, 0x1111);
  machine.memory.put16(0x6002, 0x2000);
  ASSERT_TRUE(retired(machine.run({0xc5, 0x36, 0x00, 0x60})));  // lds si, [0x6000]
  EXPECT_EQ(machine[Register::esi], 0x1111u);
  EXPECT_EQ(machine.vcpu[Segment::ds].base, 0x20000u);
}

TEST(InterpreterStack, PopOfABadSelectorKeepsThePointer) {
  Machine machine;
  machine.vcpu.gdtr = {GuestLinear(0x6000), 0x17};
  machine.memory.put32(Machine::stack, 0x18);
  EXPECT_EQ(fault(machine.run({0x1f})), Exception::general_protection(0x18));
  EXPECT_EQ(machine[Register::esp], Machine::stack);
}

TEST(InterpreterStack, FarJumpAndReturnInRealMode) {
  Machine machine(Mode::real);
  ASSERT_TRUE(retired(machine.run({0x9a, 0x10, 0x00, 0x00, 0x20})));  // call 2000:0010
  EXPECT_EQ(machine.vcpu.eip, 0x10u);
  EXPECT_EQ(machine.vcpu[Segment::cs].base, 0x20000u);
  EXPECT_EQ(machine.memory.get16(Machine::stack - 4), Machine::code + 5);
  machine.memory.put(0x20010, {0xcb});
  ASSERT_TRUE(retired(machine.step()));
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 5);
  EXPECT_EQ(machine.vcpu[Segment::cs].base, 0u);
}

TEST(InterpreterStack, ProtectedModeIsEnteredByAFarJump) {
  Machine machine(Mode::real);
  machine.vcpu.gdtr = {GuestLinear(0x6000), 0x17};
  machine.memory.put64(0x6008, 0x00cf9b000000ffff);
  machine[Register::eax] = cr0::protection_enable;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x22, 0xc0})));
  EXPECT_FALSE(machine.vcpu[Segment::cs].is_32_bit());
  // jmp 8:00002000 with a 32-bit offset
  ASSERT_TRUE(retired(machine.run({0x66, 0xea, 0, 0x20, 0, 0, 8, 0})));
  EXPECT_EQ(machine.vcpu.eip, 0x2000u);
  EXPECT_TRUE(machine.vcpu[Segment::cs].is_32_bit());
  EXPECT_EQ(machine.vcpu[Segment::cs].limit, 0xffffffffu);
}

TEST(InterpreterStack, IretSetsRfFromItsImage) {
  Machine machine;
  machine.vcpu.gdtr = {GuestLinear(0x6000), 0x17};
  machine.memory.put64(0x6008, 0x00cf9b000000ffff);
  machine.memory.put32(Machine::stack, 0x3000);
  machine.memory.put32(Machine::stack + 4, 8);
  machine.memory.put32(Machine::stack + 8, eflags::resume | eflags::carry | 2);
  ASSERT_TRUE(retired(machine.run({0xcf})));
  EXPECT_EQ(machine.vcpu.eip, 0x3000u);
  EXPECT_EQ(machine.vcpu.eflags, eflags::resume | eflags::carry | 2u);
}

TEST(InterpreterStack, Cmpxchg8bWritesInBothCases) {
  Machine machine;
  machine[Register::esi] = 0x6000;
  machine.memory.put64(0x6000, 0x1111111122222222);
  machine[Register::ebx] = 5;
  machine[Register::ecx] = 6;
  ASSERT_TRUE(retired(machine.run({0x0f, 0xc7, 0x0e})));
  EXPECT_EQ(machine.flag(eflags::zero), 0u);
  EXPECT_EQ(machine[Register::eax], 0x22222222u);
  EXPECT_EQ(machine[Register::edx], 0x11111111u);
  EXPECT_EQ(machine.memory.writes, 2u);
  ASSERT_TRUE(retired(machine.run({0x0f, 0xc7, 0x0e})));
  EXPECT_NE(machine.flag(eflags::zero), 0u);
  EXPECT_EQ(machine.memory.get64(0x6000), 0x0000000600000005u);
}

TEST(InterpreterStack, BitOffsetsReachBackwards) {
  Machine machine;
  machine[Register::eax] = 0xffffffff;  // -1: the top bit of the dword before
  machine[Register::ebx] = 0x6004;
  ASSERT_TRUE(retired(machine.run({0x0f, 0xab, 0x03})));  // bts [ebx], eax
  EXPECT_EQ(machine.memory.get32(0x6000), 0x80000000u);
}

TEST(InterpreterStack, BoundRaisesItsOwnException) {
  Machine machine;
  machine[Register::ebx] = 0x6000;
  machine.memory.put32(0x6000, 0xfffffffe);  // -2 to 2
  machine.memory.put32(0x6004, 2);
  for (int value : {-2, 0, 2}) {
    machine[Register::eax] = static_cast<std::uint32_t>(value);
    EXPECT_TRUE(retired(machine.run({0x62, 0x03})));
  }
  for (int value : {-3, 3}) {
    machine[Register::eax] = static_cast<std::uint32_t>(value);
    EXPECT_EQ(fault(machine.run({0x62, 0x03})), Exception::without_code(Vector::bound_range));
  }
}

TEST(InterpreterStack, LoopCountsInTheAddressSize) {
  Machine machine;
  machine[Register::ecx] = 0x10001;
  ASSERT_TRUE(retired(machine.run({0x67, 0xe2, 0x10})));  // loop with CX: not taken
  EXPECT_EQ(machine[Register::ecx], 0x10000u);
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 3);
}

}  // namespace
}  // namespace undercroft::test
