// The opcode tables by region: operation, class, operands and widths of representative rows; the
// notation that the rows are written in.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "monitor/instruction/decoder.hpp"
#include "monitor/instruction/opcode_tables.hpp"
#include "monitor/instruction/operation_names.hpp"

namespace undercroft {
namespace {

using Bytes = std::vector<std::uint8_t>;
using enum InstructionClass;

struct Expected {
  Bytes bytes;
  Operation operation;
  InstructionClass instruction_class;
  unsigned memory_width;  // bytes
};

void check(std::initializer_list<Expected> table) {
  for (const Expected& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.bytes));
    const auto result = decode(row.bytes, true);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(name(result.value().operation), name(row.operation));
    EXPECT_EQ(result.value().instruction_class, row.instruction_class);
    EXPECT_EQ(result.value().memory_width, row.memory_width);
    EXPECT_EQ(result.value().length, row.bytes.size());
  }
}

TEST(OpcodeTables, Arithmetic) {
  check({{{0x00, 0x00}, Operation::add, plain, 1},
         {{0x09, 0x00}, Operation::or_, plain, 4},
         {{0x12, 0x00}, Operation::adc, plain, 1},
         {{0x1b, 0x00}, Operation::sbb, plain, 4},
         {{0x24, 0x00}, Operation::and_, plain, 0},
         {{0x2d, 0, 0, 0, 0}, Operation::sub, plain, 0},
         {{0x66, 0x31, 0x00}, Operation::xor_, plain, 2},
         {{0x3c, 0x00}, Operation::cmp, plain, 0},
         {{0x82, 0x38, 0x00}, Operation::cmp, plain, 1},
         {{0xd1, 0x20}, Operation::shl, plain, 4},
         {{0xc0, 0x30, 1}, Operation::sal, plain, 1},
         {{0xf6, 0x08, 1}, Operation::test, plain, 1},
         {{0xf7, 0x38}, Operation::idiv, plain, 4},
         {{0x0f, 0xa4, 0x00, 1}, Operation::shld, plain, 4},
         {{0x0f, 0xaf, 0x00}, Operation::imul, plain, 4},
         {{0x0f, 0xb6, 0x00}, Operation::movzx, plain, 1},
         {{0x0f, 0xbf, 0x00}, Operation::movsx, plain, 2},
         {{0x0f, 0xc7, 0x08}, Operation::cmpxchg8b, plain, 8},
         {{0x0f, 0xcb}, Operation::bswap, plain, 0},
         {{0xf3, 0x0f, 0xb8, 0x00}, Operation::popcnt, plain, 4},
         {{0xf2, 0x0f, 0x38, 0xf0, 0x00}, Operation::crc32, plain, 1},
         {{0x0f, 0x38, 0xf1, 0x00}, Operation::movbe, plain, 4}});
}

TEST(OpcodeTables, BranchesAreNear) {
  check({{{0x74, 0x00}, Operation::jcc, branch, 0},
         {{0x0f, 0x85, 0, 0, 0, 0}, Operation::jcc, branch, 0},
         {{0xe3, 0x00}, Operation::jcxz, branch, 0},
         {{0xe2, 0x00}, Operation::loop, branch, 0},
         {{0xe8, 0, 0, 0, 0}, Operation::call_near, branch, 0},
         {{0xff, 0x10}, Operation::call_near, branch, 4},
         {{0xff, 0x20}, Operation::jmp_near, branch, 4},
         {{0xff, 0xe0}, Operation::jmp_near, branch, 0},
         {{0xc3}, Operation::ret_near, branch, 0},
         {{0xff, 0x18}, Operation::call_far, sensitive, 6},
         {{0x66, 0xff, 0x28}, Operation::jmp_far, sensitive, 4},
         {{0x9a, 0, 0, 0, 0, 0, 0}, Operation::call_far, sensitive, 0},
         {{0xcb}, Operation::ret_far, sensitive, 0}});
}

TEST(OpcodeTables, PrivilegedTrapsAlways) {
  check({{{0xf4}, Operation::hlt, privileged, 0},
         {{0x0f, 0x06}, Operation::clts, privileged, 0},
         {{0x0f, 0x08}, Operation::invd, privileged, 0},
         {{0x0f, 0x09}, Operation::wbinvd, privileged, 0},
         {{0x0f, 0x01, 0x38}, Operation::invlpg, privileged, 0},
         {{0x0f, 0x01, 0x10}, Operation::lgdt, privileged, 6},
         {{0x0f, 0x01, 0x18}, Operation::lidt, privileged, 6},
         {{0x0f, 0x00, 0xd0}, Operation::lldt, privileged, 0},
         {{0x0f, 0x00, 0x18}, Operation::ltr, privileged, 2},
         {{0x0f, 0x01, 0xf0}, Operation::lmsw, privileged, 0},
         {{0x0f, 0x20, 0xc0}, Operation::mov_from_cr, privileged, 0},
         {{0x0f, 0x22, 0x18}, Operation::mov_to_cr, privileged, 0},  // mod is ignored
         {{0x0f, 0x21, 0xf8}, Operation::mov_from_dr, privileged, 0},
         {{0x0f, 0x23, 0xf8}, Operation::mov_to_dr, privileged, 0},
         {{0x0f, 0x30}, Operation::wrmsr, privileged, 0},
         {{0x0f, 0x32}, Operation::rdmsr, privileged, 0},
         {{0x0f, 0x35}, Operation::sysexit, privileged, 0},
         {{0x0f, 0xaa}, Operation::rsm, privileged, 0},
         {{0x0f, 0x01, 0xc8}, Operation::monitor, privileged, 0},
         {{0x0f, 0x01, 0xc9}, Operation::mwait, privileged, 0},
         {{0x0f, 0x01, 0xd1}, Operation::xsetbv, privileged, 0}});
}

