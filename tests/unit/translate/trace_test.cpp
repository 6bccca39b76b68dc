// Translated blocks by what its code does: each block is run by the interpreter at CPL 3 and must
// leave the guest where interpreting the original instructions leaves it.
#include "monitor/translate/trace.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "monitor/instruction/decoder.hpp"
#include "translated_guest.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t data = TranslatedGuest::data;
constexpr std::uint32_t stack = TranslatedGuest::stack;
constexpr std::uint32_t unusual[] = {eflags::trap, 1u << 12, 1u << 13, eflags::nested_task,
                                     eflags::alignment_check};

class Block : public ::testing::Test {
 protected:
  // Runs the block at the guest's EIP; the guest must come out as the interpreter leaves it after
  // the same instructions.
  TranslatedGuest::End run_as_interpreted() {
    const Vcpu before = guest.vcpu;
    const std::vector<std::uint8_t> memory(guest.ram_at(TranslatedGuest::ram),
                                           guest.ram_at(TranslatedGuest::ram) + ram_bytes);
    const auto end = guest.run();
    EXPECT_TRUE(end.exit.has_value());
    const Vcpu translated = guest.vcpu;
    const std::vector<std::uint8_t> after(guest.ram_at(TranslatedGuest::ram),
                                          guest.ram_at(TranslatedGuest::ram) + ram_bytes);
    std::copy(memory.begin(), memory.end(), guest.ram_at(TranslatedGuest::ram));
    guest.vcpu = before;
    if (translated.eip != before.eip) guest.interpret_to(translated.eip);
    EXPECT_EQ(guest.vcpu.general, translated.general);
    EXPECT_EQ(guest.vcpu.eip, translated.eip);
    EXPECT_EQ(guest.vcpu.eflags, translated.eflags);
    EXPECT_TRUE(std::equal(after.begin(), after.end(), guest.ram_at(TranslatedGuest::ram)));
    return end;
  }
  // The block must leave the instruction at its first byte to the interpreter, nothing changed.
  void expect_left_to_interpreter(std::uint32_t eip) {
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::interpret);
    EXPECT_EQ(end.exit->eip, eip);
    if (eip == before.eip) {
      EXPECT_EQ(guest.vcpu.general, before.general);
      EXPECT_EQ(guest.vcpu.eflags, before.eflags);
    }
  }
  // A fault in the block must leave the guest at `eip` with the registers it began with.
  void expect_fault_at(std::uint32_t eip) {
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exception.has_value());
    EXPECT_EQ(end.exception->vector, Vector::page_fault);
    EXPECT_EQ(guest.vcpu.eip, eip);
    EXPECT_EQ(guest.vcpu.general, before.general);
    EXPECT_EQ(guest.vcpu.eflags, before.eflags);
  }
  void set_registers() {
    for (unsigned i = 0; i < 8; ++i) guest.vcpu.general[i] = 0x11111111 * (i + 1);
    guest.vcpu[Register::esp] = stack;
  }

  static constexpr std::uint32_t ram_bytes = TranslatedGuest::ram_bytes;
  std::unique_ptr<TranslatedGuest> owner = std::make_unique<TranslatedGuest>();
  TranslatedGuest& guest = *owner;
};

TEST_F(Block, PlainInstructionsRunAndEveryOneHasItsPoint) {
  // mov eax, 5; add eax, [data]; lea ecx, [eax + 4]; mov [data + 4], ecx; jmp +2
  guest.put(code, {0xb8, 5,    0, 0,    0,    0x03, 0x05, 0,    0, 0x82, 0,
                   0x8d, 0x48, 4, 0x89, 0x0d, 4,    0,    0x82, 0, 0xeb, 2});
  guest.put32(data, 0x7ffffff0);
  const std::uint32_t start = guest.translate(code).start;
  const std::uint32_t boundaries[] = {0, 5, 11, 14, 20};
  for (const std::uint32_t offset : boundaries) {
    const auto point = guest.cache.point_at(start + offset);
    ASSERT_TRUE(point.has_value());
    EXPECT_EQ(point->eip, code + offset);
    EXPECT_EQ(point->state, PointState::boundary);
  }
  const auto end = run_as_interpreted();
  EXPECT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, code + 24);
}

