// What surrounds an instruction: fetch, limits, flags RF and TF, interrupt shadows, outcomes.
#include <gtest/gtest.h>

#include "interpreter_machine.hpp"

namespace undercroft::test {
namespace {

using Kind = StepOutcome::Kind;

TEST(InterpreterStep, RetiresAndMovesOn) {
  Machine machine;
  const StepOutcome outcome = machine.run({0xb8, 1, 2, 3, 4});  // mov eax, imm32
  EXPECT_EQ(outcome.kind, Kind::retired);
  ASSERT_NE(outcome.instruction, nullptr);
  EXPECT_EQ(outcome.instruction->operation, Operation::mov);
  EXPECT_EQ(machine[Register::eax], 0x04030201u);
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 5);
}

TEST(InterpreterStep, CodeSizeIsThatOfCs) {
  Machine machine(Mode::protected_16);
  machine[Register::eax] = 0xffffffff;
  machine.run({0xb8, 1, 2});
  EXPECT_EQ(machine[Register::eax], 0xffff0201u);
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 3);
}

TEST(InterpreterStep, CodeSegmentHasABase) {
  Machine machine;
  machine.vcpu[Segment::cs].base = 0x2000;
  machine.memory.put(0x3000, {0x40});  // inc eax
  EXPECT_TRUE(retired(machine.step()));
  EXPECT_EQ(machine[Register::eax], 1u);
}

TEST(InterpreterStep, EveryByteLiesWithinTheLimit) {
  for (unsigned missing = 0; missing < 3; ++missing) {
    Machine machine;
    machine.put_code({0x83, 0xc0, 5});  // add eax, 5
    machine.vcpu[Segment::cs].limit = Machine::code + 2 - missing;
    const StepOutcome outcome = machine.step();
    EXPECT_EQ(fault(outcome) == general_protection, missing != 0);
  }
  Machine beyond;
  beyond.vcpu[Segment::cs].limit = Machine::code - 1;
  EXPECT_EQ(fault(beyond.step()), general_protection);
}

TEST(InterpreterStep, TheNextPageIsFetchedOnlyIfNeeded) {
  Machine machine;
  machine.vcpu.eip = 0x1fff;
  machine.memory.page(0x2000).present = false;
  EXPECT_TRUE(retired(machine.run({0x90})));

  machine.vcpu.eip = 0x1ffe;
  machine.memory.put(0x1ffe, {0x83, 0xc0});
  EXPECT_EQ(fault(machine.step()), Exception::page_fault(GuestLinear(0x2000), 0));
  EXPECT_EQ(machine.vcpu.eip, 0x1ffeu);

  machine.memory.page(0x2000).present = true;
  machine.memory.put8(0x2000, 7);
  EXPECT_TRUE(retired(machine.step()));
  EXPECT_EQ(machine[Register::eax], 7u);
}

TEST(InterpreterStep, ChangedCodeIsDecodedAgain) {
  Machine machine;
  const auto run_at_code = [&](std::initializer_list<int> bytes) {
    machine.vcpu.eip = Machine::code;
    machine[Register::eax] = 0;
    machine.put_code(bytes);
    EXPECT_TRUE(retired(machine.step()));
    return machine[Register::eax];
  };
  EXPECT_EQ(run_at_code({0x40}), 1u);           // inc eax
  EXPECT_EQ(run_at_code({0x48}), 0xffffffffu);  // dec eax
  EXPECT_EQ(run_at_code({0xb8, 1, 2, 3, 4}), 0x04030201u);
  EXPECT_EQ(run_at_code({0xb8, 1, 2, 3, 5}), 0x05030201u);
  machine.memory.put(Machine::code, {0xc7, 0x05, 0, 0x60, 0, 0, 1, 0, 0, 2});  // 10 bytes
  machine.vcpu.eip = Machine::code;
  EXPECT_TRUE(retired(machine.step()));
  machine.memory.put8(Machine::code + 9, 3);
  machine.vcpu.eip = Machine::code;
  EXPECT_TRUE(retired(machine.step()));
  EXPECT_EQ(machine.memory.get32(0x6000), 0x03000001u);

  // The same bytes in a 16-bit code segment are another instruction.
  EXPECT_EQ(run_at_code({0xb8, 1, 2, 3, 4}), 0x04030201u);
  machine.vcpu[Segment::cs].attributes &= static_cast<std::uint16_t>(~0x4000u);
  EXPECT_EQ(run_at_code({0xb8, 1, 2, 3, 4}), 0x0201u);
}

TEST(InterpreterStep, KnownCodeStillFaultsWhenItsPageGoes) {
  Machine machine;
  machine.vcpu.eip = 0x1fff;
  machine.put_code({0xb0, 0});  // mov al, 0 across the page boundary
  EXPECT_TRUE(retired(machine.step()));
  machine.vcpu.eip = 0x1fff;
  machine.memory.page(0x2000).present = false;
  EXPECT_EQ(fault(machine.step()), Exception::page_fault(GuestLinear(0x2000), 0));
}

