// The decoder, part by part: prefixes, ModRM and SIB, immediates, where the parts stand, errors.
// The opcode tables have their own test; Zydis judges both (tests/differential).
#include "monitor/instruction/decoder.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace undercroft {
namespace {

using Bytes = std::vector<std::uint8_t>;

Instruction decoded(const Bytes& bytes, bool code_is_32_bit = true) {
  const auto result = decode(bytes, code_is_32_bit);
  EXPECT_TRUE(result.ok()) << "error " << static_cast<int>(result.error());
  return result.value();
}

DecodeError error(const Bytes& bytes, bool code_is_32_bit = true) {
  const auto result = decode(bytes, code_is_32_bit);
  EXPECT_FALSE(result.ok());
  return result.error();
}

TEST(DecoderPrefixes, SizesFollowTheCodeSegment) {
  EXPECT_EQ(decoded({0x01, 0xc3}, true).operand_size, 4);
  EXPECT_EQ(decoded({0x01, 0xc3}, false).operand_size, 2);
  EXPECT_EQ(decoded({0x66, 0x01, 0xc3}, true).operand_size, 2);
  EXPECT_EQ(decoded({0x66, 0x01, 0xc3}, false).operand_size, 4);
  EXPECT_EQ(decoded({0x67, 0x8b, 0x07}, true).address_size, 2);
  EXPECT_EQ(decoded({0x67, 0x8b, 0x07}, false).address_size, 4);
  EXPECT_EQ(decoded({0x66, 0x66, 0x01, 0xc3}, true).operand_size, 2);  // twice is once
}

TEST(DecoderPrefixes, LastSegmentOverrideCounts) {
  const Instruction one = decoded({0x2e, 0x65, 0x8b, 0x00});
  EXPECT_EQ(one.segment_override, Segment::gs);
  EXPECT_EQ(one.segment, Segment::gs);
  EXPECT_EQ(one.default_segment, Segment::ds);
  EXPECT_EQ(one.prefix_count, 2);
  EXPECT_EQ(decoded({0x8b, 0x00}).segment_override, std::nullopt);
}

TEST(DecoderPrefixes, LastRepeatCounts) {
  EXPECT_EQ(decoded({0xf2, 0xf3, 0xa4}).repeat, Repeat::repe);
  EXPECT_EQ(decoded({0xf3, 0xf2, 0xa6}).repeat, Repeat::repne);
  EXPECT_EQ(decoded({0xa6}).repeat, Repeat::none);
}

TEST(DecoderPrefixes, LockOnMemoryDestinationsOnly) {
  EXPECT_TRUE(decoded({0xf0, 0x01, 0x03}).lock);
  EXPECT_EQ(error({0xf0, 0x01, 0xc3}), DecodeError::undefined);        // register destination
  EXPECT_EQ(error({0xf0, 0x03, 0x03}), DecodeError::undefined);        // register destination
  EXPECT_EQ(error({0xf0, 0x39, 0x03}), DecodeError::undefined);        // CMP
  EXPECT_EQ(error({0xf0, 0x89, 0x03}), DecodeError::undefined);        // MOV
  EXPECT_EQ(error({0xf0, 0x90}), DecodeError::undefined);              // no ModRM
  EXPECT_EQ(error({0xf0, 0xa3, 0, 0, 0, 0}), DecodeError::undefined);  // memory without ModRM
  EXPECT_EQ(error({0xf0, 0x0f, 0xa3, 0x03}), DecodeError::undefined);  // BT
  EXPECT_TRUE(decoded({0xf0, 0x0f, 0xab, 0x03}).lock);                 // BTS
  EXPECT_TRUE(decoded({0xf0, 0x0f, 0xc7, 0x0b}).lock);                 // CMPXCHG8B
}

struct Address {
  Bytes bytes;
  bool code_is_32_bit;
  std::optional<Register> base, index;
  unsigned scale;
  std::uint32_t displacement;
  Segment segment;
};

TEST(DecoderAddresses, Table) {
  using enum Register;
  const auto none = std::nullopt;
  const Address table[] = {
      // 32-bit ModRM
      {{0x8b, 0x00}, true, eax, none, 1, 0, Segment::ds},
      {{0x8b, 0x05, 1, 2, 3, 0x84}, true, none, none, 1, 0x84030201, Segment::ds},
      {{0x8b, 0x45, 0xfc}, true, ebp, none, 1, 0xfffffffc, Segment::ss},
      {{0x8b, 0x85, 1, 0, 0, 0x80}, true, ebp, none, 1, 0x80000001, Segment::ss},
      {{0x8b, 0x47, 0x7f}, true, edi, none, 1, 0x7f, Segment::ds},
      // SIB
      {{0x8b, 0x04, 0x24}, true, esp, none, 1, 0, Segment::ss},
      {{0x8b, 0x04, 0xe4}, true, esp, none, 1, 0, Segment::ss},  // a scale without an index
      {{0x8b, 0x04, 0x8d, 4, 3, 2, 1}, true, none, ecx, 4, 0x01020304, Segment::ds},
      {{0x8b, 0x04, 0x25, 4, 3, 2, 1}, true, none, none, 1, 0x01020304, Segment::ds},
      {{0x8b, 0x44, 0x8d, 0x80}, true, ebp, ecx, 4, 0xffffff80, Segment::ss},
      {{0x8b, 0x84, 0xcd, 4, 3, 2, 1}, true, ebp, ecx, 8, 0x01020304, Segment::ss},
      {{0x8b, 0x04, 0x68}, true, eax, ebp, 2, 0, Segment::ds},  // EBP as index is not stack
      // 16-bit ModRM
      {{0x8b, 0x00}, false, ebx, esi, 1, 0, Segment::ds},
      {{0x8b, 0x01}, false, ebx, edi, 1, 0, Segment::ds},
      {{0x8b, 0x02}, false, ebp, esi, 1, 0, Segment::ss},
      {{0x8b, 0x03}, false, ebp, edi, 1, 0, Segment::ss},
      {{0x8b, 0x04}, false, esi, none, 1, 0, Segment::ds},
      {{0x8b, 0x05}, false, edi, none, 1, 0, Segment::ds},
      {{0x8b, 0x06, 0x34, 0x92}, false, none, none, 1, 0xffff9234, Segment::ds},
      {{0x8b, 0x07}, false, ebx, none, 1, 0, Segment::ds},
      {{0x8b, 0x46, 0xfe}, false, ebp, none, 1, 0xfffffffe, Segment::ss},
      {{0x8b, 0x86, 0x34, 0x12}, false, ebp, none, 1, 0x1234, Segment::ss},
      // Direct addresses
      {{0xa1, 4, 3, 2, 1}, true, none, none, 1, 0x01020304, Segment::ds},
      {{0x36, 0x67, 0xa1, 4, 3}, true, none, none, 1, 0x0304, Segment::ss},
  };
  for (const Address& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.bytes));
    const Instruction one = decoded(row.bytes, row.code_is_32_bit);
    EXPECT_EQ(one.length, row.bytes.size());
    EXPECT_TRUE(one.has_memory);
    EXPECT_EQ(one.memory.base, row.base);
    EXPECT_EQ(one.memory.index, row.index);
    EXPECT_EQ(one.memory.scale, row.scale);
    EXPECT_EQ(one.memory.displacement, row.displacement);
    EXPECT_EQ(one.segment, row.segment);
    EXPECT_EQ(one.memory.is_16_bit, one.address_size == 2);
  }
}

