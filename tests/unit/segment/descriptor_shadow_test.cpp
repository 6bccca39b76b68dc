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
  DescriptorShadow::Refreshed refresh() { return shadow.refresh(vcpu, memory); }
  // Compares the images with what stands in the guest's tables.
  void expect_in_step() {
    for (unsigned i = 1; i < DescriptorShadow::first_reserved; ++i) {
      const bool within = i * 8 + 7 <= vcpu.gdtr.limit;
      const std::uint32_t at = vcpu.gdtr.base.value() + i * 8;
      const std::uint64_t expected =
          within ? user_view_descriptor(Descriptor(memory.get64(at))) : 0;
      ASSERT_EQ(gdt_image[i], expected) << i;
    }
    for (unsigned i = DescriptorShadow::first_reserved; i < 8192; ++i) {
      ASSERT_EQ(gdt_image[i], monitors_own);
    }
    for (unsigned i = 0; i < 8192; ++i) {
      const bool within = vcpu.ldtr.usable && i * 8 + 7 <= vcpu.ldtr.limit;
      const std::uint64_t expected =
          within ? user_view_descriptor(Descriptor(memory.get64(vcpu.ldtr.base + i * 8))) : 0;
      ASSERT_EQ(ldt_image[i], expected) << i;
    }
  }
};

TEST(DescriptorShadow, FollowsTheTables) {
  Shadowed machine;
  const auto result = machine.refresh();
  EXPECT_FALSE(result.collision);
  EXPECT_EQ(result.ldt_entries, 8u);
  machine.expect_in_step();
  EXPECT_EQ(machine.gdt_image[3], machine.get(Machine::code_3).raw());
}

TEST(DescriptorShadow, ShrinkingAndMovingTables) {
  Shadowed machine;
  machine.refresh();
  machine.vcpu.gdtr.limit = 0x1e;  // the entry at 0x18 is cut off
  machine.vcpu.ldtr.limit = 0xe;
  EXPECT_EQ(machine.refresh().ldt_entries, 1u);
  machine.expect_in_step();
  EXPECT_EQ(machine.gdt_image[3], 0u);
  machine.vcpu.gdtr = {GuestLinear(Machine::gdt + 8), 0xffff};
  machine.vcpu.ldtr = null_cache(0);
  EXPECT_EQ(machine.refresh().ldt_entries, 0u);
  machine.expect_in_step();
}

TEST(DescriptorShadow, ShrinkingFromTheLargestTableSparesTheMonitorsEntries) {
  Shadowed machine;
  machine.vcpu.gdtr.limit = 0xffff;
  machine.vcpu.ldtr.limit = 0xffff;
  EXPECT_EQ(machine.refresh().ldt_entries, 8192u);
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

TEST(DescriptorShadow, CollisionIsReportedAndTheMonitorsEntryStays) {
  Shadowed machine;
  machine.vcpu.gdtr.limit = 0xffff;
  EXPECT_FALSE(machine.refresh().collision);
  const std::uint32_t at = Machine::gdt + DescriptorShadow::first_reserved * 8;
  machine.memory.put64(at, flat(access::absent(access::data)).raw());
  EXPECT_FALSE(machine.shadow.written(machine.memory, GuestLinear(at), 8).collision);
  machine.memory.put64(at, flat(access::data).raw());
  EXPECT_TRUE(machine.shadow.written(machine.memory, GuestLinear(at), 8).collision);
  EXPECT_TRUE(machine.refresh().collision);
  EXPECT_EQ(machine.gdt_image[DescriptorShadow::first_reserved], monitors_own);
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
  for (const unsigned index : {Machine::ldt_selector / 8u, 0x20u, 8180u}) {
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

}  // namespace
}  // namespace undercroft
