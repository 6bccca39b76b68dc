#include "monitor/segment/load.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
using test::same;
namespace access = test::access;

Exception np(std::uint32_t code) { return Exception::with_code(Vector::segment_not_present, code); }
Exception gp(std::uint32_t code) { return Exception::general_protection(code); }

// Every combination of type, DPL, RPL, CPL and P for a data register, against MOV's pseudo-code.
TEST(LoadSegment, DataRegisterTruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    Machine machine;
    machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
    const Descriptor d(0x0000ffff, present << 15 | dpl << 13 | s << 12 | type << 8);
    machine.set(Machine::scratch, d);
    const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
    const Vcpu before = machine.vcpu;
    const auto loaded = load_segment(machine.vcpu, machine.memory, Segment::es, selector);

    const bool readable = s && (type < 8 || (type & 2));
    const bool conforming = s && type >= 12;
    if (!readable || (!conforming && (rpl > dpl || cpl > dpl))) {
      ASSERT_EQ(loaded.error(), gp(Machine::scratch)) << bits;
    } else if (!present) {
      ASSERT_EQ(loaded.error(), np(Machine::scratch)) << bits;
    } else {
      ASSERT_TRUE(loaded.ok()) << bits;
      ASSERT_EQ(machine.vcpu[Segment::es], d.with_accessed().cache(selector));
      ASSERT_EQ(machine.get(Machine::scratch), d.with_accessed());
    }
    if (!loaded.ok()) {
      ASSERT_TRUE(same(machine.vcpu, before));
      ASSERT_EQ(machine.get(Machine::scratch), d);
    }
  }
}

TEST(LoadSegment, StackRegisterTruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    Machine machine;
    machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
    machine.set(Machine::scratch,
                Descriptor(0x0000ffff, present << 15 | dpl << 13 | s << 12 | type << 8));
    const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
    const auto loaded = load_segment(machine.vcpu, machine.memory, Segment::ss, selector);
    const bool writable = s && type < 8 && (type & 2);
    if (rpl != cpl || dpl != cpl || !writable) {
      ASSERT_EQ(loaded.error(), gp(Machine::scratch)) << bits;
    } else if (!present) {
      ASSERT_EQ(loaded.error(), Exception::stack_fault(Machine::scratch)) << bits;
    } else {
      ASSERT_TRUE(loaded.ok()) << bits;
    }
  }
}

TEST(LoadSegment, NullSelectors) {
  for (std::uint16_t selector = 0; selector < 4; ++selector) {
    Machine machine;
    EXPECT_EQ(load_segment(machine.vcpu, machine.memory, Segment::ss, selector).error(), gp(0));
    EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::fs, selector).ok());
    EXPECT_EQ(machine.vcpu[Segment::fs], null_cache(selector));
  }
  Machine machine;  // index 0 of the LDT is no null selector
  machine.set(4, flat(access::data));
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::fs, 4).ok());
  EXPECT_TRUE(machine.vcpu[Segment::fs].usable);
}

TEST(LoadSegment, TableLimits) {
  Machine machine;
  const auto load = [&](std::uint16_t s) {
    return load_segment(machine.vcpu, machine.memory, Segment::ds, s);
  };
  machine.vcpu.gdtr.limit = Machine::data_0 + 7;
  EXPECT_TRUE(load(Machine::data_0).ok());
  machine.vcpu.gdtr.limit = Machine::data_0 + 6;
  EXPECT_EQ(load(Machine::data_0).error(), gp(Machine::data_0));
  machine.vcpu.gdtr.limit = 0xff;
  machine.set(0x3c, flat(access::data));
  EXPECT_TRUE(load(0x3c).ok());
  EXPECT_EQ(load(0x47).error(), gp(0x44));
  machine.vcpu.ldtr = null_cache(0);
  EXPECT_EQ(load(0x3c).error(), gp(0x3c));
}

TEST(LoadSegment, AccessedBitIsWrittenOnceAndMayFault) {
  Machine machine;
  machine.set(Machine::scratch, flat(access::untouched(access::data)));
  machine.memory.page(Machine::gdt).writable = false;
  const Vcpu before = machine.vcpu;
  const auto refused = load_segment(machine.vcpu, machine.memory, Segment::ds, Machine::scratch);
  EXPECT_EQ(refused.error(),
            Exception::page_fault(GuestLinear(Machine::gdt + Machine::scratch + 5), 3));
  EXPECT_TRUE(same(machine.vcpu, before));
  machine.memory.page(Machine::gdt).writable = true;
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::ds, Machine::scratch).ok());
  machine.memory.page(Machine::gdt).writable = false;
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::ds, Machine::scratch).ok());
  EXPECT_EQ(machine.memory.writes, 2u);
}