TEST(InterpreterStep, UserFetchesWithUserRights) {
  Machine machine(Mode::protected_32, 3);
  machine.memory.page(Machine::code).user = false;
  EXPECT_EQ(fault(machine.run({0x90})), Exception::page_fault(GuestLinear(Machine::code), 5));
}

TEST(InterpreterStep, FifteenBytesAreTheMost) {
  Machine machine;
  for (unsigned i = 0; i < 14; ++i) machine.memory.put8(Machine::code + i, 0x3e);
  machine.memory.put8(Machine::code + 14, 0x90);
  EXPECT_TRUE(retired(machine.step()));
  machine.vcpu.eip = Machine::code;
  machine.memory.put(Machine::code + 14, {0x3e, 0x90});
  EXPECT_EQ(fault(machine.step()), general_protection);
}

TEST(InterpreterStep, UndefinedLockIsRaised) {
  Machine machine;
  EXPECT_EQ(fault(machine.run({0xf0, 0x40})), invalid_opcode);           // lock inc eax
  EXPECT_TRUE(retired(machine.run({0xf0, 0xff, 0x05, 0, 0x60, 0, 0})));  // lock inc [0x6000]
  EXPECT_EQ(machine.memory.get32(0x6000), 1u);
}

TEST(InterpreterStep, RfIsClearedByWhatRetiresOnly) {
  Machine machine;
  machine.vcpu.eflags |= eflags::resume;
  machine.run({0x0f, 0x0b});
  EXPECT_NE(machine.flag(eflags::resume), 0u);
  machine.run({0x90});
  EXPECT_EQ(machine.flag(eflags::resume), 0u);
}

TEST(InterpreterStep, SingleStepGoesByTheFlagAtTheStart) {
  Machine machine;
  machine.vcpu.eflags |= eflags::trap;
  EXPECT_TRUE(machine.run({0x90}).single_step);
  machine.memory.put32(Machine::stack, 0);
  EXPECT_TRUE(machine.run({0x9d}).single_step);  // popf that clears TF
  EXPECT_FALSE(machine.run({0x90}).single_step);
  machine[Register::esp] = Machine::stack;
  machine.memory.put32(Machine::stack, eflags::trap);
  EXPECT_FALSE(machine.run({0x9d}).single_step);  // popf that sets it
  EXPECT_FALSE(machine.run({0x0f, 0x0b}).single_step);
}

TEST(InterpreterStep, MovSsHoldsBackInterruptsAndTraps) {
  Machine machine(Mode::real);
  machine.vcpu.eflags |= eflags::trap;
  EXPECT_FALSE(machine.run({0x8e, 0xd0}).single_step);  // mov ss, ax
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::mov_ss);
  EXPECT_TRUE(machine.run({0x90}).single_step);
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::none);
  machine.run({0x17});  // pop ss
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::mov_ss);
  machine.run({0x8e, 0xd8});  // mov ds, ax
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::none);
}

// SDM volume 3, 6.8.3: of several in a row only the first is sure to hold anything back.
TEST(InterpreterStep, ASecondMovSsHoldsNothingBack) {
  for (const int second : {0x8e, 0x17}) {  // mov ss, ax; pop ss
    Machine machine(Mode::real);
    machine.vcpu.eflags |= eflags::trap;
    EXPECT_FALSE(machine.run({0x8e, 0xd0}).single_step);
    EXPECT_TRUE(machine.run({second, 0xd0}).single_step);
    EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::none);
    EXPECT_FALSE(machine.run({0x8e, 0xd0}).single_step);
  }
}

TEST(InterpreterStep, StiCastsAShadowWhereIfWasClear) {
  Machine machine;
  machine.run({0xfb});
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::sti);
  machine.run({0xfb});
  EXPECT_EQ(machine.vcpu.interrupt_shadow, InterruptShadow::none);
}

TEST(InterpreterStep, HltHalts) {
  Machine machine;
  EXPECT_EQ(machine.run({0xf4}).kind, Kind::halted);
  EXPECT_TRUE(machine.vcpu.halted);
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 1);
}

