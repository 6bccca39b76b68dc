// What a guest's VGA shows on the host's display, and when its text pages are memory.
#include "monitor/guest_screen.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "monitor/vm.hpp"
#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t ram_bytes = 2u << 20;

struct RecordingDisplay final : GuestDisplay {
  void set_registers(const VgaRegisters& registers) override {
    shown = registers;
    ++mode_sets;
  }
  void put_cells(unsigned first, std::span<const std::uint16_t> put) override {
    for (const std::uint16_t cell : put) cells[first++] = cell;
    drawn += static_cast<unsigned>(put.size());
  }
  void put_page(std::uint32_t offset, std::span<const std::byte, page_size> bytes) override {
    pages[offset] = std::to_integer<unsigned>(bytes[0]);
  }
  VgaRegisters shown;
  std::map<unsigned, std::uint16_t> cells;
  std::map<std::uint32_t, unsigned> pages;  // the first byte of each
  unsigned mode_sets = 0, drawn = 0;
};

struct CountingUnmapper final : FrameUnmapper {
  void unmap(GuestPhysical) override { ++count; }
  unsigned count = 0;
};

struct GuestScreenTest : testing::Test {
  GuestScreenTest() {
    pool.add_range(HostPhysical(0x100000), 16u << 20);
    EXPECT_TRUE(vm.lay_out(ram_bytes, true));
    vm.video.set_unmapper(unmapper);
  }
  void poke(std::uint32_t address, std::uint32_t cell) {
    vm.memory.write(GuestPhysical(address), cell, 2);
    screen.tend(now);
  }
  void set(std::uint16_t port, unsigned index, unsigned value) {
    pc.port_write(port, index | value << 8, 2);
    screen.tend(now);
  }
  void refresh() { screen.tend(now += GuestScreen::interval); }
  FrameKind kind(std::uint32_t address) { return vm.table.entry(GuestPhysical(address)).kind; }

  MachineMemory machine;
  FramePool pool{machine.slots};
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{ram_bytes, 0}, clock, com1, debug_console, log};
  Vm vm{machine.slots, pool, pc};
  RecordingDisplay display;
  CountingUnmapper unmapper;
  GuestScreen screen{pc, vm.video, &display};
  std::uint64_t now = 1'000;
};

TEST_F(GuestScreenTest, NothingIsShownBeforeTheGuestShowsSomething) {
  screen.tend(now);
  EXPECT_EQ(screen.deadline(), no_deadline);
  vm.memory.read(GuestPhysical(0xb8000), 2);
  screen.tend(now);
  refresh();
  EXPECT_EQ(display.mode_sets, 0u);
  EXPECT_EQ(display.drawn, 0u);
}

TEST_F(GuestScreenTest, TheFirstWriteTakesTheScreenAndOnlyChangesFollow) {
  poke(0xb8000, 0x1f41);
  EXPECT_EQ(display.drawn, 0u) << "at the next refresh";
  EXPECT_EQ(screen.deadline(), now + GuestScreen::interval);
  refresh();
  EXPECT_EQ(display.mode_sets, 1u);
  EXPECT_EQ(display.drawn, 2000u);
  EXPECT_EQ(display.cells[0], 0x1f41);
  EXPECT_EQ(display.cells[1999], 0x0720);
  poke(0xb8000 + 81 * 2, 0x0742);
  poke(0xb8000 + 83 * 2, 0x0743);
  refresh();
  EXPECT_EQ(display.drawn, 2003u);
  EXPECT_EQ(display.cells[81], 0x0742);
  EXPECT_EQ(display.mode_sets, 1u);
}

TEST_F(GuestScreenTest, TextPagesAreMemoryWhileTheGuestWrites) {
  EXPECT_EQ(kind(0xb8000), FrameKind::device);
  poke(0xb8000, 0x0741);
  EXPECT_EQ(kind(0xb8000), FrameKind::device_memory);
  EXPECT_EQ(kind(0xbf000), FrameKind::device_memory);
  EXPECT_EQ(kind(0xb7000), FrameKind::device);
  EXPECT_EQ(kind(0xa0000), FrameKind::device);
  vm.memory.write(GuestPhysical(0xb8002), 0x0742, 2);  // nobody hears of it
  EXPECT_FALSE(screen.waits());
  refresh();
  EXPECT_EQ(display.cells[1], 0x0742);
  for (unsigned i = 0; i < GuestScreen::quiet_refreshes; ++i) refresh();
  EXPECT_EQ(kind(0xb8000), FrameKind::device);
  EXPECT_EQ(screen.deadline(), no_deadline);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xb8000), 4), 0x07420741u);
  screen.tend(now);
  EXPECT_EQ(kind(0xb8000), FrameKind::device_memory);
}

