#include "monitor/segment/descriptor_shadow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "machine.hpp"
#include "monitor/segment/shadow_descriptor.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
namespace access = test::access;
using Table = DescriptorShadow::Table;

constexpr std::uint64_t monitors_own = 0x1122334455667788;
constexpr HostLinear unmapped{0xab400000};

struct Shadowed : Machine {
  std::vector<std::uint64_t> gdt_image, ldt_image;
  DescriptorShadow shadow;

  Shadowed()
      : Machine(0x20000),
        gdt_image(8192, 0),
        ldt_image(8192, 0),
        shadow(image(gdt_image), image(ldt_image)) {
    std::fill(gdt_image.begin() + DescriptorShadow::first_reserved, gdt_image.end(), monitors_own);
    set(4, flat(access::dpl(access::data, 3)));
    set(12, flat(access::data));
  }
  static DescriptorShadow::Image image(std::vector<std::uint64_t>& words) {
    return DescriptorShadow::Image(words.data(), 8192);
  }
  unsigned refresh() {
    shadow.refresh(vcpu, memory, unmapped);
    return shadow.ldt_entries();
  }
  HostLinear base_of_tasks = unmapped;
  std::uint64_t shown(std::uint64_t guest) const {
    return user_view_descriptor(Descriptor(guest), base_of_tasks).raw();
  }
  // Compares the images with what stands in the guest's tables.
  void expect_in_step() {
    for (unsigned i = 1; i < DescriptorShadow::first_reserved; ++i) {
      const bool within = i * 8 + 7 <= vcpu.gdtr.limit;
      const std::uint32_t at = vcpu.gdtr.base.value() + i * 8;
      const std::uint64_t expected = within ? shown(memory.get64(at)) : 0;
      ASSERT_EQ(gdt_image[i], expected) << i;
    }
    for (unsigned i = DescriptorShadow::first_reserved; i < 8192; ++i) {
      ASSERT_EQ(gdt_image[i], monitors_own);
    }
    for (unsigned i = 0; i < 8192; ++i) {
      const bool within = vcpu.ldtr.usable && i * 8 + 7 <= vcpu.ldtr.limit;
      const std::uint64_t expected = within ? shown(memory.get64(vcpu.ldtr.base + i * 8)) : 0;
      ASSERT_EQ(ldt_image[i], expected) << i;
    }
  }
};

TEST(DescriptorShadow, FollowsTheTables) {
  Shadowed machine;
  EXPECT_EQ(machine.refresh(), 8u);
  machine.expect_in_step();
  EXPECT_EQ(machine.gdt_image[3], machine.get(Machine::code_3).raw());
}

TEST(DescriptorShadow, ShrinkingAndMovingTables) {
  Shadowed machine;
  machine.refresh();
  machine.vcpu.gdtr.limit = 0x1e;  // the entry at 0x18 is cut off
  machine.vcpu.ldtr.limit = 0xe;
  EXPECT_EQ(machine.refresh(), 1u);
  machine.expect_in_step();
  EXPECT_EQ(machine.gdt_image[3], 0u);
  machine.vcpu.gdtr = {GuestLinear(Machine::gdt + 8), 0xffff};
  machine.vcpu.ldtr = null_cache(0);
  EXPECT_EQ(machine.refresh(), 0u);
  machine.expect_in_step();
}

TEST(DescriptorShadow, ShrinkingFromTheLargestTableSparesTheMonitorsEntries) {
  Shadowed machine;
  machine.vcpu.gdtr.limit = 0xffff;
  machine.vcpu.ldtr.limit = 0xffff;
  EXPECT_EQ(machine.refresh(), 8192u);
  machine.vcpu.gdtr.limit = 0xff;
  machine.vcpu.ldtr.limit = 7;
  machine.refresh();
  machine.expect_in_step();
}

TEST(DescriptorShadow, NullEntryStaysNull) {
  Shadowed machine;
  machine.set(0, flat(access::data));
  machine.refresh();
  EXPECT_EQ(machine.gdt_image[0], 0u);
  EXPECT_NE(machine.ldt_image[0], 0u);  // an LDT has no null entry
}

