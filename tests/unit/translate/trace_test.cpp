// Translated blocks by what their code does, but for branches and the interrupt flag, which have
// files of their own; where a block ends.
#include "monitor/translate/trace.hpp"

#include <gtest/gtest.h>

#include "block_fixture.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t data = TranslatedGuest::data;
constexpr std::uint32_t stack = TranslatedGuest::stack;

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

TEST_F(Block, InAndOutTellTheirPortAndGoOnBehindTheirExit) {
  struct Row {
    std::vector<std::uint8_t> bytes;
    PortAccess access;
  };
  for (const Row& row :
       {Row{{0xe4, 0x61}, {0x61, false, false, 1, 2}},
        Row{{0xe5, 0xf8}, {0xf8, false, false, 4, 2}},
        Row{{0x66, 0xe5, 0x40}, {0x40, false, false, 2, 3}}, Row{{0xec}, {0, true, false, 1, 1}},
        Row{{0xed}, {0, true, false, 4, 1}}, Row{{0x66, 0xed}, {0, true, false, 2, 2}},
        Row{{0xe6, 0x80}, {0x80, false, true, 1, 2}}, Row{{0xe7, 0xf8}, {0xf8, false, true, 4, 2}},
        Row{{0x66, 0xe7, 0x40}, {0x40, false, true, 2, 3}}, Row{{0xee}, {0, true, true, 1, 1}},
        Row{{0xef}, {0, true, true, 4, 1}}, Row{{0x66, 0xef}, {0, true, true, 2, 2}}}) {
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
    EXPECT_EQ(end.exit->kind, ExitKind::port);
    EXPECT_EQ(end.exit->eip, code);
    EXPECT_EQ(end.exit->access, row.access);
    guest.vcpu.eip = code;
    const auto behind = guest.run_from(end.address + port_exit_size);
    ASSERT_TRUE(behind.exit.has_value());
    EXPECT_EQ(behind.exit->kind, ExitKind::interpret);  // HLT
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

TEST_F(Block, InAndOutBehindStiAreTheInterpreters) {
  for (const std::uint8_t opcode : {0xe4, 0xe6}) {
    guest.cache.flush();
    guest.put(code, {0xfb, opcode, 0x61});
    guest.vcpu.eip = code;
    expect_left_to_interpreter(code + 1);
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

}  // namespace
}  // namespace undercroft::test