TEST_F(GuestScreenTest, PagesThatTheGuestHasMappedAreUnmappedAtEachChange) {
  vm.table.set_reverse_map_head(GuestPhysical(0xb8000), 1);
  poke(0xb8000, 0x0741);
  EXPECT_EQ(unmapper.count, 1u);
  set(0x3c4, 2, 0x04);
  EXPECT_EQ(unmapper.count, 2u);
  EXPECT_EQ(kind(0xb8000), FrameKind::device);
}

TEST_F(GuestScreenTest, TheMonochromeWindowIsTheSameMemory) {
  poke(0xb8004, 0x0758);
  set(0x3ce, 6, 0x0a);
  EXPECT_EQ(kind(0xb8000), FrameKind::device);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xb8004), 2), 0xffffu);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xb0004), 2), 0x0758u);
  screen.tend(now);
  EXPECT_EQ(kind(0xb0000), FrameKind::device_memory);
}

TEST_F(GuestScreenTest, StartAndCursorCountFromTheDisplaysStart) {
  poke(0xb8000 + 2 * (160 + 5), 0x0741);
  set(0x3d4, 0x0d, 160);
  set(0x3d4, 0x0f, 170);
  refresh();
  EXPECT_EQ(display.cells[5], 0x0741);
  EXPECT_EQ(display.shown.start(), 0u);
  EXPECT_EQ(display.shown.cursor(), 10u);
  set(0x3d4, 0x0a, 0x2d);
  refresh();
  EXPECT_EQ(display.shown.crtc[0x0a], 0x2d) << "the cursor is off";
}

TEST_F(GuestScreenTest, FiftyRows) {
  set(0x3d4, 0x09, 0x47);
  poke(0xb8000 + 2 * 49 * 80, 0x0741);
  refresh();
  EXPECT_EQ(display.drawn, 4000u);
  EXPECT_EQ(display.cells[49 * 80], 0x0741);
  EXPECT_EQ(display.shown.rows(), 50u);
}

TEST_F(GuestScreenTest, ASillyGeometryIsClipped) {
  set(0x3d4, 0x11, 0x00);
  set(0x3d4, 0x01, 0xff);
  set(0x3d4, 0x07, 0xff);
  set(0x3d4, 0x12, 0xff);
  set(0x3d4, 0x09, 0x00);
  set(0x3d4, 0x0c, 0xff);
  set(0x3d4, 0x0d, 0xff);
  refresh();
  EXPECT_EQ(display.drawn, 132u * 60);
}

TEST_F(GuestScreenTest, FontsAreShown) {
  set(0x3c4, 2, 0x04);
  set(0x3c4, 4, 0x06);
  set(0x3ce, 5, 0x00);
  set(0x3ce, 6, 0x04);
  poke(0xa0000, 0x0081);
  refresh();
  const std::uint32_t font = video_memory_offset(2, 0);
  ASSERT_EQ(display.pages.size(), 1u);
  EXPECT_EQ(display.pages[font], 0x81u);
}

TEST_F(GuestScreenTest, AGraphicsModeIsShownWhole) {
  set(0x3c4, 2, 0x0f);
  set(0x3c4, 4, 0x06);
  set(0x3ce, 5, 0x00);
  set(0x3ce, 6, 0x05);
  refresh();
  EXPECT_EQ(display.pages.size(), 64u);
  EXPECT_EQ(display.drawn, 0u);
  display.pages.clear();
  poke(0xa0000 + 0x1800, 0x0033);
  refresh();
  EXPECT_EQ(display.pages.size(), 2u) << "of planes 0 and 1, and of 2 and 3";
  set(0x3ce, 6, 0x0e);
  refresh();
  EXPECT_EQ(display.drawn, 2000u);
}

TEST_F(GuestScreenTest, TheEndIsShownAtOnce) {
  poke(0xb8000, 0x0741);
  screen.finish();
  EXPECT_EQ(display.cells[0], 0x0741);
}

TEST_F(GuestScreenTest, WithoutADisplayThereIsNoDeadline) {
  GuestScreen blind(pc, vm.video, nullptr);
  vm.memory.write(GuestPhysical(0xb8000), 0x0741, 2);
  blind.tend(now);
  EXPECT_EQ(blind.deadline(), no_deadline);
  EXPECT_EQ(kind(0xb8000), FrameKind::device_memory);
  blind.finish();
}

TEST_F(GuestScreenTest, TextPagesAreNeverWithdrawn) {
  poke(0xb8000, 0x0741);
  EXPECT_FALSE(vm.withdrawal.withdraw(GuestPhysical(0xb8000)));
  EXPECT_EQ(kind(0xb8000), FrameKind::device_memory);
}

}  // namespace
}  // namespace undercroft::test