TEST(OpcodeTables, SensitiveDoesNotAlwaysTrap) {
  check({{{0x9c}, Operation::pushf, sensitive, 0},
         {{0x9d}, Operation::popf, sensitive, 0},
         {{0xcf}, Operation::iret, sensitive, 0},
         {{0xfa}, Operation::cli, sensitive, 0},
         {{0xfb}, Operation::sti, sensitive, 0},
         {{0xcc}, Operation::int3, sensitive, 0},
         {{0xcd, 0x80}, Operation::int_, sensitive, 0},
         {{0xce}, Operation::into, sensitive, 0},
         {{0xf1}, Operation::int1, sensitive, 0},
         {{0xe4, 0}, Operation::in, sensitive, 0},
         {{0xef}, Operation::out, sensitive, 0},
         {{0x6c}, Operation::ins, sensitive, 0},
         {{0x6f}, Operation::outs, sensitive, 0},
         {{0x0f, 0x01, 0x00}, Operation::sgdt, sensitive, 6},
         {{0x0f, 0x01, 0x08}, Operation::sidt, sensitive, 6},
         {{0x0f, 0x00, 0x00}, Operation::sldt, sensitive, 2},
         {{0x0f, 0x00, 0xc8}, Operation::str, sensitive, 0},
         {{0x0f, 0x00, 0x20}, Operation::verr, sensitive, 2},
         {{0x0f, 0x00, 0xe8}, Operation::verw, sensitive, 0},
         {{0x0f, 0x01, 0xe0}, Operation::smsw, sensitive, 0},
         {{0x0f, 0x02, 0xc0}, Operation::lar, sensitive, 0},
         {{0x0f, 0x03, 0x00}, Operation::lsl, sensitive, 2},
         {{0x0f, 0xa2}, Operation::cpuid, sensitive, 0},
         {{0x0f, 0x31}, Operation::rdtsc, sensitive, 0},
         {{0x0f, 0x01, 0xf9}, Operation::rdtscp, sensitive, 0},
         {{0x0f, 0x33}, Operation::rdpmc, sensitive, 0},
         {{0x0f, 0x34}, Operation::sysenter, sensitive, 0},
         {{0x0f, 0x01, 0xd0}, Operation::xgetbv, sensitive, 0}});
}

TEST(OpcodeTables, SegmentRegistersAreSensitive) {
  struct Row {
    Bytes bytes;
    Operation operation;
    Segment segment;
  };
  using enum Segment;
  const Row table[] = {
      {{0x06}, Operation::push_segment, es},
      {{0x0e}, Operation::push_segment, cs},
      {{0x16}, Operation::push_segment, ss},
      {{0x1e}, Operation::push_segment, ds},
      {{0x0f, 0xa0}, Operation::push_segment, fs},
      {{0x0f, 0xa8}, Operation::push_segment, gs},
      {{0x07}, Operation::pop_segment, es},
      {{0x17}, Operation::pop_segment, ss},
      {{0x1f}, Operation::pop_segment, ds},
      {{0x0f, 0xa1}, Operation::pop_segment, fs},
      {{0x0f, 0xa9}, Operation::pop_segment, gs},
      {{0x8c, 0xc8}, Operation::mov_from_segment, cs},
      {{0x8c, 0x28}, Operation::mov_from_segment, gs},
      {{0x8e, 0xd0}, Operation::mov_to_segment, ss},
      {{0x8e, 0x20}, Operation::mov_to_segment, fs},
      {{0xc4, 0x00}, Operation::load_far_pointer, es},
      {{0xc5, 0x00}, Operation::load_far_pointer, ds},
      {{0x0f, 0xb2, 0x00}, Operation::load_far_pointer, ss},
      {{0x0f, 0xb4, 0x00}, Operation::load_far_pointer, fs},
      {{0x0f, 0xb5, 0x00}, Operation::load_far_pointer, gs},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.bytes));
    const auto result = decode(row.bytes, true);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.value().operation, row.operation);
    EXPECT_EQ(result.value().segment_register, row.segment);
    EXPECT_EQ(result.value().instruction_class, sensitive);
  }
}