TEST(DecoderAddresses, OffsetWrapsAtTheAddressSize) {
  std::array<std::uint32_t, 8> general{};
  general[3] = 0x1234fff0;  // EBX
  general[6] = 0x20;        // ESI
  EXPECT_EQ(decoded({0x8b, 0x40, 0x05}, false).memory.offset(general), 0x15u);
  general[0] = 0xfffffff0;
  general[1] = 8;
  EXPECT_EQ(decoded({0x8b, 0x44, 0xc8, 0xff}).memory.offset(general), 0x2fu);
}

TEST(DecoderImmediates, Extension) {
  EXPECT_EQ(decoded({0x83, 0xc0, 0xff}).immediate, 0xffffffffu);  // ADD Ev,Is
  EXPECT_EQ(decoded({0x80, 0xc0, 0xff}).immediate, 0xffu);        // ADD Eb,Ib
  EXPECT_EQ(decoded({0x05, 1, 2, 3, 4}).immediate, 0x04030201u);  // ADD EAX,Iz
  EXPECT_EQ(decoded({0x66, 0x05, 1, 0x82}).immediate, 0x8201u);   // ADD AX,Iz
  EXPECT_EQ(decoded({0x6a, 0x80}).immediate, 0xffffff80u);        // PUSH Is
  EXPECT_EQ(decoded({0xcd, 0x80}).immediate, 0x80u);              // INT Ib
  EXPECT_EQ(decoded({0xe4, 0xf4}).immediate, 0xf4u);              // IN AL,Ib
  EXPECT_EQ(decoded({0xc1, 0xe0, 0x9f}).immediate, 0x9fu);        // SHL Ev,Ib
  EXPECT_EQ(decoded({0xc2, 0x00, 0x80}).immediate, 0x8000u);      // RET Iw
  const Instruction enter = decoded({0xc8, 0x34, 0x12, 0x1f});
  EXPECT_EQ(enter.immediate, 0x1234u);
  EXPECT_EQ(enter.second_immediate, 0x1f);
  const Instruction far_jump = decoded({0xea, 1, 2, 3, 4, 0x10, 0x20});
  EXPECT_EQ(far_jump.immediate, 0x04030201u);
  EXPECT_EQ(far_jump.second_immediate, 0x2010);
  EXPECT_EQ(decoded({0xea, 1, 2, 0x10, 0x20}, false).second_immediate, 0x2010);
}

