#include "monitor/devices/virtio_block.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/unit/fakes/virtio_driver.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t page = 0x10;
constexpr std::uint32_t header = 0x2000, status = 0x2100, data = 0x80000;

class FakeDisks final : public DiskPort {
 public:
  unsigned disk_count() const override { return 3; }
  DiskInformation disk(unsigned) const override {
    return {DiskKind::virtio, false, false, static_cast<std::uint32_t>(contents.size() / 512)};
  }
  bool read_disk(unsigned number, std::uint32_t sector, std::span<std::byte> out) override {
    asked = number;
    if (sector * 512 + out.size() > contents.size()) return false;
    std::copy_n(contents.begin() + sector * 512, out.size(), out.begin());
    return true;
  }
  bool write_disk(unsigned number, std::uint32_t sector, std::span<const std::byte> in) override {
    asked = number;
    if (sector * 512 + in.size() > contents.size()) return false;
    std::copy(in.begin(), in.end(), contents.begin() + sector * 512);
    return true;
  }
  std::vector<std::byte> contents = std::vector<std::byte>(4000 * 512);
  unsigned asked = 99;
};

struct VirtioBlockTest : testing::Test {
  VirtioBlockTest() {
    for (unsigned i = 0; i < disks.contents.size(); ++i) {
      disks.contents[i] = static_cast<std::byte>(i / 512 + i);
    }
    const std::uint32_t pages[] = {page};
    bring_up([&](unsigned o, std::uint32_t v, unsigned s) { write(o, v, s); }, 0xffffffff, pages);
  }
  void write(unsigned offset, std::uint32_t value, unsigned size, bool may_access = true) {
    device.write(offset, value, size, disks, memory, may_access);
  }
  std::uint32_t read(unsigned offset, unsigned size) { return device.read(offset, size, disks); }

  void offer(std::uint32_t type, std::uint64_t sector, std::vector<FakeBuffer> buffers) {
    memory.set<std::uint32_t>(header, type);
    memory.set<std::uint64_t>(header + 8, sector);
    memory.set<std::uint8_t>(status, 0xee);
    buffers.insert(buffers.begin(), {header, 16});
    buffers.push_back({status, 1, true});
    driver.offer(0, buffers);
    write(16, 0, 2);
  }
  unsigned answer() const { return memory.get<std::uint8_t>(status); }

  FlatDma memory{4u << 20};
  FakeDriver driver{memory, page, VirtioBlock::queue_size};
  FakeDisks disks;
  VirtioBlock device{2};
};

TEST_F(VirtioBlockTest, RegistersOfALegacyDevice) {
  EXPECT_EQ(read(0, 4), 1u << 1 | 1u << 2 | 1u << 4 | 1u << 6 | 1u << 9 | 7u << 27);
  EXPECT_EQ(read(4, 4), read(0, 4));  // only what is offered can be accepted
  EXPECT_EQ(read(8, 4), page);
  EXPECT_EQ(read(12, 2), VirtioBlock::queue_size);
  EXPECT_EQ(read(18, 1), 7u);
  EXPECT_EQ(read(20, 4), 4000u);  // sectors
  EXPECT_EQ(read(24, 4), 0u);
  EXPECT_EQ(read(28, 4), VirtioBlock::most_segment_bytes);
  EXPECT_EQ(read(32, 4), VirtioBlock::most_segments);
  EXPECT_EQ(read(36, 2), 3u);  // cylinders of 16 heads, 63 sectors
  EXPECT_EQ(read(38, 1), 16u);
  EXPECT_EQ(read(39, 1), 63u);
  EXPECT_EQ(read(40, 4), 512u);
  EXPECT_EQ(read(44, 4), 0u);
  write(14, 1, 2);
  EXPECT_EQ(read(12, 2), 0u);  // there is no queue 1
  EXPECT_EQ(read(8, 4), 0u);
  write(8, 0x55, 4);
  write(14, 0xffff, 2);
  EXPECT_EQ(read(14, 2), 0xffffu);
  write(18, 0, 1);
  write(14, 0, 2);
  EXPECT_EQ(read(8, 4), 0u);
  EXPECT_EQ(read(4, 4), 0u);
}