TEST(InterpreterStep, SoftwareInterruptsAreTheCallers) {
  const struct {
    std::initializer_list<int> bytes;
    Event::Kind kind;
    unsigned vector, length;
  } rows[] = {{{0xcd, 0x80}, Event::Kind::software_interrupt, 0x80, 2},
              {{0xcc}, Event::Kind::software_exception, 3, 1},
              {{0xf1}, Event::Kind::icebp, 1, 1},
              {{0xce}, Event::Kind::software_exception, 4, 1}};
  for (const auto& row : rows) {
    Machine machine;
    machine.vcpu.eflags |= eflags::overflow;
    const StepOutcome outcome = machine.run(row.bytes);
    EXPECT_EQ(outcome.kind, Kind::software_event);
    EXPECT_EQ(outcome.event.kind, row.kind);
    EXPECT_EQ(outcome.event.vector, row.vector);
    EXPECT_EQ(outcome.event.return_eip, Machine::code + row.length);
    EXPECT_EQ(machine.vcpu.eip, Machine::code);
  }
  Machine machine;
  EXPECT_TRUE(retired(machine.run({0xce})));  // INTO without OF
}

TEST(InterpreterStep, AlignmentCheck) {
  const auto outcome_of = [](unsigned cpl, bool mask, bool flag, std::uint32_t address) {
    Machine machine(Mode::protected_32, cpl);
    if (mask) machine.vcpu.cr0 |= cr0::alignment_mask;
    if (flag) machine.vcpu.eflags |= eflags::alignment_check;
    machine[Register::ebx] = address;
    return fault(machine.run({0x8b, 0x03}));  // mov eax, [ebx]
  };
  const std::optional<Exception> check = Exception::with_code(Vector::alignment_check, 0);
  EXPECT_EQ(outcome_of(3, true, true, 0x6002), check);
  EXPECT_EQ(outcome_of(3, true, true, 0x6004), std::nullopt);
  EXPECT_EQ(outcome_of(3, false, true, 0x6002), std::nullopt);
  EXPECT_EQ(outcome_of(3, true, false, 0x6002), std::nullopt);
  EXPECT_EQ(outcome_of(0, true, true, 0x6002), std::nullopt);
}

TEST(InterpreterStep, NearBranchesRespectTheLimit) {
  const std::initializer_list<int> branches[] = {
      {0xe9, 0, 0x10, 0, 0},        // jmp +0x1000
      {0xe8, 0, 0x10, 0, 0},        // call +0x1000
      {0x0f, 0x83, 0, 0x10, 0, 0},  // jnc +0x1000
      {0xff, 0xe0},                 // jmp eax
      {0xc3},                       // ret
  };
  for (const auto& bytes : branches) {
    Machine machine;
    machine.vcpu[Segment::cs].limit = 0x1fff;
    machine[Register::eax] = 0x2000;
    machine.memory.put32(Machine::stack, 0x2000);
    EXPECT_EQ(fault(machine.run(bytes)), general_protection);
    EXPECT_EQ(machine.vcpu.eip, Machine::code);
    EXPECT_EQ(machine[Register::esp], Machine::stack);
  }
}

TEST(InterpreterStep, A16BitBranchClearsTheUpperHalf) {
  Machine machine;
  machine.vcpu.eip = 0x1fff0;
  machine.run({0x66, 0xe9, 0x10, 0x00});
  EXPECT_EQ(machine.vcpu.eip, 0x0004u);
}

TEST(InterpreterStep, SegmentChecksComeFirst) {
  Machine machine;
  machine.vcpu[Segment::ds].limit = 0x5fff;
  machine[Register::ebx] = 0x5ffe;
  EXPECT_EQ(fault(machine.run({0x8b, 0x03})), general_protection);  // mov eax, [ebx]
  machine.vcpu[Segment::ss].limit = 0x5fff;
  EXPECT_EQ(fault(machine.run({0x50})), Exception::stack_fault());  // push eax
  machine.vcpu[Segment::ds] = {};
  EXPECT_EQ(fault(machine.run({0x8b, 0x03})), general_protection);
  // A write through CS is a write to code.
  EXPECT_EQ(fault(machine.run({0x2e, 0x89, 0x03})), general_protection);
}

TEST(InterpreterStep, ModifyRaisesTheFaultOfAWrite) {
  Machine machine(Mode::protected_32, 3);
  machine.memory.page(0x6000).writable = false;
  machine[Register::ebx] = 0x6000;
  const Vcpu before = machine.vcpu;
  EXPECT_EQ(fault(machine.run({0x01, 0x03})), Exception::page_fault(GuestLinear(0x6000), 7));
  EXPECT_EQ(machine.vcpu.eflags, before.eflags);
}

// ARPL asks for it also where it would leave the selector as it is.
TEST(InterpreterStep, ArplRaisesTheFaultOfAWrite) {
  Machine machine(Mode::protected_32, 3);
  machine.memory.page(0x6000).writable = false;
  machine[Register::ebx] = 0x6000;
  machine[Register::eax] = 0;
  EXPECT_EQ(fault(machine.run({0x63, 0x03})), Exception::page_fault(GuestLinear(0x6000), 7));
}

}  // namespace
}  // namespace undercroft::test
