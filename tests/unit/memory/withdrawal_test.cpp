#include "monitor/memory/withdrawal.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

struct Unmapper final : FrameUnmapper {
  explicit Unmapper(FrameTable& frames) : table(frames) {}
  void unmap(GuestPhysical frame) override {
    unmapped.push_back(frame.value());
    table.set_reverse_map_head(frame, 0);
  }
  FrameTable& table;
  std::vector<std::uint32_t> unmapped;
};

struct Listener final : WriteWatcher {
  void written(GuestPhysical address, unsigned) override { heard.push_back(address.value()); }
  std::vector<std::uint32_t> heard;
};

// RAM of 64 pages by need, on a machine with as many frames as a test says.
struct WithdrawalTest : testing::Test {
  static constexpr std::uint32_t pages = 64;
  explicit WithdrawalTest(std::uint32_t machine_frames = 200) {
    pool.add_range(HostPhysical(0x100000), machine_frames * page_size);
    table.make_entries(pages * page_size);
    for (std::uint32_t i = 0; i < pages; ++i) {
      table.set_frame(GuestPhysical::of_page(i), FrameKind::not_yet_given);
    }
    withdrawal.set_pages(pages);
    withdrawal.set_unmapper(unmapper);
  }
  FrameKind kind(std::uint32_t page) { return table.entry(GuestPhysical::of_page(page)).kind; }
  GuestPhysical at(std::uint32_t page, std::uint32_t offset = 0) {
    return GuestPhysical::of_page(page) + offset;
  }

  MachineMemory machine;
  FramePool pool{machine.slots};
  FrameTable table{machine.slots, pool};
  FakeDevices devices;
  Withdrawal withdrawal{machine.slots, pool, table};
  GuestMemory memory{machine.slots, table, devices, withdrawal};
  Unmapper unmapper{table};
};

TEST_F(WithdrawalTest, AZeroPageIsDropped) {
  memory.read(at(3), 4);
  const auto before = pool.free_frames();
  EXPECT_TRUE(withdrawal.withdraw(at(3)));
  EXPECT_EQ(pool.free_frames(), before + 1);
  EXPECT_EQ(kind(3), FrameKind::withdrawn);
  EXPECT_EQ(withdrawal.counts().gained, 1u);
  EXPECT_EQ(memory.read(at(3, 0xffc), 4), 0u);
  EXPECT_EQ(kind(3), FrameKind::ram);
  EXPECT_EQ(withdrawal.counts().gained, 0u);
  EXPECT_EQ(withdrawal.counts().most_gained, 1u);
}

TEST_F(WithdrawalTest, OtherPagesComeBackWithTheirContents) {
  for (std::uint32_t page = 0; page < pages; ++page) {
    for (std::uint32_t i = 0; i < 300; ++i) memory.write(at(page, i * 8), page * 1000 + i, 4);
  }
  const auto before = pool.free_frames();
  for (std::uint32_t page = 0; page < pages; ++page) EXPECT_TRUE(withdrawal.withdraw(at(page)));
  EXPECT_GE(pool.free_frames(), before + pages / 2);
  EXPECT_EQ(withdrawal.counts().gained, pool.free_frames() - before);
  for (std::uint32_t page = 0; page < pages; ++page) {
    for (std::uint32_t i = 0; i < 300; ++i) {
      ASSERT_EQ(memory.read(at(page, i * 8), 4), page * 1000 + i);
      ASSERT_EQ(memory.read(at(page, i * 8 + 4), 4), 0u);
    }
  }
  EXPECT_EQ(pool.free_frames(), before);
}

TEST_F(WithdrawalTest, WhatDoesNotPackStays) {
  std::mt19937 random(1);
  for (std::uint32_t i = 0; i < page_size; i += 4) memory.write(at(1, i), random(), 4);
  table.set_reverse_map_head(at(1), 77);
  EXPECT_FALSE(withdrawal.withdraw(at(1)));
  EXPECT_EQ(kind(1), FrameKind::ram);
  EXPECT_TRUE(unmapper.unmapped.empty());
  EXPECT_EQ(withdrawal.counts().unpackable, 1u);
}