// The monitor's entries and the rest of their page: what the guest has there is not shown, and
// matters as soon as user code could find out.
TEST(DescriptorShadow, EntriesAtTheMonitorsPlacesAreInexactIfUserCodeMaySeeThem) {
  for (const unsigned index : {DescriptorShadow::first_reserved, host_gdt::monitor_code, 8191u}) {
    Shadowed machine;
    machine.at_level(3);
    machine.vcpu.gdtr.limit = 0xffff;
    machine.refresh();
    EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
    const std::uint32_t at = Machine::gdt + index * 8;
    const auto exact_with = [&](Descriptor d) {
      machine.memory.put64(at, d.raw());
      machine.shadow.written(machine.memory, GuestLinear(at), 8);
      const bool exact = machine.shadow.exact_for(machine.vcpu);
      machine.refresh();
      EXPECT_EQ(machine.shadow.exact_for(machine.vcpu), exact);
      EXPECT_EQ(machine.gdt_image[index], monitors_own);
      return exact;
    };
    EXPECT_TRUE(exact_with(flat(access::data)));
    EXPECT_FALSE(exact_with(flat(access::dpl(access::data, 3))));
    EXPECT_FALSE(exact_with(flat(access::absent(access::dpl(access::data, 3)))));
    EXPECT_FALSE(exact_with(flat(access::conforming)));
    EXPECT_TRUE(exact_with(Descriptor{}));
    machine.vcpu.gdtr.limit = static_cast<std::uint16_t>(index * 8 - 1);
    machine.memory.put64(at, flat(access::dpl(access::data, 3)).raw());
    machine.refresh();
    EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
  }
}

TEST(DescriptorShadow, RegistersThatTheImagesWouldGiveAgainAreExact) {
  Shadowed machine;
  machine.at_level(3);
  machine.refresh();
  EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
  machine.vcpu[Segment::fs] = machine.get(4).cache(7);  // in the LDT
  EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
  // What SYSEXIT may leave: no load at CPL 3 gives it.
  machine.vcpu[Segment::ds] = machine.get(Machine::data_0).cache(Machine::data_0);
  EXPECT_FALSE(machine.shadow.exact_for(machine.vcpu));
  machine.vcpu[Segment::ds] = null_cache(0);
  EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
  // A selector whose place in the image is the monitor's.
  machine.vcpu[Segment::es] = flat(access::dpl(access::data, 3)).cache(8180 * 8 + 3);
  machine.gdt_image[8180] = flat(access::dpl(access::data, 3)).raw();
  EXPECT_FALSE(machine.shadow.exact_for(machine.vcpu));
}

TEST(DescriptorShadow, AStackOf16BitsIsNotExact) {
  Shadowed machine;
  machine.at_level(3);
  machine.set(Machine::data_3, Descriptor::segment(0, 0xffff, 0x00f3));
  machine.vcpu[Segment::ss] = machine.get(Machine::data_3).cache(Machine::data_3);
  machine.vcpu[Segment::ds] = machine.vcpu[Segment::es] = machine.vcpu[Segment::fs] =
      machine.vcpu[Segment::gs] = null_cache(0);
  machine.refresh();
  EXPECT_FALSE(machine.shadow.exact_for(machine.vcpu));
  machine.set(Machine::data_3, Descriptor::segment(0, 0xffff, 0x40f3));
  machine.vcpu[Segment::ss] = machine.get(Machine::data_3).cache(Machine::data_3);
  machine.refresh();
  EXPECT_TRUE(machine.shadow.exact_for(machine.vcpu));
}

TEST(DescriptorShadow, TasksMoveWithTheUnmappedPlace) {
  Shadowed machine;
  machine.set(Machine::scratch, Descriptor::segment(0x4000, 0x67, 0xe9));
  machine.set(0xc, Descriptor::segment(0x4000, 0xfffff, 0xe3));
  machine.refresh();
  machine.expect_in_step();
  machine.base_of_tasks = HostLinear(0xcd800000);
  machine.shadow.move_unmapped(machine.base_of_tasks);
  machine.expect_in_step();
  const std::uint32_t at = Machine::gdt + Machine::scratch;
  machine.memory.put64(at, Descriptor::segment(0x5000, 0x77, 0xe9).raw());
  machine.shadow.written(machine.memory, GuestLinear(at), 8);
  machine.expect_in_step();
}

TEST(DescriptorShadow, UnreadablePagesReadAsNothing) {
  Shadowed machine;
  machine.memory.page(Machine::ldt).user = false;  // which the supervisor reads
  machine.memory.page(Machine::gdt).present = false;
  machine.refresh();
  EXPECT_EQ(machine.gdt_image[1], 0u);
  EXPECT_NE(machine.ldt_image[0], 0u);
}

TEST(DescriptorShadow, HalfReadableEntryReadsAsNothing) {
  Shadowed machine;
  machine.vcpu.gdtr = {GuestLinear(0x1ff4), 15};  // entry 1 crosses the page
  machine.memory.put64(0x1ffc, flat(access::data).raw());
  for (const std::uint32_t page : {0x1000u, 0x2000u}) {
    machine.refresh();
    EXPECT_NE(machine.gdt_image[1], 0u);
    machine.memory.page(page).present = false;
    machine.refresh();
    EXPECT_EQ(machine.gdt_image[1], 0u);
    machine.memory.page(page).present = true;
  }
}

