// User code in the cache, beside the kernel's: what is left to the interpreter, through which
// segment the virtual CPU page is reached, and that neither level finds the other's blocks.
#include <gtest/gtest.h>

#include <memory>

#include "translated_guest.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t data = TranslatedGuest::data;
constexpr std::uint32_t stack = TranslatedGuest::stack;

class UserCode : public ::testing::Test {
 protected:
  UserCode() {
    guest.cache.hold_both_levels();
    guest.cache.flush();
    guest.page().guard_bases.fill(0);
    guest.set_level(CodeLevel::user);
  }
  std::unique_ptr<TranslatedGuest> owner = std::make_unique<TranslatedGuest>();
  TranslatedGuest& guest = *owner;
};

TEST_F(UserCode, WhatTellsOfTheProcessorIsTheInterpreters) {
  const std::initializer_list<int> rows[] = {
      {0xfa},                       // cli
      {0xfb},                       // sti
      {0x9c},                       // pushf
      {0x9d},                       // popf
      {0xcf},                       // iret
      {0x0f, 0x01, 0x3b},           // invlpg
      {0x0f, 0xa2},                 // cpuid
      {0x0f, 0x01, 0x03},           // sgdt
      {0x0f, 0x01, 0x0b},           // sidt
      {0x0f, 0x00, 0xc0},           // sldt
      {0x0f, 0x00, 0xc8},           // str
      {0x0f, 0x01, 0xe0},           // smsw
      {0x0f, 0x02, 0xc1},           // lar
      {0x0f, 0x03, 0xc1},           // lsl
      {0x0f, 0x00, 0xe0},           // verr
      {0xcd, 0x80},                 // int
      {0x0f, 0x34},                 // sysenter
      {0x8e, 0xe8},                 // mov gs, eax
      {0x64, 0xa1, 0, 0, 0x82, 0},  // mov eax, fs:[data]
      {0x2e, 0xa1, 0, 0, 0x82, 0},  // mov eax, cs:[data]
      {0xf4},                       // hlt
  };
  std::uint32_t eip = code;
  for (const auto& row : rows) {
    guest.vcpu.eip = eip += 16;
    guest.put(eip, row);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value()) << std::hex << eip;
    EXPECT_EQ(end.exit->kind, ExitKind::interpret);
    EXPECT_EQ(end.exit->eip, eip);
  }
}

// It looks at IOPL there.
TEST_F(UserCode, PortsAreTheMonitors) {
  guest.put(code, {0xec});  // in al, dx
  const auto end = guest.run();
  EXPECT_EQ(end.exit->kind, ExitKind::port);
  EXPECT_EQ(end.exit->eip, code);
}

TEST_F(UserCode, ItsOwnGsIsPlainAndItsSelectorsAreRead) {
  // mov eax, gs:[data]; mov ecx, ds; push es; jmp +0
  guest.put(code, {0x65, 0xa1, 0, 0, 0x82, 0, 0x8c, 0xd9, 0x06, 0xeb, 0});
  guest.put32(data, 0x12345678);
  guest.page().selectors[static_cast<unsigned>(Segment::ds)] = 0x2b;
  guest.page().selectors[static_cast<unsigned>(Segment::es)] = 0x33;
  EXPECT_EQ(guest.run().exit->kind, ExitKind::branch);
  EXPECT_EQ(guest.vcpu[Register::eax], 0x12345678u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x2bu);
  EXPECT_EQ(guest.get32(stack - 4) & 0xffff, 0x33u);
}

TEST_F(UserCode, IsGuardedWithoutAsking) {
  guest.put(code, {0x8b, 0x03});  // mov eax, [ebx]
  guest.vcpu[Register::ebx] = window::cache;
  const auto end = guest.run();
  ASSERT_TRUE(end.exception.has_value());
  EXPECT_GE(guest.cache.point_at(end.address)->state, PointState::guarding_with_eax);
  EXPECT_EQ(guest.vcpu.eip, code);
  EXPECT_EQ(guest.vcpu[Register::ebx], window::cache);
}

TEST_F(UserCode, HasBlocksOfItsOwn) {
  guest.put(code, {0x40, 0xf4});
  const std::uint32_t of_user = guest.block_at(code);
  guest.set_level(CodeLevel::kernel);
  EXPECT_FALSE(guest.cache.find(code).has_value());
  const std::uint32_t of_kernel = guest.block_at(code);
  EXPECT_NE(of_user, of_kernel);
  EXPECT_EQ(guest.cache.find(code), of_kernel);
  guest.set_level(CodeLevel::user);
  EXPECT_EQ(guest.cache.find(code), of_user);
}

// An indirect branch to an address that the other level has a landing for misses it, and the
// monitor gets the registers whole.
TEST_F(UserCode, LandingsAreOfOneLevel) {
  constexpr std::uint32_t target = code + 0x400;
  guest.put(code, {0xff, 0xe0});  // jmp eax
  guest.put(target, {0x43, 0xf4});
  for (const CodeLevel owner_level : {CodeLevel::kernel, CodeLevel::user}) {
    for (const CodeLevel level : {CodeLevel::kernel, CodeLevel::user}) {
      guest.cache.flush();
      guest.set_level(owner_level);
      guest.cache.make_landing(target, guest.block_at(target));
      guest.set_level(level);
      guest.vcpu.eip = code;
      guest.vcpu.general = {target, 2, 3, 4, stack, 6, 7, 8};
      const auto end = guest.run();
      ASSERT_TRUE(end.exit.has_value());
      if (level == owner_level) {
        EXPECT_EQ(end.exit->eip, target + 1);
        EXPECT_EQ(guest.vcpu[Register::ebx], 5u);
      } else {
        EXPECT_EQ(end.exit->kind, ExitKind::indirect);
        EXPECT_EQ(guest.vcpu.eip, target);
        EXPECT_EQ(guest.vcpu[Register::ebx], 4u);
      }
      EXPECT_EQ(guest.vcpu[Register::eax], target);
      EXPECT_EQ(guest.vcpu[Register::ecx], 2u);
    }
  }
}

// The same for landings that a call in a trace makes.
TEST_F(UserCode, ReturnsComeBackToTheirOwnLevel) {
  guest.put(code, {0xe8, 0x0b, 0, 0, 0, 0x46, 0xf4});  // call; inc esi; hlt
  guest.put(code + 0x10, {0xc3});
  for (const CodeLevel level : {CodeLevel::user, CodeLevel::kernel, CodeLevel::user}) {
    guest.set_level(level);
    guest.vcpu.eip = code;
    guest.vcpu.general = {1, 2, 3, 4, stack, 6, 7, 8};
    const auto end = guest.run_through();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(guest.vcpu.eip, code + 6);
    EXPECT_EQ(guest.vcpu[Register::esi], 8u);
    EXPECT_EQ(guest.vcpu[Register::esp], stack);
  }
}

}  // namespace
}  // namespace undercroft::test