TEST_F(VirtioBlockTest, Read) {
  offer(0, 5, {{data, 700, true}, {data + 0x10000, 324, true}});
  EXPECT_EQ(answer(), 0u);
  EXPECT_EQ(disks.asked, 2u);
  EXPECT_EQ(driver.used_bytes(0), 1025u);
  EXPECT_EQ(memory.get<std::byte>(data), disks.contents[5 * 512]);
  EXPECT_EQ(memory.get<std::byte>(data + 699), disks.contents[5 * 512 + 699]);
  EXPECT_EQ(memory.get<std::byte>(data + 0x10000), disks.contents[5 * 512 + 700]);
  EXPECT_EQ(memory.get<std::byte>(data + 0x10000 + 323), disks.contents[5 * 512 + 1023]);
  EXPECT_TRUE(device.interrupt());
  EXPECT_EQ(read(19, 1), 1u);
  EXPECT_FALSE(device.interrupt());  // reading the status clears it
  EXPECT_EQ(read(19, 1), 0u);
}

TEST_F(VirtioBlockTest, WriteAndFlush) {
  for (unsigned i = 0; i < 8192; ++i) memory.set<std::uint8_t>(data + i, i * 13 + 1);
  offer(1, 3992, {{data, 4096}});
  EXPECT_EQ(answer(), 0u);
  EXPECT_EQ(driver.used_bytes(0), 1u);
  EXPECT_EQ(disks.contents[3992 * 512 + 4095], static_cast<std::byte>(4095 * 13 + 1));
  offer(4, 0, {});
  EXPECT_EQ(answer(), 0u);
}

TEST_F(VirtioBlockTest, TheLargestRequestThatIsAnnounced) {
  offer(0, 0, {{data, 512 * 3900, true}});
  EXPECT_EQ(answer(), 0u);
  EXPECT_EQ(driver.used_bytes(0), 512u * 3900 + 1);
  EXPECT_EQ(memory.get<std::byte>(data + 512 * 3900 - 1), disks.contents[512 * 3900 - 1]);
}

TEST_F(VirtioBlockTest, WhatIsNotOnTheDiskIsAnError) {
  struct {
    std::uint64_t sector;
    std::uint32_t bytes;
  } const rows[] = {{4000, 512},  {3999, 1024}, {1ull << 32, 512},
                    {~0ull, 512}, {0, 511},     {0, VirtioBlock::most_request_bytes + 512}};
  for (const std::uint32_t type : {0u, 1u}) {
    for (const auto& row : rows) {
      offer(type, row.sector, {{data, row.bytes, type == 0}});
      EXPECT_EQ(answer(), 1u) << row.sector << " " << row.bytes;
    }
  }
}

TEST_F(VirtioBlockTest, OtherRequestsAreUnsupported) {
  for (const std::uint32_t type : {2u, 3u, 5u, 11u, 0x80000000u}) {
    offer(type, 0, {{data, 512, true}});
    EXPECT_EQ(answer(), 2u) << type;
  }
}

TEST_F(VirtioBlockTest, TheDisksName) {
  offer(8, 0, {{data, 20, true}});
  EXPECT_EQ(answer(), 0u);
  const auto name = memory.get<std::array<char, 20>>(data);
  EXPECT_EQ(std::string(name.data()), "undercroft-2");
}

TEST_F(VirtioBlockTest, BuffersOutsideOfMemory) {
  offer(0, 0, {{8u << 20, 512, true}});
  EXPECT_EQ(answer(), 1u);
  offer(1, 0, {{8u << 20, 512}});
  EXPECT_EQ(answer(), 1u);
  EXPECT_EQ(disks.contents[1], std::byte{1});
}

TEST_F(VirtioBlockTest, ARequestWithoutHeaderOrStatusEndsTheQueue) {
  for (const bool header_is_short : {true, false}) {
    const std::uint32_t pages[] = {page};
    driver.set_offered(0);
    bring_up([&](unsigned o, std::uint32_t v, unsigned s) { write(o, v, s); }, 0, pages);
    memory.set<std::uint16_t>(driver.used + 2, 0);
    if (header_is_short) {
      driver.offer(0, {{header, 15}, {status, 1, true}});
    } else {
      driver.offer(0, {{header, 16}});
    }
    write(16, 0, 2);
    offer(4, 0, {});
    EXPECT_EQ(driver.used_count(), 0);
    EXPECT_EQ(answer(), 0xeeu);
  }
}

TEST_F(VirtioBlockTest, NothingIsDoneBeforeTheDriverIsUpOrWithoutBusMastering) {
  write(18, 3, 1);
  offer(4, 0, {});
  EXPECT_EQ(answer(), 0xeeu);
  write(18, 7, 1);
  write(16, 0, 2, false);
  EXPECT_EQ(answer(), 0xeeu);
  write(16, 1, 2);  // a queue that is not there
  EXPECT_EQ(answer(), 0xeeu);
  write(16, 0, 2);
  EXPECT_EQ(answer(), 0u);
}

}  // namespace
}  // namespace undercroft::test