TEST(DecoderImmediates, BranchTargets) {
  EXPECT_EQ(decoded({0xeb, 0xfe}).branch_target(0x1000), 0x1000u);
  EXPECT_EQ(decoded({0xe8, 0, 0, 0, 0}).branch_target(0x1000), 0x1005u);
  EXPECT_EQ(decoded({0xe9, 0xfd, 0xff}, false).branch_target(0x10), 0x10u);
  EXPECT_EQ(decoded({0x0f, 0x84, 0, 0, 0, 0x80}).branch_target(0), 0x80000006u);
  EXPECT_EQ(decoded({0x66, 0xeb, 0x00}).branch_target(0x12340), 0x2343u);  // cut to 16 bits
}

TEST(DecoderLayout, PartsStandWhereTheyAre) {
  // 66 2e 81 /0: prefixes, opcode, ModRM, SIB, disp32, imm16
  const Instruction one = decoded({0x66, 0x2e, 0x81, 0x84, 0x24, 1, 2, 3, 4, 5, 6});
  EXPECT_EQ(one.prefix_count, 2);
  EXPECT_EQ(one.modrm_offset, 3);
  EXPECT_TRUE(one.has_sib);
  EXPECT_EQ(one.displacement_offset, 5);
  EXPECT_EQ(one.displacement_size, 4);
  EXPECT_EQ(one.immediate_offset, 9);
  EXPECT_EQ(one.immediate_size, 2);
  EXPECT_EQ(one.length, 11);
  const Instruction two_byte = decoded({0x0f, 0xba, 0x60, 0x10, 0x05});
  EXPECT_EQ(two_byte.modrm_offset, 2);
  EXPECT_EQ(two_byte.displacement_offset, 3);
  EXPECT_EQ(two_byte.displacement_size, 1);
  EXPECT_EQ(two_byte.immediate_offset, 4);
  EXPECT_EQ(two_byte.opcode, opcode_map::two_byte | 0xba);
  const Instruction direct = decoded({0xa3, 1, 2, 3, 4});
  EXPECT_FALSE(direct.has_modrm);
  EXPECT_EQ(direct.displacement_offset, 1);
  EXPECT_EQ(direct.immediate_size, 0);
  const Instruction bare = decoded({0x90});
  EXPECT_EQ(bare.modrm_offset + bare.displacement_offset + bare.immediate_offset, 0);
}

