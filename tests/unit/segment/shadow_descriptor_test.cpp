#include "monitor/segment/shadow_descriptor.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"
#include "monitor/segment/load.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
namespace access = test::access;

TEST(KernelView, KeepsBaseLimitAndTypeAtRing3) {
  for (unsigned type = 0; type < 16; ++type) {
    for (unsigned dpl = 0; dpl < 4; ++dpl) {
      for (const std::uint32_t limit : {0x1234u, 0xfffffu, 0x100fffu, 0xffffffffu}) {
        const auto attributes = static_cast<std::uint16_t>(0x6090 | dpl << 5 | type);
        const Descriptor shadow(kernel_view_descriptor({8, attributes, 0x12345678, limit, true}));
        EXPECT_EQ(shadow.base(), 0x12345678u);
        EXPECT_EQ(shadow.limit(), limit);
        EXPECT_EQ(shadow.dpl(), 3u);
        EXPECT_TRUE(shadow.present());
        EXPECT_TRUE(shadow.is_code_or_data());
        EXPECT_TRUE(shadow.size_32());
        EXPECT_FALSE(shadow.is_conforming());
        EXPECT_FALSE(shadow.raw() >> 53 & 1);
        const unsigned expected = type >= 12 ? (type & ~4u) | 1 : type | 1;
        EXPECT_EQ(shadow.type(), expected);
      }
    }
  }
}

TEST(KernelView, UnusableIsNull) {
  EXPECT_EQ(kernel_view_descriptor(null_cache(3)), 0u);
  EXPECT_EQ(kernel_view_descriptor({8, 0x4093, 0, ~0u, false}), 0u);
}

// Every descriptor: segments as they are; nothing else can take the processor out of the guest.
TEST(UserView, EveryAccessByte) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    const Descriptor guest(0x12345678, 0x9abc0000 | access_byte << 8 | 0xde);
    const Descriptor shadow(user_view_descriptor(guest));
    EXPECT_EQ((shadow.high() >> 8) & 0xff, access_byte);  // LAR's low half is the truth
    if (guest.is_gate()) {
      EXPECT_EQ(shadow.gate_selector(), 0);
      EXPECT_EQ(shadow.high() & 0x00f0ff00, guest.high() & 0x00f0ff00);
    } else if (guest.is_tss()) {
      EXPECT_LT(shadow.limit(), 0x2bu);
    } else {
      EXPECT_EQ(shadow, guest);
    }
  }
}

TEST(UserView, PageGranularTssIsTooSmallToo) {
  const Descriptor guest = Descriptor::segment(0x1000, 0xffffffff, 0xe9);
  EXPECT_TRUE(guest.granular());
  EXPECT_LT(Descriptor(user_view_descriptor(guest)).limit(), 0x2bu);
}

// Whatever load_segment has just loaded matches; at another CPL it depends on the DPL.
TEST(MatchesTable, AgreesWithLoadSegment) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    for (const Segment segment : {Segment::ds, Segment::ss}) {
      Machine machine;
      machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
      const Descriptor d(0x1234ffff, 0x400000 | present << 15 | dpl << 13 | s << 12 | type << 8);
      machine.set(Machine::scratch, d);
      const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
      machine.vcpu[segment] = d.with_accessed().cache(selector);
      const bool matches = matches_table(machine.vcpu, machine.memory, segment);
      ASSERT_EQ(machine.memory.writes, 0u);
      const bool loads = load_segment(machine.vcpu, machine.memory, segment, selector).ok();
      ASSERT_EQ(matches, loads) << bits;
    }
  }
}

// CS: code of the level that its RPL says, or conforming code of an inner one.
TEST(MatchesTable, CodeSegmentTruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    Machine machine;
    machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
    const Descriptor d(0x1234ffff, 0x400000 | present << 15 | dpl << 13 | s << 12 | type << 8);
    machine.set(Machine::scratch, d);
    const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
    machine.vcpu[Segment::cs] = d.with_accessed().cache(selector);
    const bool code = s && type >= 8;
    ASSERT_EQ(matches_table(machine.vcpu, machine.memory, Segment::cs),
              code && present && rpl == cpl && (type >= 12 ? dpl <= cpl : dpl == cpl))
        << bits;
  }
}

TEST(MatchesTable, SeesEveryChange) {
  const auto matches = [](auto change) {
    Machine machine;
    change(machine);
    return matches_table(machine.vcpu, machine.memory, Segment::ds);
  };
  EXPECT_TRUE(matches([](Machine&) {}));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu[Segment::ds].base = 1; }));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu[Segment::ds].limit = 0xfffff; }));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu[Segment::ds].attributes ^= 0x4000; }));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu[Segment::ds].usable = false; }));
  EXPECT_FALSE(matches([](Machine& m) { m.set(Machine::data_0, flat(access::read_only)); }));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu.gdtr.limit = Machine::data_0 + 6; }));
  EXPECT_FALSE(matches([](Machine& m) { m.memory.page(Machine::gdt).present = false; }));
  EXPECT_FALSE(matches([](Machine& m) { m.vcpu[Segment::ds].selector = 0; }));
  EXPECT_TRUE(matches([](Machine& m) { m.vcpu[Segment::ds] = null_cache(3); }));
  EXPECT_TRUE(
      matches([](Machine& m) { m.set(Machine::data_0, flat(access::untouched(access::data))); }));
}

TEST(MatchesTable, NullStackNeverMatches) {
  Machine machine;
  machine.vcpu[Segment::ss] = null_cache(0);
  EXPECT_FALSE(matches_table(machine.vcpu, machine.memory, Segment::ss));
}

}  // namespace
}  // namespace undercroft
