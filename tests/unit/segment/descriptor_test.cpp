#include "monitor/segment/descriptor.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

// The fields that tile a segment descriptor; bit 53 is reserved.
unsigned segment_fields_changed(Descriptor a, Descriptor b) {
  return (a.base() != b.base()) + (a.raw_limit() != b.raw_limit()) + (a.type() != b.type()) +
         (a.is_code_or_data() != b.is_code_or_data()) + (a.dpl() != b.dpl()) +
         (a.present() != b.present()) + (a.available() != b.available()) +
         (a.size_32() != b.size_32()) + (a.granular() != b.granular());
}

TEST(Descriptor, EachBitBelongsToOneSegmentField) {
  for (const std::uint64_t background : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const Descriptor before(background), after(background ^ std::uint64_t{1} << bit);
      EXPECT_EQ(segment_fields_changed(before, after), bit == 53 ? 0u : 1u) << bit;
    }
  }
}

TEST(Descriptor, EachBitBelongsToOneGateField) {
  const std::uint64_t gate = Descriptor::gate(SystemType::call_gate_32, 0, 0, 0).raw();
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (bit >= 37 && bit < 48) continue;  // reserved, and the access byte
    const Descriptor before(gate), after(gate ^ std::uint64_t{1} << bit);
    EXPECT_EQ((before.gate_offset() != after.gate_offset()) +
                  (before.gate_selector() != after.gate_selector()) +
                  (before.gate_parameters() != after.gate_parameters()),
              1)
        << bit;
  }
}

TEST(Descriptor, SegmentRoundTrip) {
  const Descriptor small = Descriptor::segment(0x12345678, 0xabcde, 0x50fa);
  EXPECT_EQ(small.raw(), 0x125afa345678bcdeull);
  EXPECT_EQ(small.base(), 0x12345678u);
  EXPECT_EQ(small.limit(), 0xabcdeu);
  EXPECT_EQ(small.attributes(), 0x50fa);
  const Descriptor large = Descriptor::segment(0, 0xffffffff, 0x4093);
  EXPECT_EQ(large.raw(), 0x00cf93000000ffffull);
  EXPECT_EQ(large.limit(), 0xffffffffu);
  EXPECT_EQ(large.attributes(), 0xc093);
}

TEST(Descriptor, GateRoundTrip) {
  const Descriptor gate = Descriptor::gate(SystemType::call_gate_32, 3, 0x1234, 0x89abcdef, 17);
  EXPECT_EQ(gate.raw(), 0x89abec111234cdefull);
  EXPECT_EQ(gate.gate_offset(), 0x89abcdefu);
  EXPECT_EQ(gate.gate_parameters(), 17u);
  EXPECT_EQ(Descriptor::gate(SystemType::call_gate_16, 0, 8, 0x89abcdef).gate_offset(), 0xcdefu);
}

// All 32 values of S and type, by the manual's tables 3-1 and 3-2.
TEST(Descriptor, KindsByType) {
  for (unsigned s = 0; s < 2; ++s) {
    for (unsigned type = 0; type < 16; ++type) {
      const Descriptor d(0, s << 12 | type << 8);
      EXPECT_EQ(d.is_code(), s && type >= 8) << type;
      EXPECT_EQ(d.is_data(), s && type < 8) << type;
      EXPECT_EQ(d.is_writable_data(), s && (type == 2 || type == 3 || type == 6 || type == 7));
      EXPECT_EQ(d.is_readable_code(), s && (type == 10 || type == 11 || type == 14 || type == 15));
      EXPECT_EQ(d.is_conforming(), s && type >= 12);
      EXPECT_EQ(d.is_ldt(), !s && type == 2);
      EXPECT_EQ(d.is_available_tss(), !s && (type == 1 || type == 9));
      EXPECT_EQ(d.is_busy_tss(), !s && (type == 3 || type == 11));
      EXPECT_EQ(d.is_call_gate(), !s && (type == 4 || type == 12));
      EXPECT_EQ(d.is_task_gate(), !s && type == 5);
      EXPECT_EQ(d.is_interrupt_gate(), !s && (type == 6 || type == 14));
      EXPECT_EQ(d.is_trap_gate(), !s && (type == 7 || type == 15));
      EXPECT_EQ(d.is_gate(), !s && ((type >= 4 && type <= 7) || type == 12 || type >= 14));
    }
  }
}

TEST(Descriptor, ChangesOneBit) {
  EXPECT_EQ(Descriptor().with_accessed().raw(), 1ull << 40);
  EXPECT_EQ(Descriptor().with_busy(true).raw(), 1ull << 41);
  EXPECT_EQ(Descriptor(~0ull).with_busy(false).raw(), ~(1ull << 41));
  EXPECT_EQ(Descriptor(~0ull).with_gate_selector(0).raw(), ~0xffff0000ull);
}

}  // namespace
}  // namespace undercroft