TEST(OpcodeTables, StoringASelectorIsTwoBytesWide) {
  const auto memory = decode(Bytes{0x8c, 0x18}, true).value();
  EXPECT_EQ(memory.operands[0], (Operand{OperandKind::rm, 2}));
  const auto wide = decode(Bytes{0x8c, 0xd8}, true).value();
  EXPECT_EQ(wide.operands[0], (Operand{OperandKind::rm, 4}));
  const auto narrow = decode(Bytes{0x66, 0x8c, 0xd8}, true).value();
  EXPECT_EQ(narrow.operands[0], (Operand{OperandKind::rm, 2}));
}

TEST(OpcodeTables, Undefined) {
  check({{{0x0f, 0x0b}, Operation::undefined, undefined, 0},
         {{0x0f, 0xb9, 0x00}, Operation::undefined, undefined, 0},
         {{0x0f, 0xff, 0xc0}, Operation::undefined, undefined, 0}});
}

TEST(OpcodeTables, Native) {
  check({{{0xd8, 0x00}, Operation::fpu, plain, 4},
         {{0xdb, 0x28}, Operation::fpu, plain, 10},
         {{0xd9, 0x30}, Operation::fpu_environment, plain, 28},
         {{0x66, 0xdd, 0x30}, Operation::fpu_environment, plain, 94},
         {{0xdd, 0x20}, Operation::fpu, plain, 108},
         {{0xdb, 0xe3}, Operation::fpu, plain, 0},
         {{0x9b}, Operation::fwait, plain, 0},
         {{0x0f, 0x77}, Operation::mmx, plain, 0},
         {{0x0f, 0x6f, 0x00}, Operation::mmx, plain, 8},
         {{0x66, 0x0f, 0x6f, 0x00}, Operation::sse, plain, 16},
         {{0xf3, 0x0f, 0x10, 0x00}, Operation::sse, plain, 4},
         {{0xf2, 0x0f, 0x10, 0x00}, Operation::sse, plain, 8},
         {{0x0f, 0xae, 0x00}, Operation::fxsave, plain, 512},
         {{0x0f, 0xae, 0x08}, Operation::fxrstor, plain, 512},
         {{0x0f, 0xae, 0xf0}, Operation::fence, plain, 0},
         {{0x0f, 0x3a, 0x0f, 0x00, 1}, Operation::mmx, plain, 8},
         {{0x66, 0x0f, 0x38, 0x22, 0x00}, Operation::sse, plain, 2}});
  EXPECT_TRUE(decode(Bytes{0xd8, 0x00}, true).value().is_native());
  EXPECT_FALSE(decode(Bytes{0x0f, 0xc3, 0x00}, true).value().is_native());  // MOVNTI
}

// Every operation that exists is produced by some row, and by its name alone.
TEST(OpcodeTables, NoOperationIsWithoutARow) {
  std::set<Operation> met;
  const auto add = [&](const auto& map) {
    for (const auto& row : map.rows) met.insert(row.operation);
    for (const auto& group : map.groups)
      for (const auto& row : group) met.insert(row.operation);
  };
  add(opcode::one_byte);
  add(opcode::two_byte);
  add(opcode::three_byte_38);
  add(opcode::three_byte_3a);
  for (const auto& line : opcode::fpu_memory_forms)
    for (const auto& row : line) met.insert(row.operation);
  met.insert(Operation::mmx);  // a form of a row of sse
  std::set<std::string_view> names;
  for (unsigned i = 0; i < operation_names.size(); ++i) {
    EXPECT_TRUE(met.count(static_cast<Operation>(i))) << operation_names[i];
    EXPECT_TRUE(names.insert(operation_names[i]).second) << operation_names[i];
  }
}

TEST(OpcodeLetters, Notation) {
  using namespace opcode;
  constexpr Row row = opcode::plain(Operation::imul, "Gv Ew Is");
  EXPECT_EQ(row.operands[1][0], (Operand{OperandKind::reg, 4}));
  EXPECT_EQ(row.operands[0][0], (Operand{OperandKind::reg, 2}));
  EXPECT_EQ(row.operands[1][1], (Operand{OperandKind::rm, 2}));
  EXPECT_EQ(row.operands[1][2], (Operand{OperandKind::immediate, 4}));
  EXPECT_EQ(row.immediate, Immediate::byte_signed);
  EXPECT_TRUE(row.has(has_modrm));
  EXPECT_FALSE(row.has(memory_only));
  constexpr Row address = opcode::plain(Operation::lea, "Gv M");
  EXPECT_TRUE(address.has(memory_only));
  constexpr Row control = opcode::plain(Operation::mov_to_cr, "Cd Rd");
  EXPECT_TRUE(control.has(ignores_mod));
  constexpr Row fixed = opcode::plain(Operation::in, "AL DX");
  EXPECT_EQ(fixed.immediate, Immediate::none);
}

}  // namespace
}  // namespace undercroft
