// The assembler's encodings, byte by byte from the manual (SDM volume 2), and as the project's own
// decoder reads them, which differential tests hold against Zydis.
#include "monitor/translate/assembler.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "monitor/instruction/decoder.hpp"

namespace undercroft {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Code = Assembler<64>;

constexpr std::uint32_t origin = 0x180010;
constexpr Register registers[] = {Register::eax, Register::ecx, Register::edx, Register::ebx,
                                  Register::esp, Register::ebp, Register::esi, Register::edi};

Bytes emitted(const std::function<void(Code&)>& emit) {
  Code code(origin);
  emit(code);
  return {code.code().begin(), code.code().end()};
}

Instruction decoded(const Bytes& bytes) {
  const auto instruction = decode(bytes, true);
  EXPECT_TRUE(instruction.ok());
  EXPECT_EQ(instruction.value().length, bytes.size());
  return instruction.value();
}

TEST(Assembler, SpeaksTheManualsBytes) {
  const struct {
    const char* text;
    std::function<void(Code&)> emit;
    Bytes bytes;
  } rows[] = {
      {"mov gs:[12345678], ebx",
       [](Code& c) { c.store_to_page(0x12345678, Register::ebx); },
       {0x65, 0x89, 0x1d, 0x78, 0x56, 0x34, 0x12}},
      {"mov esi, gs:[40]",
       [](Code& c) { c.load_from_page(Register::esi, 0x40); },
       {0x65, 0x8b, 0x35, 0x40, 0, 0, 0}},
      {"mov byte gs:[1], 2",
       [](Code& c) { c.store_byte_to_page(1, 2); },
       {0x65, 0xc6, 0x05, 1, 0, 0, 0, 2}},
      {"push dword gs:[14]",
       [](Code& c) { c.push_from_page(0x14); },
       {0x65, 0xff, 0x35, 0x14, 0, 0, 0}},
      {"test gs:[4], ecx",
       [](Code& c) { c.test_page(4, Register::ecx); },
       {0x65, 0x85, 0x0d, 4, 0, 0, 0}},
      {"mov edi, [esp + 8]",
       [](Code& c) { c.load_stack(Register::edi, 8); },
       {0x8b, 0x7c, 0x24, 8}},
      {"mov [esp], edx", [](Code& c) { c.store_top(Register::edx); }, {0x89, 0x14, 0x24}},
      {"mov ebp, esi", [](Code& c) { c.move(Register::ebp, Register::esi); }, {0x89, 0xf5}},
      {"movzx eax, cx",
       [](Code& c) { c.zero_extend_word(Register::eax, Register::ecx); },
       {0x0f, 0xb7, 0xc1}},
      {"lea ecx, [ebp - 2]",
       [](Code& c) { c.lea(Register::ecx, Register::ebp, -2u); },
       {0x8d, 0x8d, 0xfe, 0xff, 0xff, 0xff}},
      {"lea ecx, [edx + esi + 8]",
       [](Code& c) { c.lea(Register::ecx, Register::edx, Register::esi, 8); },
       {0x8d, 0x8c, 0x32, 8, 0, 0, 0}},
      {"mov ecx, ss:[edx + 4]",
       [](Code& c) { c.load_by_stack_segment(Register::ecx, Register::edx, 4); },
       {0x36, 0x8b, 0x4a, 4}},
      {"lea esp, [esp + 104]",
       [](Code& c) { c.drop_stack(0x104); },
       {0x8d, 0xa4, 0x24, 4, 1, 0, 0}},
      {"push 80000001", [](Code& c) { c.push(0x80000001); }, {0x68, 1, 0, 0, 0x80}},
      {"pop ecx", [](Code& c) { c.pop(Register::ecx); }, {0x59}},
      {"and ecx, 200",
       [](Code& c) { c.and_immediate(Register::ecx, 0x200); },
       {0x81, 0xe1, 0, 2, 0, 0}},
      {"test ebx, 44100",
       [](Code& c) { c.test_immediate(Register::ebx, 0x44100); },
       {0xf7, 0xc3, 0, 0x41, 4, 0}},
      {"jmp to itself", [](Code& c) { c.jump(origin); }, {0xe9, 0xfb, 0xff, 0xff, 0xff}},
      {"jne forward", [](Code& c) { c.jump_if(5, origin + 0x106); }, {0x0f, 0x85, 0, 1, 0, 0}},
      {"jecxz", [](Code& c) { c.jump_if_ecx_zero(11); }, {0xe3, 11}},
      {"jmp cs:[140000 + 4 * eax]",
       [](Code& c) { c.jump_by_table(0x140000); },
       {0x2e, 0xff, 0x24, 0x85, 0, 0, 0x14, 0}},
  };
  for (const auto& row : rows) {
    const Bytes bytes = emitted(row.emit);
    EXPECT_EQ(bytes, row.bytes) << row.text;
    decoded(bytes);
  }
}

TEST(Assembler, PageAccessesUseGsAndTheRegisterGiven) {
  for (const Register reg : registers) {
    for (const bool store : {false, true}) {
      const Instruction i = decoded(emitted([&](Code& c) {
        if (store)
          c.store_to_page(0x24, reg);
        else
          c.load_from_page(reg, 0x24);
      }));
      EXPECT_EQ(i.operation, Operation::mov);
      EXPECT_EQ(i.segment, Segment::gs);
      EXPECT_EQ(i.memory, (MemoryOperand{.displacement = 0x24}));
      EXPECT_EQ(static_cast<Register>(i.reg()), reg);
      EXPECT_EQ(i.operands[0].kind, store ? OperandKind::rm : OperandKind::reg);
    }
  }
}

TEST(Assembler, LeaNamesBaseIndexAndDisplacement) {
  for (const Register base : registers) {
    if (base == Register::esp) continue;
    const Instruction i = decoded(emitted([&](Code& c) { c.lea(Register::ecx, base, 0x1234); }));
    EXPECT_EQ(i.operation, Operation::lea);
    EXPECT_EQ(i.memory, (MemoryOperand{.base = base, .displacement = 0x1234}));
    for (const Register index : registers) {
      if (index == Register::esp) continue;
      const Instruction two =
          decoded(emitted([&](Code& c) { c.lea(Register::edx, base, index, -4u); }));
      EXPECT_EQ(two.memory,
                (MemoryOperand{.base = base, .index = index, .displacement = 0xfffffffc}));
      EXPECT_EQ(static_cast<Register>(two.reg()), Register::edx);
    }
  }
}

TEST(Assembler, MovesBetweenAnyTwoRegisters) {
  for (const Register to : registers) {
    for (const Register from : registers) {
      const Instruction i = decoded(emitted([&](Code& c) { c.move(to, from); }));
      EXPECT_EQ(i.operation, Operation::mov);
      EXPECT_EQ(static_cast<Register>(i.rm()), to);
      EXPECT_EQ(static_cast<Register>(i.reg()), from);
      const Instruction z = decoded(emitted([&](Code& c) { c.zero_extend_word(to, from); }));
      EXPECT_EQ(z.operation, Operation::movzx);
      EXPECT_EQ(static_cast<Register>(z.reg()), to);
      EXPECT_EQ(static_cast<Register>(z.rm()), from);
    }
  }
}

TEST(Assembler, JumpsGoToTheTargetAndSayWhereTheirDisplacementIs) {
  Code code(origin);
  code.pop(Register::ecx);
  const std::uint32_t jump = code.jump(0x180000);
  EXPECT_EQ(jump, origin + 2);
  const std::uint32_t branch = code.jump_if(4, 0x190000);
  EXPECT_EQ(branch, origin + 8);
  const auto bytes = code.code();
  const auto first = decode(bytes.subspan(1), true).value();
  EXPECT_EQ(first.branch_target(origin + 1), 0x180000u);
  const auto second = decode(bytes.subspan(6), true).value();
  EXPECT_EQ(second.branch_target(origin + 6), 0x190000u);
  EXPECT_EQ(second.condition(), 4u);
}

TEST(Assembler, LandAtRedirectsAnEarlierJump) {
  Code code(origin);
  const std::uint32_t place = code.jump(0);
  code.byte(0x90);
  code.byte(0x90);
  code.land_at(place, code.here());
  EXPECT_EQ(decode(code.code(), true).value().branch_target(origin), code.here());
  EXPECT_EQ(code.here(), origin + 7);
  code.land_at(place, 0x170000);
  EXPECT_EQ(decode(code.code(), true).value().branch_target(origin), 0x170000u);
}

}  // namespace
}  // namespace undercroft
