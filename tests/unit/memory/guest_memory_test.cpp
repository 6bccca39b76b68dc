#include "monitor/memory/guest_memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::FakeDevices;
using test::GuestMachine;

namespace {

struct Listener final : WriteWatcher {
  explicit Listener(GuestMemory* seen = nullptr) : memory(seen) {}
  struct Heard {
    std::uint32_t address;
    unsigned bytes;
    bool operator==(const Heard&) const = default;
  };
  void written(GuestPhysical address, unsigned bytes) override {
    heard.push_back({address.value(), bytes});
    if (memory) value = memory->read(address, 1);
  }
  GuestMemory* memory;
  std::uint32_t value = 0;
  std::vector<Heard> heard;
};

constexpr GuestPhysical device_page(0xb8000), absent_page(0xd0000), image_page(0xf0000);

class GuestMemoryTest : public testing::Test {
 protected:
  GuestMemoryTest() {
    table.set_frame(device_page, FrameKind::device);
    table.set_frame(absent_page, FrameKind::absent);
    table.set_frame(image_page, FrameKind::read_only_image, table.entry(image_page).frame);
  }
  GuestMachine guest;
  FrameTable& table = guest.table;
  GuestMemory& memory = guest.memory;
};

}  // namespace

TEST_F(GuestMemoryTest, RamOfAllSizes) {
  const GuestPhysical at(0x3210);
  memory.write(at, 0x11223344, 4);
  EXPECT_EQ(memory.read(at, 4), 0x11223344u);
  EXPECT_EQ(memory.read(at + 1, 2), 0x2233u);
  memory.write(at + 1, 0xaabbccdd, 1);
  EXPECT_EQ(memory.read(at, 4), 0x1122dd44u);
  EXPECT_EQ(guest.machine.word(*table.host_frame(at)), 0x1122dd44u);
}

TEST_F(GuestMemoryTest, AccessesCrossPages) {
  for (unsigned offset = 0xffd; offset < 0x1000; ++offset) {
    const GuestPhysical at(0x5000 + offset);
    memory.write(at, 0xa1b2c3d4 + offset, 4);
    EXPECT_EQ(memory.read(at, 4), 0xa1b2c3d4 + offset);
    EXPECT_EQ(memory.read(at + 2, 2), (0xa1b2c3d4 + offset) >> 16);
    EXPECT_EQ(guest.machine.word(*table.host_frame(GuestPhysical(0x6000))) & 0xff,
              (0xa1b2c3d4 + offset) >> 8 * (0x1000 - offset) & 0xff);
  }
}

TEST_F(GuestMemoryTest, AbsentMemoryFloats) {
  memory.write(absent_page, 0, 4);
  EXPECT_EQ(memory.read(absent_page, 1), 0xffu);
  EXPECT_EQ(memory.read(absent_page, 2), 0xffffu);
  EXPECT_EQ(memory.read(absent_page, 4), 0xffffffffu);
  std::array<std::byte, 8> bytes{};
  memory.read(GuestPhysical(0xe0000000), bytes);
  for (const std::byte byte : bytes) EXPECT_EQ(byte, std::byte{0xff});
  // Half absent, half RAM.
  memory.write(absent_page - 2, 0x12345678, 4);
  EXPECT_EQ(memory.read(absent_page - 2, 4), 0xffff5678u);
}

TEST_F(GuestMemoryTest, ReadOnlyImageDropsWrites) {
  guest.machine.set_word(*table.host_frame(image_page), 0xcafe);
  memory.write(image_page, 0, 4);
  memory.fill(image_page, std::byte{0}, 4096);
  const std::array<std::byte, 4> zeros{};
  memory.write(image_page, std::span(zeros));
  EXPECT_EQ(memory.read(image_page, 4), 0xcafeu);
}

TEST_F(GuestMemoryTest, DevicesSeeAddressSizeAndValue) {
  auto& devices = guest.devices;
  EXPECT_EQ(memory.read(device_page + 6, 2), 0x5678u);
  EXPECT_EQ(devices.accesses[0], (FakeDevices::Access{0xb8006, 0x12345678, 2, false}));
  memory.write(device_page + 7, 0xaabbccdd, 1);
  EXPECT_EQ(devices.accesses[1], (FakeDevices::Access{0xb8007, 0xdd, 1, true}));
  memory.fill(device_page, std::byte{5}, 3);
  EXPECT_EQ(devices.count, 5u);
  EXPECT_EQ(devices.accesses[4], (FakeDevices::Access{0xb8002, 5, 1, true}));
}

// A part of three bytes never reaches a device: it knows 1, 2 and 4.
TEST_F(GuestMemoryTest, DevicesNeverSeeThreeBytes) {
  memory.write(device_page, 0x332211, 3);
  EXPECT_EQ(guest.devices.accesses[0], (FakeDevices::Access{0xb8000, 0x11, 1, true}));
  EXPECT_EQ(guest.devices.accesses[1], (FakeDevices::Access{0xb8001, 0x3322, 2, true}));
  guest.devices.answer = 0x5a6b;
  EXPECT_EQ(memory.read(device_page, 3), 0x5a6b6bu);
}