TEST(DecoderErrors, TruncatedAtEveryByte) {
  const Bytes whole{0x66, 0x2e, 0x81, 0x84, 0x24, 1, 2, 3, 4, 5, 6};
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(error(Bytes(whole.begin(), whole.begin() + static_cast<int>(size))),
              DecodeError::truncated)
        << size;
}

TEST(DecoderErrors, FifteenBytesAreTheMost) {
  Bytes fifteen(13, 0x3e);
  fifteen.insert(fifteen.end(), {0x01, 0xc3});
  EXPECT_EQ(decoded(fifteen).length, 15);
  Bytes sixteen(14, 0x3e);
  sixteen.insert(sixteen.end(), {0x01, 0xc3});
  EXPECT_EQ(error(sixteen), DecodeError::too_long);
  EXPECT_EQ(error(Bytes(15, 0x66)), DecodeError::too_long);
  EXPECT_EQ(error(Bytes(14, 0x66)), DecodeError::truncated);
}

TEST(DecoderErrors, FormsThatDoNotExist) {
  const Bytes table[] = {
      {0x8d, 0xc0},              // LEA of a register
      {0xc4, 0xc0},              // LES of a register
      {0x62, 0xc0},              // BOUND of a register
      {0xff, 0xd8},              // far CALL through a register
      {0x0f, 0x01, 0xf8},        // INVLPG of a register is SWAPGS
      {0x0f, 0xc7, 0xc8},        // CMPXCHG8B of a register
      {0x8e, 0xc8},              // MOV CS
      {0x8c, 0xf0},              // MOV from segment register 6
      {0xff, 0xf8},              // group 5 /7
      {0xc6, 0xc8},              // group 11 /1
      {0x8f, 0xc8},              // group 1A /1
      {0x0f, 0x20, 0xc8},        // MOV from CR1
      {0x0f, 0x22, 0xe8},        // MOV to CR5
      {0x0f, 0xba, 0xc0, 0x00},  // group 8 /0
      {0x0f, 0xb8, 0xc0},        // POPCNT without F3
      {0x0f, 0x05},              // SYSCALL
      {0x0f, 0xf0, 0x00},        // LDDQU without F2
      {0xd9, 0xd1},              // x87 line D9 D0: FNOP only
      {0xd9, 0x08},              // D9 /1 in memory
      {0xf3, 0x0f, 0x38, 0xf0, 0x00},
  };
  for (const Bytes& bytes : table) {
    SCOPED_TRACE(testing::PrintToString(bytes));
    EXPECT_EQ(error(bytes), DecodeError::undefined);
  }
}

TEST(DecoderFacts, SegmentsUsed) {
  EXPECT_TRUE(decoded({0x8b, 0x00}).accesses_data_segment());
  EXPECT_FALSE(decoded({0x8b, 0xc0}).accesses_data_segment());
  EXPECT_FALSE(decoded({0x8d, 0x00}).accesses_data_segment());        // LEA
  EXPECT_FALSE(decoded({0x0f, 0x1f, 0x00}).accesses_data_segment());  // NOP
  EXPECT_FALSE(decoded({0x0f, 0x01, 0x38}).accesses_data_segment());  // INVLPG
  EXPECT_TRUE(decoded({0xd7}).accesses_data_segment());               // XLAT
  EXPECT_TRUE(decoded({0x0f, 0xf7, 0xc1}).accesses_data_segment());   // MASKMOVQ
  EXPECT_TRUE(decoded({0xa1, 0, 0, 0, 0}).accesses_data_segment());
  const Instruction movs = decoded({0x2e, 0xa4});
  EXPECT_TRUE(movs.accesses_data_segment() && movs.accesses_es() && movs.is_string());
  EXPECT_EQ(movs.segment, Segment::cs);
  const Instruction stos = decoded({0xab});
  EXPECT_TRUE(!stos.accesses_data_segment() && stos.accesses_es() && stos.is_string());
  const Instruction lods = decoded({0xac});
  EXPECT_TRUE(lods.accesses_data_segment() && !lods.accesses_es() && lods.is_string());
  EXPECT_TRUE(decoded({0x50}).accesses_stack());
  EXPECT_FALSE(decoded({0x40}).accesses_stack());
}

}  // namespace
}  // namespace undercroft
