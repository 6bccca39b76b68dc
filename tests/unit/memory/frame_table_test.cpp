#include "monitor/memory/frame_table.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::MachineMemory;

namespace {

class FrameTableTest : public testing::Test {
 protected:
  FrameTableTest() { pool.add_range(HostPhysical(0x100000), 0x10000); }
  MachineMemory machine;
  FramePool pool{machine.slots};
  FrameTable table{machine.slots, pool};
};

}  // namespace

TEST_F(FrameTableTest, IsAbsentUntilSet) {
  for (const std::uint32_t address : {0u, 0x1000u, 0xbffff000u, 0xfffff000u}) {
    EXPECT_EQ(table.entry(GuestPhysical(address)).kind, FrameKind::absent);
    EXPECT_FALSE(table.host_frame(GuestPhysical(address)));
  }
  EXPECT_EQ(pool.free_frames(), 16u);  // no frame was taken for that
}

TEST_F(FrameTableTest, KeepsEveryKindAndItsNeighbours) {
  for (unsigned kind = 0; kind < frame_kind_count; ++kind)
    ASSERT_TRUE(table.set_frame(GuestPhysical::of_page(0x800 + kind), static_cast<FrameKind>(kind),
                                HostPhysical::of_page(0xabcd0 + kind)));
  for (unsigned kind = 0; kind < frame_kind_count; ++kind) {
    const auto address = GuestPhysical::of_page(0x800 + kind) + 0x123;
    const FrameEntry entry = table.entry(address);
    EXPECT_EQ(entry.kind, static_cast<FrameKind>(kind));
    const bool reachable =
        entry.kind == FrameKind::ram || entry.kind == FrameKind::read_only_image ||
        entry.kind == FrameKind::device_memory || entry.kind == FrameKind::framebuffer;
    EXPECT_EQ(table.host_frame(address).has_value(), reachable);
    if (!reachable) {
      const bool kept = entry.kind == FrameKind::withdrawn;
      EXPECT_EQ(entry.frame, kept ? HostPhysical::of_page(0xabcd0 + kind) : HostPhysical{});
    } else {
      EXPECT_EQ(*table.host_frame(address), HostPhysical::of_page(0xabcd0 + kind) + 0x123);
    }
  }
  EXPECT_EQ(table.entry(GuestPhysical::of_page(0x7ff)).kind, FrameKind::absent);
}

TEST_F(FrameTableTest, FieldsAreIndependent) {
  const GuestPhysical page(0xbffff000);
  ASSERT_TRUE(table.set_frame(page, FrameKind::ram, HostPhysical(0xfffff000)));
  ASSERT_TRUE(table.set_reverse_map_head(page, 0xffffffff));
  EXPECT_FALSE(table.entry(page).watchers.any());
  for (unsigned watcher = 0; watcher < watcher_count; ++watcher) {
    ASSERT_TRUE(table.watch(page, static_cast<Watcher>(watcher)));
    const FrameEntry entry = table.entry(page);
    EXPECT_EQ(entry.watchers, Watchers().with(static_cast<Watcher>(watcher)));
    EXPECT_EQ(entry.kind, FrameKind::ram);
    EXPECT_EQ(entry.frame, HostPhysical(0xfffff000));
    EXPECT_EQ(entry.reverse_map_head, 0xffffffff);
    table.unwatch(page, static_cast<Watcher>(watcher));
    EXPECT_FALSE(table.entry(page).watchers.any());
  }
  table.watch(page, Watcher::page_table);
  table.watch(page, Watcher::translated_code);
  ASSERT_TRUE(table.set_frame(page, FrameKind::withdrawn));
  EXPECT_EQ(table.entry(page).watchers,
            Watchers().with(Watcher::page_table).with(Watcher::translated_code));
  EXPECT_EQ(table.entry(page).reverse_map_head, 0xffffffff);
  EXPECT_EQ(table.entry(page).frame, HostPhysical{});
  ASSERT_TRUE(table.set_reverse_map_head(page, 0));
  EXPECT_EQ(table.entry(page).kind, FrameKind::withdrawn);
}

