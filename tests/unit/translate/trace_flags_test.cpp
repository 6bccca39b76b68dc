// Translated CLI, STI, PUSHF and POPF: the virtual interrupt flag and the shadow of STI.
#include <gtest/gtest.h>

#include "block_fixture.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t stack = TranslatedGuest::stack;
constexpr std::uint32_t unusual[] = {eflags::trap, 1u << 12, 1u << 13, eflags::nested_task,
                                     eflags::alignment_check};

TEST_F(Block, CliClearsTheVirtualFlagOnly) {
  guest.put(code, {0xfa, 0xeb, 0});
  guest.vcpu.eflags |= eflags::interrupt | eflags::carry;
  set_registers();
  run_as_interpreted();
  EXPECT_FALSE(guest.vcpu.interrupts_enabled());
}

TEST_F(Block, StiSetsTheFlagIfNothingWaits) {
  guest.put(code, {0xfb, 0x40, 0xeb, 0});
  set_registers();
  guest.vcpu.eflags |= eflags::carry | eflags::overflow;
  run_as_interpreted();
  EXPECT_TRUE(guest.vcpu.interrupts_enabled());
}

TEST_F(Block, StiLeavesTheCacheIfAnInterruptWaits) {
  guest.put(code, {0x41, 0xfb, 0xeb, 0});  // inc ecx; sti
  guest.page().interrupt_pending = eflags::interrupt;
  set_registers();
  const auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->kind, ExitKind::interpret);
  EXPECT_EQ(end.exit->eip, code + 1);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x22222223u);
  EXPECT_FALSE(guest.vcpu.interrupts_enabled());
}

TEST_F(Block, TheInstructionBehindStiIsInItsShadow) {
  guest.put(code, {0xfb, 0x40, 0x41, 0xeb, 0});  // sti; inc eax; inc ecx
  bool shadowed = false;
  for (const std::uint32_t address : guest.run().visited) {
    const auto point = guest.cache.point_at(address);
    ASSERT_TRUE(point.has_value());
    EXPECT_EQ(point->state == PointState::shadowed, point->eip == code + 1);
    shadowed |= point->state == PointState::shadowed;
  }
  EXPECT_TRUE(shadowed);
}

TEST_F(Block, TheShadowReachesOverTheLimitsOfABlock) {
  // A block full of NOPs whose last instruction is STI takes one instruction more.
  for (unsigned nops = 0; nops < 240; ++nops) {
    auto fresh = std::make_unique<TranslatedGuest>();
    for (unsigned i = 0; i < nops; ++i) fresh->put(code + i, {0x90});
    fresh->put(code + nops, {0xfb, 0x40, 0x40, 0xf4});
    const auto end = fresh->run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_NE(end.exit->eip, code + nops + 1) << "a block ends in the shadow of STI";
  }
}

TEST_F(Block, TheShadowReachesOverTheEndOfThePage) {
  const std::uint32_t eip = code + page_size - 1;
  guest.put(eip, {0xfb, 0xf4});  // sti; hlt, as an idle loop has it
  guest.vcpu.eip = eip;
  for (const std::uint32_t address : guest.run().visited) {
    const auto point = guest.cache.point_at(address);
    ASSERT_TRUE(point.has_value());
    EXPECT_FALSE(point->eip == eip + 1 && point->state == PointState::boundary)
        << "an interrupt could come between STI and HLT";
  }
}

TEST_F(Block, PushfPushesTheVirtualFlag) {
  for (const std::uint32_t flags :
       {eflags::interrupt | eflags::carry, eflags::direction | eflags::zero,
        eflags::interrupt | eflags::identification, eflags::overflow | eflags::sign}) {
    guest.vcpu.eip = code;
    guest.put(code, {0x9c, 0xeb, 0});
    set_registers();
    guest.vcpu.eflags = eflags::always_one | flags;
    run_as_interpreted();
    EXPECT_EQ(guest.get32(stack - 4), eflags::always_one | flags);
  }
}

TEST_F(Block, PopfTakesBackWhatPushfGave) {
  guest.put(code, {0x9d, 0xeb, 0});
  for (const std::uint32_t bit :
       {0u, 1u << 0, 1u << 2, 1u << 4, 1u << 6, 1u << 7, 1u << 9, 1u << 10, 1u << 11, 1u << 21}) {
    for (const std::uint32_t before : {0u, eflags::arithmetic | eflags::interrupt}) {
      guest.vcpu.eip = code;
      set_registers();
      guest.vcpu.eflags = eflags::always_one | before;
      guest.put32(stack, eflags::always_one | bit);
      const auto end = run_as_interpreted();
      EXPECT_EQ(end.exit->kind, ExitKind::branch);
      EXPECT_EQ(guest.vcpu.eflags, eflags::always_one | bit);
    }
  }
}

TEST_F(Block, PopfOfUnusualFlagsIsTheInterpreters) {
  guest.put(code, {0x9d, 0xeb, 0});
  for (const std::uint32_t bit : unusual) {
    guest.vcpu.eip = code;
    set_registers();
    guest.put32(stack, eflags::always_one | bit);
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::interpret) << bit;
    EXPECT_EQ(end.exit->eip, code);
    EXPECT_EQ(guest.vcpu.general, before.general);  // flags are dead: POPF replaces them
    EXPECT_EQ(guest.vcpu.interrupts_enabled(), before.interrupts_enabled());
  }
}

TEST_F(Block, PopfThatRaisesIfMeetsAWaitingInterrupt) {
  guest.put(code, {0x9d, 0xeb, 0});
  for (const bool raises : {true, false}) {
    guest.vcpu.eip = code;
    guest.page().interrupt_pending = eflags::interrupt;
    set_registers();
    guest.put32(stack, raises ? 0x202 : 0x2);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, raises ? ExitKind::interpret : ExitKind::branch);
    EXPECT_EQ(guest.vcpu[Register::esp], raises ? stack : stack + 4);
    EXPECT_EQ(guest.vcpu[Register::ecx], 0x22222222u);
    EXPECT_FALSE(guest.vcpu.interrupts_enabled());
  }
}

}  // namespace
}  // namespace undercroft::test
