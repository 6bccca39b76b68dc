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

constexpr HostLinear unmapped{0xab400000};

// Every descriptor: segments as they are; nothing else can take the processor out of the guest.
TEST(UserView, EveryAccessByte) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    const Descriptor guest(0x12345678, 0x9abc0000 | access_byte << 8 | 0xde);
    const Descriptor shadow = user_view_descriptor(guest, unmapped);
    if (guest.is_tss() && guest.dpl() != 3) {
      EXPECT_EQ(shadow, Descriptor{});
      continue;
    }
    EXPECT_EQ(shadow.high() & 0x00f0ff00, guest.high() & 0x00f0ff00);  // LAR tells the truth
    if (guest.is_gate()) {
      EXPECT_EQ(shadow.gate_selector(), 0);
    } else if (guest.is_tss()) {
      EXPECT_EQ(shadow.limit(), guest.limit());  // and LSL
      EXPECT_EQ(shadow.base(), unmapped.value());
    } else {
      EXPECT_EQ(shadow, guest);
    }
  }
}

TEST(UserView, WhatUserCodeMayFindOut) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    const Descriptor d(0, access_byte << 8);
    const bool conforming = (access_byte & 0x1c) == 0x1c;
    EXPECT_EQ(visible_to_user(d), conforming || (access_byte & 0x60) == 0x60) << access_byte;
  }
}

// Whatever load_segment has just loaded is what it gives again; at another CPL it depends on the
// DPL.
TEST(ReloadGives, AgreesWithLoadSegment) {
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
      const bool same = reload_gives(machine.vcpu, segment, d);
      const bool loads = load_segment(machine.vcpu, machine.memory, segment, selector).ok();
      const bool marked = loads && !d.accessed() && segment == Segment::ds;
      ASSERT_EQ(same, loads && !marked) << bits;
    }
  }
}

// CS: code of the level that its RPL says, or conforming code of an inner one.
TEST(ReloadGives, CodeSegmentTruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    Machine machine;
    machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
    const Descriptor d(0x1234ffff, 0x400000 | present << 15 | dpl << 13 | s << 12 | type << 8);
    const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
    machine.vcpu[Segment::cs] = d.with_accessed().cache(selector);
    const bool code = s && type >= 8;
    ASSERT_EQ(reload_gives(machine.vcpu, Segment::cs, d),
              code && present && rpl == cpl && (type >= 12 ? dpl <= cpl : dpl == cpl))
        << bits;
  }
}

TEST(ReloadGives, SeesEveryChange) {
  const Descriptor data = flat(access::data);
  const auto gives = [](auto change, Descriptor d, Segment segment = Segment::ds) {
    Machine machine;
    change(machine.vcpu[segment]);
    return reload_gives(machine.vcpu, segment, d);
  };
  const auto nothing = [](DescriptorCache&) {};
  EXPECT_TRUE(gives(nothing, data));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds.base = 1; }, data));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds.limit = 0xfffff; }, data));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds.attributes ^= 0x4000; }, data));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds.usable = false; }, data));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds.selector = 0; }, data));
  EXPECT_FALSE(gives(nothing, flat(access::read_only)));
  EXPECT_FALSE(gives(nothing, Descriptor{}));
  EXPECT_TRUE(gives([](DescriptorCache& ds) { ds = null_cache(0); }, Descriptor{}));
  EXPECT_FALSE(gives([](DescriptorCache& ds) { ds = null_cache(3); }, Descriptor{}));
  EXPECT_FALSE(gives([](DescriptorCache& ss) { ss = null_cache(0); }, Descriptor{}, Segment::ss));
  // A load would set the accessed bit; SYSEXIT loads CS and SS without.
  EXPECT_FALSE(gives(nothing, flat(access::untouched(access::data))));
  EXPECT_TRUE(gives(nothing, flat(access::untouched(access::data)), Segment::ss));
}

}  // namespace
}  // namespace undercroft