// Each write of 1 to 12 bytes around a table, also one that begins before it.
TEST(DescriptorShadow, WritesAreCarriedThrough) {
  Shadowed machine;
  machine.refresh();
  for (const std::uint32_t table : {Machine::gdt, Machine::ldt}) {
    for (std::uint32_t at = table - 13; at < table + 0x40; at += 3) {
      for (unsigned bytes : {1u, 2u, 4u, 12u}) {
        for (unsigned i = 0; i < bytes; ++i) machine.memory.data()[at + i] ^= 0xff;
        machine.shadow.written(machine.memory, GuestLinear(at), bytes);
      }
    }
  }
  machine.expect_in_step();
}

TEST(DescriptorShadow, WritesElsewhereTouchNothing) {
  Shadowed machine;
  machine.refresh();
  const unsigned reads = machine.memory.reads;
  machine.shadow.written(machine.memory, GuestLinear(Machine::gdt + 0x100), 16);
  machine.shadow.written(machine.memory, GuestLinear(Machine::gdt - 16), 16);
  machine.shadow.written(machine.memory, GuestLinear(0xfffffff0), 16);
  EXPECT_EQ(machine.memory.reads, reads);
}

TEST(DescriptorShadow, SetAccessedReachesGuestAndImage) {
  Shadowed machine;
  machine.set(Machine::scratch, flat(access::untouched(access::data)));
  machine.set(0xc, flat(access::untouched(access::code)));
  machine.refresh();
  EXPECT_TRUE(machine.shadow.set_accessed(machine.memory, Table::gdt, Machine::scratch / 8).ok());
  EXPECT_TRUE(machine.shadow.set_accessed(machine.memory, Table::ldt, 1).ok());
  EXPECT_TRUE(machine.get(Machine::scratch).accessed());
  EXPECT_TRUE(machine.get(0xc).accessed());
  machine.expect_in_step();
}

TEST(DescriptorShadow, SetAccessedLeavesTheRestAlone) {
  Shadowed machine;
  machine.refresh();
  const unsigned writes = machine.memory.writes;
  for (const unsigned index : {Machine::ldt_selector / 8u, 0x20u, 7680u, 8180u}) {
    EXPECT_TRUE(machine.shadow.set_accessed(machine.memory, Table::gdt, index).ok());
  }
  EXPECT_EQ(machine.memory.writes, writes);
  machine.expect_in_step();
  machine.set(Machine::scratch, flat(access::untouched(access::data)));
  machine.memory.page(Machine::gdt).writable = false;
  EXPECT_EQ(machine.shadow.set_accessed(machine.memory, Table::gdt, Machine::scratch / 8).error(),
            Exception::page_fault(GuestLinear(Machine::gdt + Machine::scratch + 5), 3));
}

TEST(DescriptorShadow, PagesOfBothTables) {
  Shadowed machine;
  std::array<GuestLinear, DescriptorShadow::max_pages> pages;
  EXPECT_EQ(machine.shadow.pages(pages), 0u);
  machine.refresh();
  ASSERT_EQ(machine.shadow.pages(pages), 2u);
  EXPECT_EQ(pages[0], GuestLinear(Machine::gdt));
  EXPECT_EQ(pages[1], GuestLinear(Machine::ldt));
  machine.vcpu.gdtr = {GuestLinear(0x1ffc), 15};
  machine.vcpu.ldtr = null_cache(0);
  machine.refresh();
  ASSERT_EQ(machine.shadow.pages(pages), 2u);
  EXPECT_EQ(pages[1], GuestLinear(0x2000));
  machine.vcpu.gdtr = {GuestLinear(0x1ffc), 0xffff};
  machine.refresh();
  EXPECT_EQ(machine.shadow.pages(pages), 17u);
}

TEST(DescriptorShadow, SmallTablesAreCutAtPages) {
  Shadowed machine;
  std::array<DescriptorShadow::Piece, DescriptorShadow::most_pieces> pieces;
  machine.vcpu.gdtr = {GuestLinear(0x2fec), 8 * 8 - 1};
  machine.vcpu.ldtr = {0x28, 0x82, 0x5000, 15, true};
  machine.refresh();
  ASSERT_EQ(machine.shadow.pieces(pieces), 3u);
  EXPECT_EQ(pieces[0].linear, GuestLinear(0x2fec));
  EXPECT_EQ(pieces[0].bytes, 0x14u);
  EXPECT_EQ(pieces[1].linear, GuestLinear(0x3000));
  EXPECT_EQ(pieces[1].bytes, 0x2cu);
  EXPECT_EQ(pieces[2].linear, GuestLinear(0x5000));
  EXPECT_EQ(pieces[2].bytes, 16u);
  machine.vcpu.gdtr.limit = 126 * 8 - 1;
  machine.refresh();
  EXPECT_EQ(machine.shadow.pieces(pieces), 3u);
  machine.vcpu.gdtr.limit = 127 * 8 - 1;
  machine.refresh();
  EXPECT_EQ(machine.shadow.pieces(pieces), 0u) << "too large to be compared";
}

}  // namespace
}  // namespace undercroft