TEST(LoadSegment, TablesAreReadAsSupervisor) {
  Machine machine;
  machine.at_level(3);
  machine.memory.page(Machine::gdt).user = false;
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::ds, Machine::data_3).ok());
  machine.memory.page(Machine::gdt).present = false;
  EXPECT_EQ(load_segment(machine.vcpu, machine.memory, Segment::ds, Machine::data_3).error(),
            Exception::page_fault(GuestLinear(Machine::gdt + 0x20), 0));
}

TEST(LoadSegment, RealModeKeepsLimitAndType) {
  Machine machine;
  machine.vcpu[Segment::ds] = flat(access::dpl(access::data, 3)).cache(0x23);
  machine.vcpu[Segment::fs] = null_cache(0);
  machine.vcpu.cr0 &= ~cr0::protection_enable;
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::ds, 0x1234).ok());
  EXPECT_EQ(machine.vcpu[Segment::ds], (DescriptorCache{0x1234, 0xc093, 0x12340, ~0u, true}));
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::fs, 0).ok());
  EXPECT_EQ(machine.vcpu[Segment::fs], (DescriptorCache{0, 0x93, 0, 0xffff, true}));
}

TEST(LoadSegment, Virtual8086ModeResetsAll) {
  Machine machine;
  machine.vcpu.eflags |= eflags::virtual_8086;
  EXPECT_TRUE(load_segment(machine.vcpu, machine.memory, Segment::ss, 0xffff).ok());
  EXPECT_EQ(machine.vcpu[Segment::ss], (DescriptorCache{0xffff, 0xf3, 0xffff0, 0xffff, true}));
}

TEST(LoadSystemRegister, LdtrTruthTable) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    Machine machine;
    const Descriptor d(0x30000020, access_byte << 8);
    machine.set(Machine::scratch, d);
    const auto loaded = load_ldtr(machine.vcpu, machine.memory, Machine::scratch | 3);
    if ((access_byte & 0x1f) != 2) {
      EXPECT_EQ(loaded.error(), gp(Machine::scratch)) << access_byte;
    } else if (!(access_byte & 0x80)) {
      EXPECT_EQ(loaded.error(), np(Machine::scratch)) << access_byte;
    } else {
      EXPECT_EQ(machine.vcpu.ldtr, d.cache(Machine::scratch | 3));
      EXPECT_EQ(machine.get(Machine::scratch), d);
    }
  }
  Machine machine;
  EXPECT_EQ(load_ldtr(machine.vcpu, machine.memory, 0x0c).error(), gp(0x0c));
  EXPECT_TRUE(load_ldtr(machine.vcpu, machine.memory, 0).ok());
  EXPECT_FALSE(machine.vcpu.ldtr.usable);
}

TEST(LoadSystemRegister, TrTruthTable) {
  for (unsigned access_byte = 0; access_byte < 0x100; ++access_byte) {
    Machine machine;
    const Descriptor d(0x40000067, access_byte << 8);
    machine.set(Machine::scratch, d);
    const auto loaded = load_tr(machine.vcpu, machine.memory, Machine::scratch);
    if ((access_byte & 0x1f) != 1 && (access_byte & 0x1f) != 9) {
      EXPECT_EQ(loaded.error(), gp(Machine::scratch)) << access_byte;
    } else if (!(access_byte & 0x80)) {
      EXPECT_EQ(loaded.error(), np(Machine::scratch)) << access_byte;
    } else {
      EXPECT_EQ(machine.vcpu.tr, d.with_busy(true).cache(Machine::scratch));
      EXPECT_EQ(machine.get(Machine::scratch), d.with_busy(true));
    }
  }
  Machine machine;
  EXPECT_EQ(load_tr(machine.vcpu, machine.memory, 0).error(), gp(0));
  EXPECT_EQ(load_tr(machine.vcpu, machine.memory, 0x0c).error(), gp(0x0c));
}

}  // namespace
}  // namespace undercroft
