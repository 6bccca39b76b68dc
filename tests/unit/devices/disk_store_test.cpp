#include "monitor/devices/disk_store.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

struct DiskStoreTest : testing::Test {
  DiskStoreTest() { pool.add_range(HostPhysical(0x100000), 1u << 20); }

  static std::vector<std::byte> pattern(std::size_t bytes, unsigned seed) {
    std::vector<std::byte> out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i * 7 + seed + i / 512);
    return out;
  }
  bool add(HostPhysical start, std::uint32_t bytes, DiskKind kind = DiskKind::virtio,
           bool save = false) {
    return disks.add(pool, start, bytes, kind, save).ok();
  }

  MachineMemory machine;
  FramePool pool{machine.slots};
  DiskStore disks{machine.slots};
};

TEST_F(DiskStoreTest, SectorsAreTheModulesBytesInOrder) {
  machine.set_word(HostPhysical(0x300000), 0x11223344);
  machine.set_word(HostPhysical(0x300000 + 9 * 512), 0x55667788);
  ASSERT_TRUE(add(HostPhysical(0x300000), 10 * 512));
  std::vector<std::byte> out(512);
  ASSERT_TRUE(disks.read_disk(0, 9, out));
  EXPECT_EQ(out[0], std::byte{0x88});
  std::vector<std::byte> whole(10 * 512);
  ASSERT_TRUE(disks.read_disk(0, 0, whole));
  EXPECT_EQ(whole[3], std::byte{0x11});
  EXPECT_EQ(whole[9 * 512 + 3], std::byte{0x55});
  EXPECT_EQ(disks.disk(0).sectors, 10u);
}

// A boot loader need not align a module; its neighbours must stay as they are.
TEST_F(DiskStoreTest, WritesStayInsideOfADiskThatBeginsAnywhere) {
  for (const std::uint32_t start : {0x300000u, 0x300004u, 0x300ffcu}) {
    MachineMemory own;
    FramePool frames(own.slots);
    frames.add_range(HostPhysical(0x100000), 1u << 20);
    DiskStore store(own.slots);
    ASSERT_TRUE(store.add(frames, HostPhysical(start), 20 * 512, DiskKind::ata, true).ok());
    const auto bytes = pattern(20 * 512, 5);
    ASSERT_TRUE(store.write_disk(0, 0, bytes));
    std::vector<std::byte> back(20 * 512);
    ASSERT_TRUE(store.read_disk(0, 0, back));
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(own.word(HostPhysical(start - 4)), 0u);
    EXPECT_EQ(own.word(HostPhysical(start + 20 * 512)), 0u);
  }
}

TEST_F(DiskStoreTest, NothingBeyondTheEnd) {
  ASSERT_TRUE(add(HostPhysical(0x300000), 10 * 512));
  std::vector<std::byte> two(1024, std::byte{1}), part(100), none;
  for (const std::uint32_t sector : {9u, 10u, 11u, 0x7fffffu, 0x800000u, 0xffffffffu}) {
    EXPECT_FALSE(disks.read_disk(0, sector, two)) << sector;
    EXPECT_FALSE(disks.write_disk(0, sector, two)) << sector;
  }
  EXPECT_FALSE(disks.read_disk(0, 0, part));
  EXPECT_FALSE(disks.write_disk(0, 0, part));
  EXPECT_TRUE(disks.read_disk(0, 10, none));
  EXPECT_TRUE(disks.write_disk(0, 10, none));
  EXPECT_EQ(machine.word(HostPhysical(0x300000 + 9 * 512)), 0u);
  for (std::uint32_t block = 0; block < 3; ++block) EXPECT_FALSE(disks.written(0, block));
}

TEST_F(DiskStoreTest, TheBitmapSaysWhichBlocksWereWritten) {
  ASSERT_TRUE(add(HostPhysical(0x300000), 36 * 512));  // four blocks and a half
  EXPECT_EQ(disks.block_count(0), 5u);
  ASSERT_TRUE(disks.write_disk(0, 15, pattern(512, 1)));
  ASSERT_TRUE(disks.write_disk(0, 35, pattern(512, 1)));
  const bool expected[] = {false, true, false, false, true, false};
  for (unsigned block = 0; block < 6; ++block) {
    EXPECT_EQ(disks.written(0, block), expected[block]) << block;
  }
  ASSERT_TRUE(disks.write_disk(0, 7, pattern(1024, 1)));  // across a block's edge
  EXPECT_TRUE(disks.written(0, 0));
}

// 200 MB: the bitmap needs a second frame. The machine's memory is a sparse file.
TEST_F(DiskStoreTest, ALargeDisk) {
  MachineMemory large(400ull << 20);
  FramePool frames(large.slots);
  frames.add_range(HostPhysical(0x100000), 1u << 20);
  const auto before = frames.free_frames();
  DiskStore store(large.slots);
  ASSERT_TRUE(store.add(frames, HostPhysical(100u << 20), 200u << 20, DiskKind::ata, true).ok());
  EXPECT_EQ(frames.free_frames(), before - 2);
  const std::uint32_t last = (200u << 20) / 512 - 1;
  ASSERT_TRUE(store.write_disk(0, last, pattern(512, 3)));
  EXPECT_TRUE(store.written(0, (200u << 20) / 4096 - 1));
  EXPECT_FALSE(store.written(0, (200u << 20) / 4096 - 1 - 32768));
  EXPECT_FALSE(store.written(0, 0));
}

TEST_F(DiskStoreTest, ACdromIsNotWritten) {
  ASSERT_TRUE(add(HostPhysical(0x300000), 8192, DiskKind::cdrom));
  EXPECT_TRUE(disks.disk(0).read_only);
  EXPECT_FALSE(disks.write_disk(0, 0, pattern(512, 1)));
  EXPECT_EQ(machine.word(HostPhysical(0x300000)), 0u);
  EXPECT_FALSE(disks.written(0, 0));
}

TEST_F(DiskStoreTest, WhatIsNoDisk) {
  EXPECT_FALSE(add(HostPhysical(0x300000), 0));
  EXPECT_FALSE(add(HostPhysical(0x300000), 511));
  EXPECT_FALSE(add(HostPhysical(0x300000), 3 * 512, DiskKind::cdrom));
  EXPECT_FALSE(add(HostPhysical(0x300000), 2048, DiskKind::cdrom, true));
  EXPECT_EQ(disks.disk_count(), 0u);
  for (unsigned i = 0; i < DiskStore::max_disks; ++i) {
    EXPECT_TRUE(add(HostPhysical(0x300000 + i * 0x10000), 512));
  }
  EXPECT_FALSE(add(HostPhysical(0x300000), 512));
  while (pool.allocate()) {
  }
  DiskStore other(machine.slots);
  EXPECT_FALSE(other.add(pool, HostPhysical(0x300000), 512, DiskKind::ata, false).ok());
}

}  // namespace
}  // namespace undercroft::test