// TCG takes stale flags into CMPXCHG8B unless a branch comes before (docs/decisions.md).
TEST_F(Block, CompareExchange8FollowsABranch) {
  guest.put(code, {0x0f, 0xc7, 0x09, 0xeb, 0});  // cmpxchg8b [ecx]
  set_registers();
  guest.vcpu[Register::ecx] = data;
  const std::uint32_t start = guest.translate(code).start;
  const auto end = run_as_interpreted();
  ASSERT_GE(end.visited.size(), 2u);
  EXPECT_EQ(end.visited[0], start);
  EXPECT_EQ(end.visited[1], start + 2);  // JMP to the next instruction
}

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

TEST_F(Block, InTellsItsPortAndGoesOnBehindItsExit) {
  struct Row {
    std::vector<std::uint8_t> bytes;
    PortAccess access;
  };
  for (const Row& row : {Row{{0xe4, 0x61}, {0x61, false, 1}}, Row{{0xe5, 0xf8}, {0xf8, false, 4}},
                         Row{{0x66, 0xe5, 0x40}, {0x40, false, 2}}, Row{{0xec}, {0, true, 1}},
                         Row{{0xed}, {0, true, 4}}, Row{{0x66, 0xed}, {0, true, 2}}}) {
    guest.cache.flush();
    guest.put(code, {0xf4, 0xf4, 0xf4, 0xf4});
    for (std::size_t i = 0; i < row.bytes.size(); ++i) {
      guest.put(code + static_cast<std::uint32_t>(i), {row.bytes[i]});
    }
    guest.vcpu.eip = code;
    set_registers();
    const std::uint32_t eax = guest.vcpu[Register::eax];
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::read_port);
    EXPECT_EQ(end.exit->eip, code);
    EXPECT_EQ(end.exit->access, row.access);
    guest.vcpu.eip = code;
    const auto behind = guest.run_from(end.address + read_port_exit_size);
    ASSERT_TRUE(behind.exit.has_value());
    EXPECT_EQ(behind.exit->kind, ExitKind::branch);
    EXPECT_EQ(behind.exit->eip, code + row.bytes.size());
    EXPECT_EQ(guest.vcpu[Register::eax], eax);
  }
}

TEST_F(Block, SegmentLoadsSayWhatTheyLoadAndGoOnBehind) {
  struct Row {
    std::vector<std::uint8_t> bytes;
    SegmentLoad load;
  };
  for (const Row& row :
       {Row{{0x8e, 0xd8}, {Segment::ds, false, 0, 2}},
        Row{{0x8e, 0xc7}, {Segment::es, false, 7, 2}},
        Row{{0x66, 0x8e, 0xe1}, {Segment::fs, false, 1, 3}},
        Row{{0x8e, 0xeb}, {Segment::gs, false, 3, 2}}, Row{{0x1f}, {Segment::ds, true, 0, 1}},
        Row{{0x07}, {Segment::es, true, 0, 1}}, Row{{0x0f, 0xa1}, {Segment::fs, true, 0, 2}},
        Row{{0x0f, 0xa9}, {Segment::gs, true, 0, 2}}}) {
    guest.cache.flush();
    guest.put(code, {0xf4, 0xf4, 0xf4, 0xf4});
    for (std::size_t i = 0; i < row.bytes.size(); ++i) {
      guest.put(code + static_cast<std::uint32_t>(i), {row.bytes[i]});
    }
    guest.vcpu.eip = code;
    set_registers();
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::segment);
    EXPECT_EQ(end.exit->eip, code);
    EXPECT_EQ(end.exit->load, row.load);
    const auto behind = guest.run_from(end.address + segment_exit_size);
    ASSERT_TRUE(behind.exit.has_value());
    EXPECT_EQ(behind.exit->kind, ExitKind::interpret);  // HLT
    EXPECT_EQ(behind.exit->eip, code + row.bytes.size());
  }
}

