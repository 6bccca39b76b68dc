#include "monitor/devices/disk_save.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

struct DiskSaveTest : testing::Test {
  DiskSaveTest() { pool.add_range(HostPhysical(0x100000), 1u << 20); }
  std::uint32_t word(std::size_t at) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
      value |= std::uint32_t{static_cast<std::uint8_t>(sink.text[at + i])} << 8 * i;
    }
    return value;
  }
  // CRC-32 bit by bit.
  std::uint32_t check_of(std::size_t at, std::size_t bytes) const {
    std::uint32_t crc = ~0u;
    const auto take = [&](char c) {
      crc ^= static_cast<std::uint8_t>(c);
      for (unsigned i = 0; i < 8; ++i) crc = crc >> 1 ^ ((crc & 1) ? 0xedb88320u : 0u);
    };
    for (unsigned i = 0; i < 16; ++i) take(sink.text[at + i]);
    for (unsigned i = 0; i < bytes; ++i) take(sink.text[at + 20 + i]);
    return ~crc;
  }
  void expect_record(std::size_t at, std::uint32_t disk, std::uint32_t block, std::uint32_t bytes) {
    EXPECT_EQ(sink.text.substr(at, 4), "UDSK");
    EXPECT_EQ(word(at + 4), disk);
    EXPECT_EQ(word(at + 8), block);
    EXPECT_EQ(word(at + 12), bytes);
    EXPECT_EQ(word(at + 16), check_of(at, bytes));
  }

  MachineMemory machine;
  FramePool pool{machine.slots};
  DiskStore disks{machine.slots};
  RecordingSink sink;
};

TEST_F(DiskSaveTest, WrittenBlocksOfDisksThatAreToBeSaved) {
  ASSERT_TRUE(disks.add(pool, HostPhysical(0x300000), 8192, DiskKind::ata, false).ok());
  ASSERT_TRUE(disks.add(pool, HostPhysical(0x400000), 20 * 512, DiskKind::virtio, true).ok());
  std::array<std::byte, 512> sector;
  sector.fill(std::byte{0x5a});
  ASSERT_TRUE(disks.write_disk(0, 0, sector));
  ASSERT_TRUE(disks.write_disk(1, 3, sector));
  ASSERT_TRUE(disks.write_disk(1, 19, sector));
  const SavedDisks saved = save_disks(disks, sink);
  EXPECT_EQ(saved.disks, 1u);
  EXPECT_EQ(saved.blocks, 2u);
  ASSERT_EQ(sink.text.size(), 20u + 4096 + 20 + 2048 + 20);
  expect_record(0, 1, 0, 4096);
  EXPECT_EQ(sink.text[20 + 3 * 512 - 1], 0);
  EXPECT_EQ(sink.text[20 + 3 * 512], 0x5a);
  EXPECT_EQ(sink.text[20 + 4 * 512], 0);
  expect_record(4116, 1, 2, 2048);
  EXPECT_EQ(sink.text[4116 + 20 + 2047], 0x5a);
  expect_record(4116 + 2068, 0xffffffff, 2, 0);
}

TEST_F(DiskSaveTest, TheEndComesInAnyCase) {
  save_disks(disks, sink);
  ASSERT_EQ(sink.text.size(), 20u);
  expect_record(0, 0xffffffff, 0, 0);
}

}  // namespace
}  // namespace undercroft::test
