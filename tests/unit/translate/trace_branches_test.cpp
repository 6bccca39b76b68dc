// Translated branches: where the guest goes on, and what is on its stack.
#include <gtest/gtest.h>

#include <random>

#include "block_fixture.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t data = TranslatedGuest::data;
constexpr std::uint32_t stack = TranslatedGuest::stack;

TEST_F(Block, CallPushesTheGuestsReturnAddress) {
  guest.put(code, {0xe8, 0x10, 0, 0, 0});
  const auto end = run_as_interpreted();
  EXPECT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, code + 0x15);
  EXPECT_EQ(guest.get32(stack - 4), code + 5);
}

TEST_F(Block, ReturnsGoToWhatTheStackSays) {
  for (const bool releases : {false, true}) {
    guest.vcpu.eip = releases ? code : code + 0x100;
    set_registers();
    if (releases)
      guest.put(code, {0xc2, 0x08, 0x01});
    else
      guest.put(code + 0x100, {0xc3});
    guest.put32(stack, code + 0x345);
    guest.vcpu.eflags |= eflags::carry | eflags::zero;
    const auto end = run_as_interpreted();
    EXPECT_EQ(end.exit->kind, ExitKind::indirect);
    EXPECT_EQ(guest.vcpu.eip, code + 0x345);
    EXPECT_EQ(guest.vcpu[Register::esp], releases ? stack + 4 + 0x108 : stack + 4);
  }
}

TEST_F(Block, ConditionalJumpsFollowTheFlags) {
  std::mt19937 random(1);
  for (int condition = 0; condition < 16; ++condition) {
    for (unsigned n = 0; n < 24; ++n) {
      const bool is_long = n & 1;
      guest.vcpu.eip = code + static_cast<std::uint32_t>(condition) * 16 + (is_long ? 8 : 0);
      if (is_long)
        guest.put(guest.vcpu.eip, {0x0f, 0x80 | condition, 0x40, 0, 0, 0, 0xf4});
      else
        guest.put(guest.vcpu.eip, {0x70 | condition, 0x40, 0xf4});
      const std::uint32_t behind = guest.vcpu.eip + (is_long ? 6 : 2);
      guest.vcpu.eflags = eflags::always_one | (random() & eflags::arithmetic);
      const auto end = run_as_interpreted();
      expect_branch_or_halt(end, behind);
    }
  }
}

TEST_F(Block, ATraceGoesOnBehindOneConditionalBranch) {
  guest.put(code, {0x74, 0x0e, 0x41, 0x72, 0x20, 0x42, 0xf4});  // je; inc ecx; jc; inc edx; hlt
  guest.vcpu.eip = code;
  guest.vcpu.eflags = eflags::always_one;
  const auto end = run_as_interpreted();
  EXPECT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, code + 5);
  EXPECT_EQ(guest.cache.counts().instructions, 3u);
  EXPECT_EQ(guest.cache.counts().blocks, 2u);
}

TEST_F(Block, CountedJumpsFollowEcxAndZf) {
  std::uint32_t eip = code;
  for (const int opcode : {0xe0, 0xe1, 0xe2, 0xe3}) {
    for (const bool short_count : {false, true}) {
      for (const std::uint32_t count : {0u, 1u, 2u, 0x10000u, 0x10001u}) {
        for (const std::uint32_t zf : {0u, eflags::zero}) {
          eip += 16;
          guest.vcpu.eip = eip;
          if (short_count)
            guest.put(eip, {0x67, opcode, 0x40, 0xf4});
          else
            guest.put(eip, {opcode, 0x40, 0xf4});
          guest.vcpu[Register::ecx] = count;
          guest.vcpu.eflags = eflags::always_one | zf;
          const auto end = run_as_interpreted();
          expect_branch_or_halt(end, eip + (short_count ? 3 : 2));
        }
      }
    }
  }
}

TEST_F(Block, IndirectBranchesTakeAnyOperand) {
  const std::initializer_list<int> rows[] = {
      {0xff, 0xe0},
      {0xff, 0xe1},
      {0xff, 0xe6},  // jmp eax, ecx, esi
      {0xff, 0xd0},
      {0xff, 0xd1},
      {0xff, 0xd7},  // call eax, ecx, edi
      {0xff, 0xd4},
      {0xff, 0xe4},  // call esp, jmp esp
      {0xff, 0x61, 0x08},
      {0xff, 0x51, 0x08},        // jmp, call [ecx + 8]
      {0xff, 0x64, 0x8b, 0x04},  // jmp [ebx + ecx * 4 + 4]
      {0xff, 0x25, 0, 0, 0x82, 0},
      {0xff, 0x15, 0, 0, 0x82, 0},  // [data]
      {0xff, 0x54, 0x24, 0x04},     // call [esp + 4]
      {0x26, 0xff, 0x61, 0x08},
      {0x36, 0xff, 0x51, 0x08},  // es:, ss:
      {0x3e, 0xff, 0xe0},        // notrack jmp eax
  };
  for (unsigned i = 0; i < 0x100; i += 4) guest.put32(data + i, code + 0x1000 + i);
  for (unsigned i = 0; i < 0x20; i += 4) guest.put32(stack + i, code + 0x2000 + i);
  std::uint32_t eip = code;
  for (const auto& row : rows) {
    eip += 16;
    set_registers();
    guest.vcpu.eip = eip;
    guest.put(eip, row);
    guest.vcpu[Register::eax] = code + 0x3000;
    guest.vcpu[Register::ebx] = data - 0x10;
    guest.vcpu[Register::ecx] = row.size() == 4 && *(row.begin() + 1) == 0x64 ? 8 : data + 0x40;
    guest.vcpu.eflags = eflags::always_one | eflags::carry | eflags::interrupt;
    const auto end = run_as_interpreted();
    EXPECT_EQ(end.exit->kind, ExitKind::indirect);
  }
}

}  // namespace
}  // namespace undercroft::test