TEST_F(FrameTableTest, KeepsThePlaceOfWithdrawnContents) {
  const GuestPhysical page(0x5000);
  for (unsigned watcher = 0; watcher < watcher_count; ++watcher) {
    table.watch(page, static_cast<Watcher>(watcher));
  }
  ASSERT_TRUE(table.set_frame(page, FrameKind::withdrawn, HostPhysical(0xabcdef00)));
  EXPECT_EQ(table.entry(page).frame, HostPhysical(0xabcdef00));
  EXPECT_EQ(table.entry(page).kind, FrameKind::withdrawn);
  EXPECT_EQ(table.entry(page).watchers.bits(), 0xfu);
  EXPECT_FALSE(table.host_frame(page));
}

TEST_F(FrameTableTest, StubbornUntilTheFrameChanges) {
  const GuestPhysical page(0x5000);
  table.set_frame(page, FrameKind::ram, HostPhysical(0xfffff000));
  table.watch(page, Watcher::debugger);
  table.set_stubborn(page, true);
  EXPECT_TRUE(table.entry(page).stubborn);
  EXPECT_EQ(table.entry(page).frame, HostPhysical(0xfffff000));
  EXPECT_EQ(table.entry(page).kind, FrameKind::ram);
  EXPECT_TRUE(table.entry(page).watchers.has(Watcher::debugger));
  table.set_stubborn(page, false);
  EXPECT_FALSE(table.entry(page).stubborn);
  table.set_stubborn(page, true);
  table.set_frame(page, FrameKind::ram, HostPhysical(0x1000));
  EXPECT_FALSE(table.entry(page).stubborn);
}

TEST_F(FrameTableTest, OneFrameForTwoMegabytes) {
  for (std::uint32_t page = 0; page < 512; ++page)
    table.set_frame(GuestPhysical::of_page(page), FrameKind::not_yet_given);
  EXPECT_EQ(pool.free_frames(), 15u);
  table.set_frame(GuestPhysical::of_page(512), FrameKind::not_yet_given);
  EXPECT_EQ(pool.free_frames(), 14u);
}

TEST_F(FrameTableTest, SaysWhenThePoolIsEmpty) {
  while (pool.allocate()) {
  }
  EXPECT_FALSE(table.set_frame(GuestPhysical(0), FrameKind::device));
  EXPECT_FALSE(table.watch(GuestPhysical(0), Watcher::debugger));
  EXPECT_FALSE(table.set_reverse_map_head(GuestPhysical(0), 1));
  table.unwatch(GuestPhysical(0), Watcher::debugger);
  EXPECT_EQ(table.entry(GuestPhysical(0)).kind, FrameKind::absent);
}

TEST_F(FrameTableTest, VersionEndsCachedRights) {
  const auto before = table.version();
  table.set_frame(GuestPhysical(0), FrameKind::ram, HostPhysical(0x5000));
  const auto given = table.version();
  EXPECT_NE(given, before);
  table.watch(GuestPhysical(0), Watcher::debugger);
  EXPECT_NE(table.version(), given);
}

TEST_F(FrameTableTest, EntriesMadeAtOnceNeedNoFramesLater) {
  ASSERT_TRUE(table.make_entries(3 * 0x200000 + 1));
  EXPECT_EQ(pool.free_frames(), 12u);  // 2 MB for each frame of the table
  for (const std::uint32_t address : {0u, 0x1ff000u, 0x200000u, 0x7ff000u}) {
    EXPECT_EQ(table.entry(GuestPhysical(address)).kind, FrameKind::absent);
    EXPECT_TRUE(table.set_frame(GuestPhysical(address), FrameKind::device));
  }
  EXPECT_EQ(pool.free_frames(), 12u);
  EXPECT_FALSE(table.make_entries(std::uint64_t{17} * 0x200000));  // 16 frames are all there are
}