TEST_F(GuestMemoryTest, EveryWatcherOfTheFrameHearsAfterTheWrite) {
  Listener tables(&memory), more_tables, code, hook;
  ASSERT_TRUE(memory.add_watcher(Watcher::page_table, tables));
  ASSERT_TRUE(memory.add_watcher(Watcher::page_table, more_tables));
  ASSERT_TRUE(memory.add_watcher(Watcher::translated_code, code));
  memory.write(GuestPhysical(0x2000), 1, 4);
  EXPECT_TRUE(tables.heard.empty() && code.heard.empty());

  table.watch(GuestPhysical(0x2000), Watcher::page_table);
  memory.write(GuestPhysical(0x2ffe), 0x00aa0077, 4);  // the second half is not watched
  const std::vector<Listener::Heard> once{{0x2ffe, 2}};
  EXPECT_EQ(tables.heard, once);
  EXPECT_EQ(tables.value, 0x77u);
  EXPECT_EQ(more_tables.heard, once);
  EXPECT_TRUE(code.heard.empty());

  table.watch(GuestPhysical(0x3000), Watcher::translated_code);
  memory.fill(GuestPhysical(0x2800), std::byte{0}, 0x1000);
  EXPECT_EQ(tables.heard.back(), (Listener::Heard{0x2800, 0x800}));
  EXPECT_EQ(code.heard.back(), (Listener::Heard{0x3000, 0x800}));

  table.unwatch(GuestPhysical(0x2000), Watcher::page_table);
  memory.set_dirty_hook(&hook);
  const std::array<std::byte, 3> bytes{};
  memory.write(GuestPhysical(0x2100), std::span(bytes));
  EXPECT_EQ(tables.heard.size(), 2u);
  EXPECT_EQ(hook.heard, (std::vector<Listener::Heard>{{0x2100, 3}}));
}

TEST_F(GuestMemoryTest, AtMostFourWatchersOfAKind) {
  Listener listener;
  for (unsigned i = 0; i < 4; ++i) EXPECT_TRUE(memory.add_watcher(Watcher::debugger, listener));
  EXPECT_FALSE(memory.add_watcher(Watcher::debugger, listener));
}

TEST_F(GuestMemoryTest, FramesAreGivenAtFirstTouch) {
  const GuestPhysical lazy(0x40000000);
  table.set_frame(lazy, FrameKind::not_yet_given);
  const auto before = guest.pool.free_frames();
  EXPECT_EQ(memory.read(lazy + 8, 4), 0u);
  EXPECT_EQ(table.entry(lazy).kind, FrameKind::ram);
  EXPECT_EQ(guest.pool.free_frames(), before - 1);
  memory.write(lazy, 42, 4);
  EXPECT_EQ(memory.read(lazy, 4), 42u);
  EXPECT_TRUE(memory.restore(lazy));  // has one already
  EXPECT_EQ(guest.pool.free_frames(), before - 1);
}

TEST_F(GuestMemoryTest, WithoutFramesALazyPageFloats) {
  const GuestPhysical lazy(0x40000000);
  table.set_frame(lazy, FrameKind::not_yet_given);
  while (guest.pool.allocate()) {
  }
  EXPECT_FALSE(memory.restore(lazy));
  EXPECT_EQ(memory.read(lazy, 4), ~0u);
  memory.write(lazy, 0, 4);
  EXPECT_EQ(table.entry(lazy).kind, FrameKind::not_yet_given);
}

TEST_F(GuestMemoryTest, DirectAccessOnlyWhereNobodyHasToHear) {
  Listener hook;
  const GuestPhysical ram(0x7000);
  EXPECT_EQ(memory.direct_frame(ram, true), table.host_frame(ram));
  EXPECT_FALSE(memory.direct_frame(device_page, false));
  EXPECT_FALSE(memory.direct_frame(absent_page, false));
  EXPECT_TRUE(memory.direct_frame(image_page, false));
  EXPECT_FALSE(memory.direct_frame(image_page, true));
  auto version = memory.version();
  table.watch(ram, Watcher::debugger);
  EXPECT_NE(memory.version(), version);
  EXPECT_TRUE(memory.direct_frame(ram, false));
  EXPECT_FALSE(memory.direct_frame(ram, true));
  table.unwatch(ram, Watcher::debugger);
  EXPECT_TRUE(memory.direct_frame(ram, true));
  version = memory.version();
  memory.set_dirty_hook(&hook);
  EXPECT_NE(memory.version(), version);
  EXPECT_FALSE(memory.direct_frame(ram, true));
}