TEST_F(Block, LoadsOfSsFromMemoryAndOf16BitStacksAreTheInterpreters) {
  for (const std::vector<std::uint8_t>& bytes :
       {std::vector<std::uint8_t>{0x8e, 0xd0}, {0x17}, {0x8e, 0x18}, {0x66, 0x1f}}) {
    guest.cache.flush();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      guest.put(code + static_cast<std::uint32_t>(i), {bytes[i]});
    }
    guest.vcpu.eip = code;
    expect_left_to_interpreter(code);
  }
}

TEST_F(Block, InBehindStiIsTheInterpreters) {
  guest.put(code, {0xfb, 0xe4, 0x61});
  guest.vcpu.eip = code;
  expect_left_to_interpreter(code + 1);
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
        guest.put(guest.vcpu.eip, {0x0f, 0x80 | condition, 0x40, 0xff, 0xff, 0xff});
      else
        guest.put(guest.vcpu.eip, {0x70 | condition, 0x40});
      guest.vcpu.eflags = eflags::always_one | (random() & eflags::arithmetic);
      const auto end = run_as_interpreted();
      EXPECT_EQ(end.exit->kind, ExitKind::branch);
    }
  }
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
            guest.put(eip, {0x67, opcode, 0xc0});
          else
            guest.put(eip, {opcode, 0xc0});
          guest.vcpu[Register::ecx] = count;
          guest.vcpu.eflags = eflags::always_one | zf;
          const auto end = run_as_interpreted();
          EXPECT_EQ(end.exit->kind, ExitKind::branch);
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

TEST_F(Block, SelectorReadsGiveTheGuestsOwn) {
  // mov eax, ds; mov cx, es; push fs; mov esi, cs; mov edi, gs
  guest.put(code, {0x8c, 0xd8, 0x66, 0x8c, 0xc1, 0x0f, 0xa0, 0x8c, 0xce, 0x8c, 0xef, 0xeb, 0});
  set_registers();
  for (unsigned i = 0; i < 6; ++i) {
    guest.vcpu.segments[i].selector = static_cast<std::uint16_t>(0x100 * i + 0x18);
    guest.page().selectors[i] = guest.vcpu.segments[i].selector;
  }
  run_as_interpreted();
  EXPECT_EQ(guest.vcpu[Register::eax], 0x318u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x22220018u);
  EXPECT_EQ(guest.vcpu[Register::esi], 0x118u);
  EXPECT_EQ(guest.vcpu[Register::edi], 0x518u);
  EXPECT_EQ(guest.get32(stack - 4) & 0xffff, 0x418u);
}

TEST_F(Block, AccessesThroughReservedSegmentsAreEmulated) {
  const std::initializer_list<int> rows[] = {
      {0x65, 0xa1, 0, 0, 0, 0},              // mov eax, gs:[0]
      {0x2e, 0x8b, 0x05, 0, 0, 0x82, 0},     // mov eax, cs:[data]
      {0x65, 0xa4},                          // movsb from gs
      {0x2e, 0xa5},                          // movsd from cs
      {0x65, 0xff, 0x15, 0, 0, 0, 0},        // call gs:[0]
      {0x2e, 0xff, 0x25, 0, 0, 0x82, 0},     // jmp cs:[data]
      {0x65, 0xff, 0x35, 0, 0, 0, 0},        // push gs:[0]
      {0x65, 0x0f, 0xc7, 0x0d, 0, 0, 0, 0},  // cmpxchg8b gs:[0]
      {0x2e, 0xd7},                          // xlat from cs
  };
  std::uint32_t eip = code;
  for (const auto& row : rows) {
    guest.vcpu.eip = eip += 16;
    guest.put(eip, row);
    expect_left_to_interpreter(eip);
  }
  // Naming one without reaching memory through it is plain.
  guest.vcpu.eip = eip += 16;
  guest.put(eip, {0x65, 0x8d, 0x41, 0x04, 0xeb, 0});  // lea eax, gs:[ecx + 4]
  EXPECT_EQ(run_as_interpreted().exit->kind, ExitKind::branch);
}