TEST_F(WithdrawalTest, OnlyRamIsWithdrawn) {
  table.set_frame(at(5), FrameKind::device);
  table.set_frame(at(6), FrameKind::read_only_image, *pool.allocate_zeroed());
  for (const std::uint32_t page : {4u, 5u, 6u, 5000u}) {
    const FrameKind before = kind(page);
    EXPECT_FALSE(withdrawal.withdraw(at(page)));
    EXPECT_EQ(kind(page), before);
  }
}

TEST_F(WithdrawalTest, WatchersHearOfTheFirstWriteToARestoredPage) {
  Listener listener;
  memory.add_watcher(Watcher::page_table, listener);
  memory.write(at(2), 1, 4);
  table.watch(at(2), Watcher::page_table);
  const auto version = memory.version();
  ASSERT_TRUE(withdrawal.withdraw(at(2)));
  EXPECT_NE(memory.version(), version);  // whoever reached the frame directly must look again
  memory.write(at(2, 8), 5, 4);
  EXPECT_EQ(listener.heard, (std::vector<std::uint32_t>{0x2008}));
  EXPECT_TRUE(table.entry(at(2)).watchers.has(Watcher::page_table));
  EXPECT_EQ(memory.read(at(2), 4), 1u);
}

TEST_F(WithdrawalTest, ASweepTakesWhatWasNotMappedAgain) {
  memory.write(at(10), 10, 4);
  memory.write(at(11), 11, 4);
  table.set_reverse_map_head(at(10), 1);
  table.set_reverse_map_head(at(11), 1);
  while (!withdrawal.sweep(7)) {
  }
  EXPECT_EQ(unmapper.unmapped, (std::vector<std::uint32_t>{0xa000, 0xb000}));
  EXPECT_EQ(kind(10), FrameKind::ram);
  table.set_reverse_map_head(at(11), 1);  // in use
  while (!withdrawal.sweep(7)) {
  }
  EXPECT_EQ(kind(10), FrameKind::withdrawn);
  EXPECT_EQ(kind(11), FrameKind::ram);
}

TEST_F(WithdrawalTest, ASweepTriesAgainOnlyWhatWasInUse) {
  std::mt19937 random(1);
  for (std::uint32_t i = 0; i < page_size; i += 4) memory.write(at(1, i), random(), 4);
  for (unsigned round = 0; round < 3; ++round) {
    while (!withdrawal.sweep(pages)) {
    }
  }
  EXPECT_EQ(withdrawal.counts().unpackable, 1u);
  table.set_reverse_map_head(at(1), 1);
  memory.fill(at(1), std::byte{0}, page_size);
  for (unsigned round = 0; round < 2; ++round) {
    while (!withdrawal.sweep(pages)) {
    }
  }
  EXPECT_EQ(kind(1), FrameKind::withdrawn);
}

struct SmallMachine : WithdrawalTest {
  SmallMachine() : WithdrawalTest(24) {}
};

TEST_F(SmallMachine, MoreMemoryThanThereIs) {
  for (unsigned round = 0; round < 3; ++round) {
    for (std::uint32_t page = 0; page < pages; ++page) {
      if (round != 0) {
        ASSERT_EQ(memory.read(at(page, 100), 4), page + round - 1);
      }
      memory.write(at(page, 100), page + round, 4);
      table.set_reverse_map_head(at(page), 1);  // mapped, as far as the guest is concerned
    }
  }
  EXPECT_FALSE(withdrawal.starved());
  EXPECT_GT(withdrawal.counts().reclaims, 0u);
  EXPECT_GT(withdrawal.counts().most_gained, pages - 24);
}

TEST_F(SmallMachine, StarvesWhenNothingPacks) {
  std::mt19937 random(1);
  for (std::uint32_t page = 0; page < pages && !withdrawal.starved(); ++page) {
    for (std::uint32_t i = 0; i < page_size; i += 4) memory.write(at(page, i), random(), 4);
  }
  EXPECT_TRUE(withdrawal.starved());
}

TEST_F(SmallMachine, TheReserveIsNotGiven) {
  withdrawal.set_reserve(10);
  std::mt19937 random(1);
  for (std::uint32_t page = 0; page < pages && !withdrawal.starved(); ++page) {
    for (std::uint32_t i = 0; i < page_size; i += 4) memory.write(at(page, i), random(), 4);
  }
  EXPECT_TRUE(withdrawal.starved());
  EXPECT_EQ(pool.free_frames(), 10u);
}

}  // namespace
}  // namespace undercroft::test