TEST_F(Block, WhatTheProcessorMayNotRunIsTheInterpreters) {
  const std::initializer_list<int> rows[] = {
      {0xf4},  // hlt
      {0xee},
      {0xe6, 0x20},  // out
      {0x6c},
      {0xf3, 0x6e},  // insb, rep outsb
      {0x0f, 0x20, 0xc0},
      {0x0f, 0x22, 0xd8},
      {0x0f, 0x23, 0xc0},  // control, debug registers
      {0xcd, 0x80},
      {0xcc},
      {0xce},
      {0xcb},  // int, int3, into, iret, retf
      {0xea, 0, 0, 0, 0, 0x10, 0},
      {0x9a, 0, 0, 0, 0, 0x10, 0},
      {0xff, 0x2d, 0, 0, 0x82, 0},
      {0x0f, 0x01, 0x15, 0, 0, 0x82, 0},
      {0x0f, 0x01, 0x0d, 0, 0, 0x82, 0},  // lgdt, sidt
      {0x0f, 0x00, 0xd8},
      {0x0f, 0x00, 0xc8},  // ltr, str
      {0x0f, 0x01, 0xf0},
      {0x0f, 0x01, 0xe0},
      {0x0f, 0x06},  // lmsw, smsw, clts
      {0x0f, 0x30},
      {0x0f, 0x32},
      {0x0f, 0xa2},  // wrmsr, rdmsr, cpuid
      {0x0f, 0x08},
      {0x0f, 0x34},
      {0x0f, 0x35},  // sysenter, sysexit
      {0x8e, 0xd0},
      {0x17},  // mov ss, ax; pop ss
      {0x0f, 0x0b},
      {0x0f, 0xff, 0xc0},
      {0xf0, 0x90},
      {0x0f, 0x04},  // undefined ones
      {0x66, 0x9c},
      {0x66, 0x9d},  // pushfw, popfw
      {0x66, 0xe8, 0, 0},
      {0x66, 0xc3},
      {0x66, 0x74, 0},
      {0x66, 0xff, 0xe0},           // 16-bit branches
      {0x8c, 0x1d, 0, 0, 0x82, 0},  // mov [data], ds
      {0x0f, 0x02, 0xc1},
      {0x0f, 0x03, 0xc1},
      {0x0f, 0x00, 0xe0},  // lar, lsl, verr
  };
  std::uint32_t eip = code;
  for (const auto& row : rows) {
    guest.vcpu.eip = eip += 16;
    set_registers();
    guest.put(eip, row);
    SCOPED_TRACE(::testing::PrintToString(std::vector<int>(row)));
    expect_left_to_interpreter(eip);
  }
}

TEST_F(Block, StopsAtTheEndOfThePage) {
  const std::uint32_t eip = code + page_size - 3;
  guest.put(eip, {0x40, 0x40, 0x40, 0x41, 0x41});
  guest.vcpu.eip = eip;
  const auto made = guest.translate(eip);
  EXPECT_FALSE(made.crosses);
  const auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, code + page_size);
  EXPECT_EQ(guest.vcpu[Register::eax], 3u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0u);
}

TEST_F(Block, TheLastInstructionMayReachIntoTheNextPage) {
  const std::uint32_t eip = code + page_size - 3;
  guest.put(eip, {0x40, 0xb9, 1, 2, 3, 4, 0x40});  // inc eax; mov ecx, imm32
  guest.vcpu.eip = eip;
  EXPECT_TRUE(guest.translate(eip).crosses);
  const auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->eip, eip + 6);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x04030201u);
  EXPECT_EQ(guest.vcpu[Register::eax], 1u);
}

// A trace of its own, for which the monitor fetches the rest; if that cannot be, the interpreter
// raises what the fetch raises.
TEST_F(Block, AnInstructionCutShortBeginsTheNextTrace) {
  const std::uint32_t eip = code + page_size - 3;
  guest.put(eip, {0x40, 0xb9, 1, 2, 3, 4});
  guest.vcpu.eip = eip;
  guest.translate(eip, 3);
  const auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, eip + 1);
  EXPECT_EQ(guest.vcpu[Register::eax], 1u);
  guest.vcpu.eip = eip + 1;
  guest.translate(eip + 1, 2);
  expect_left_to_interpreter(eip + 1);
  // It depends on the bytes that were there all the same.
  EXPECT_TRUE(guest.cache.drop(eip / page_size, page_mask, page_mask));
}

TEST_F(Block, LongRunsAreSplitWithoutLoss) {
  for (unsigned i = 0; i < 2000; ++i) guest.put(code + i, {0x40});
  guest.put(code + 2000, {0xf4});
  const auto end = guest.run_through();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(guest.vcpu.eip, code + 2000);
  EXPECT_EQ(guest.vcpu[Register::eax], 2000u);
}

TEST_F(Block, LongInstructionsAreSplitWithoutLoss) {
  // 15 bytes: cs ds es ss cs add dword [disp32], imm32 with a 4-byte SIB form
  for (unsigned i = 0; i < 60; ++i) {
    guest.put(code + 15 * i, {0x36, 0x3e, 0x36, 0x3e, 0x81, 0x84, 0x25, 0, 0, 0x7f, 0, 1, 1, 0, 0});
  }
  guest.put(code + 900, {0xf4});
  guest.vcpu[Register::ebp] = 0x30000 + 0x100;
  guest.put32(0x7f0000 + 0x30100 + 0, 0);
  const auto end = guest.run_through();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(guest.vcpu.eip, code + 900);
  EXPECT_EQ(guest.get32(0x7f0000 + 0x30100), 60u * 0x101);
}

// Faults in the middle of sequences.

TEST_F(Block, FaultsInSequencesAreAtTheirStart) {
  constexpr std::uint32_t gone = stack + 0x4000;
  guest.set_present(gone, false);
  const struct {
    std::initializer_list<int> bytes;
    std::uint32_t esp;
  } rows[] = {
      {{0x9c}, gone + 8},              // pushf
      {{0x9d}, gone + 8},              // popf
      {{0xc3}, gone + 8},              // ret
      {{0xc2, 4, 0}, gone + 8},        // ret 4
      {{0xe8, 0, 0, 0, 0}, gone + 8},  // call
      {{0xff, 0xd0}, gone + 8},        // call eax
      {{0xff, 0xd1}, gone + 8},        // call ecx
      {{0xff, 0x10}, stack},           // call [eax]
      {{0xff, 0x11}, stack},           // call [ecx]
      {{0xff, 0x21}, stack},           // jmp [ecx]
      {{0x1e}, gone + 8},              // push ds
      {{0x0f, 0xc7, 0x09}, stack},     // cmpxchg8b [ecx]
      {{0xff, 0x31}, stack},           // push [ecx]
  };
  std::uint32_t eip = code;
  for (const auto& row : rows) {
    set_registers();
    guest.vcpu[Register::eax] = guest.vcpu[Register::ecx] = gone + 0x10;
    guest.vcpu[Register::esp] = row.esp;
    guest.vcpu.eflags = eflags::always_one | eflags::interrupt | eflags::carry;
    guest.vcpu.eip = eip += 16;
    guest.put(eip, {0x90});
    guest.put(eip + 1, row.bytes);
    expect_fault_at(eip + 1);
  }
}

// What the monitor's frames and map entries hold for the worst that a guest can write. These run in
// a child, since code that outgrows its buffers does not come back.

class NothingKnown final : public KnownBlocks {
 public:
  std::optional<std::uint32_t> find(std::uint32_t) const override { return std::nullopt; }
};

// The exit status of the child.
int outgrows_buffers(std::span<const std::uint8_t> bytes, bool guarded) {
  const auto trace = std::make_unique<TranslatedTrace>(window::cache);
  translate_trace(*trace, bytes, page_size, code, {window::jump_table, window::cache, guarded},
                  NothingKnown(), ~0u);
  bool ok = trace->point_count <= trace->points.size() &&
            trace->block_count <= trace->blocks.size() &&
            trace->assembler.size() <= TranslatedTrace::code_capacity;
  // Blocks and their points tile the trace, in order.
  unsigned points = 0, offset = 0;
  for (unsigned i = 0; ok && i < trace->block_count; ++i) {
    const BlockRecord& block = trace->blocks[i];
    ok = block.first_point == points && block.code_start >= offset &&
         block.code_size >= moved_exit_size && block.eip - code + block.guest_size <= bytes.size();
    points += block.point_count;
    offset = block.code_start + block.code_size;
  }
  return ok && offset <= trace->assembler.size() ? 0 : 1;
}

TEST(BlockLimits, HoldForRunsOfAnyOneInstruction) {
  ::testing::GTEST_FLAG(death_test_style) = "fast";
  const std::vector<std::uint8_t> rows[] = {
      {0x90},
      {0xfa},
      {0xfb},
      {0x9c},
      {0x9d},
      {0x1e},
      {0x8c, 0xd8},
      {0x66, 0x8c, 0xd8},
      {0x0f, 0xc7, 0x09},
      {0x0f, 0x31},
      {0x8e, 0xd8},
      {0x1f},
      {0x07},
      {0x0f, 0xa1},
      {0x0f, 0xa9},
      {0x8e, 0xe8},
      {0xfb, 0x9d},
      {0x9d, 0xfb},
      {0xfb, 0xfb, 0x9d},
      {0xcf},
      {0xc3},
      {0x74, 0},
      {0xe2, 0xfe},
      {0xe8, 0, 0, 0, 0},
      {0xff, 0xd0},
      {0xf4},
      {0xeb, 0},
      {0xfb, 0xcf},
      {0xfb, 0xc3},
      {0xfb, 0xe2, 0},
      {0xa5},              // two operands
      {0xff, 0x34, 0xcb},  // push [ebx + ecx * 8]
      {0xff, 0x14, 0xcb},
      {0x0f, 0xab, 0x9c, 0xcb, 1, 2, 3, 4},
      {0xfb, 0x0f, 0xab, 0x9c, 0xcb, 1, 2, 3, 4},
  };
  for (const auto& row : rows) {
    std::vector<std::uint8_t> bytes;
    while (bytes.size() < TranslatedGuest::longest_fetch) {
      bytes.insert(bytes.end(), row.begin(), row.end());
    }
    bytes.resize(TranslatedGuest::longest_fetch);
    for (const bool guarded : {false, true}) {
      EXPECT_EXIT(std::_Exit(outgrows_buffers(bytes, guarded)), ::testing::ExitedWithCode(0), "")
          << "a block of nothing but " << std::hex << unsigned{row[0]} << " " << row.size();
    }
  }
}

TEST(BlockLimits, HoldForRandomMixesOfSequences) {
  constexpr std::uint8_t bytes_of[] = {0x90, 0xfa, 0xfb, 0x9c, 0x9d, 0xcf, 0xc3,
                                       0x74, 0x1e, 0x06, 0x16, 0x0e, 0x40};
  std::mt19937 random(7);
  for (unsigned n = 0; n < 20; ++n) {
    std::vector<std::uint8_t> bytes(TranslatedGuest::longest_fetch);
    const unsigned kinds = 1 + random() % std::size(bytes_of);
    for (auto& byte : bytes) byte = bytes_of[random() % kinds];
    EXPECT_EXIT(std::_Exit(outgrows_buffers(bytes, n % 2 != 0)), ::testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace undercroft::test
