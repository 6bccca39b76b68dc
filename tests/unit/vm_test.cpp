#include "monitor/vm.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t ram_bytes = 4u << 20;

struct VmTest : testing::Test {
  VmTest() { pool.add_range(HostPhysical(0x100000), 32u << 20); }
  FrameKind kind(std::uint32_t address) { return vm.table.entry(GuestPhysical(address)).kind; }

  MachineMemory machine;
  FramePool pool{machine.slots};
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{ram_bytes, 0}, clock, com1, debug_console, log};
  Vm vm{machine.slots, pool, pc};
};

TEST_F(VmTest, LaysMemoryOutAsAPcHasIt) {
  for (const bool eager : {true, false}) {
    ASSERT_TRUE(vm.lay_out(ram_bytes, eager));
    const FrameKind ram = eager ? FrameKind::ram : FrameKind::not_yet_given;
    const struct {
      std::uint32_t first, last;
      FrameKind kind;
    } rows[] = {{0, 0x9f000, ram},
                {0xa0000, 0xbf000, FrameKind::device},
                {0xc0000, 0xff000, FrameKind::read_only_image},
                {0x100000, ram_bytes - page_size, ram},
                {ram_bytes, ram_bytes, FrameKind::absent},
                {0xfec00000, 0xfec00000, FrameKind::device},
                {0xfed00000, 0xfed00000, FrameKind::device},
                {0xfee00000, 0xfee00000, FrameKind::device},
                {0xfee01000, 0xfee01000, FrameKind::absent},
                {0xfffff000, 0xfffff000, FrameKind::absent}};
    for (const auto& row : rows) {
      EXPECT_EQ(kind(row.first), row.kind) << std::hex << row.first;
      EXPECT_EQ(kind(row.last), row.kind) << std::hex << row.last;
    }
  }
}

// Where it is on the host, whole pages, and nothing beside them.
TEST_F(VmTest, TheFramebufferIsMemoryOfADevice) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, false));
  EXPECT_EQ(kind(0xfd000000), FrameKind::absent);
  ASSERT_TRUE(vm.show_framebuffer({0xfd000800, 2560, 640, 480, 32, {16, 8}, {8, 8}, {0, 8}}));
  for (const std::uint32_t page : {0xfd000000u, 0xfd08f000u, 0xfd12c000u}) {
    EXPECT_EQ(kind(page), FrameKind::framebuffer) << std::hex << page;
    EXPECT_EQ(vm.table.host_frame(GuestPhysical(page + 4)), HostPhysical(page + 4));
  }
  EXPECT_EQ(kind(0xfcfff000), FrameKind::absent);
  EXPECT_EQ(kind(0xfd12d000), FrameKind::absent);
}

TEST_F(VmTest, LazyRamTakesNoFrames) {
  const std::uint32_t before = pool.free_frames();
  ASSERT_TRUE(vm.lay_out(ram_bytes, false));
  EXPECT_LT(before - pool.free_frames(), 164u);  // ROM area, frame table, the VGA's 64
  vm.memory.write(GuestPhysical(0x200000), 0x12345678, 4);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x200000), 4), 0x12345678u);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x300000), 4), 0u);
}

struct Writes final : WriteWatcher {
  void written(GuestPhysical address, unsigned bytes) override {
    seen.push_back({address.value(), bytes});
  }
  std::vector<std::pair<std::uint32_t, unsigned>> seen;
};

// A device's own accesses reach memory, given or not, and whoever watches it.
TEST_F(VmTest, DmaReachesMemoryAndItsWatchers) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, false));
  Writes writes;
  ASSERT_TRUE(vm.memory.add_watcher(Watcher::page_table, writes));
  ASSERT_TRUE(vm.table.watch(GuestPhysical(0x201000), Watcher::page_table));
  std::array<std::byte, 6> bytes{};
  bytes.fill(std::byte{0x5a});
  EXPECT_TRUE(vm.dma.write(GuestPhysical(0x200ffd), bytes));
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x200ffc), 4), 0x5a5a5a00u);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x201000), 4), 0x005a5a5au);
  ASSERT_EQ(writes.seen.size(), 1u);
  EXPECT_EQ(writes.seen[0], (std::pair<std::uint32_t, unsigned>{0x201000, 3}));
  std::array<std::byte, 8> read{};
  EXPECT_TRUE(vm.dma.read(GuestPhysical(0x200ffd), read));
  EXPECT_EQ(read[5], std::byte{0x5a});
  EXPECT_EQ(read[6], std::byte{0});
}

TEST_F(VmTest, DmaReachesNothingElse) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, true));
  const std::array<std::byte, 4> ones{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                      std::byte{0xff}};
  std::array<std::byte, 4> bytes{};
  EXPECT_FALSE(vm.dma.read(GuestPhysical(ram_bytes), bytes)) << "beyond memory";
  EXPECT_EQ(bytes, ones);
  bytes.fill(std::byte{7});
  EXPECT_FALSE(vm.dma.write(GuestPhysical(ram_bytes - 2), bytes)) << "half of it";
  EXPECT_EQ(vm.memory.read(GuestPhysical(ram_bytes - 2), 2), 0x0707u);
  EXPECT_FALSE(vm.dma.write(GuestPhysical(0xb8000), bytes)) << "a device";
  EXPECT_EQ(pc.memory_read(GuestPhysical(0xb8000), 1), 0x20u);
  EXPECT_TRUE(vm.dma.write(GuestPhysical(0xf0000), bytes)) << "ROM answers";
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xf0000), 4), 0u);
}

TEST_F(VmTest, FramesAreNotShared) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, true));
  std::vector<bool> seen(0x10000);
  for (std::uint32_t address = 0; address < ram_bytes; address += page_size) {
    const auto frame = vm.table.host_frame(GuestPhysical(address));
    if (!frame) continue;
    ASSERT_FALSE(seen.at(frame->page_number())) << std::hex << address;
    seen[frame->page_number()] = true;
  }
}

TEST_F(VmTest, SaysWhenThereIsTooLittle) { EXPECT_FALSE(vm.lay_out(64u << 20, true)); }

TEST_F(VmTest, APageOfTheAddressSpaceCanBeGivenToADevice) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, true));
  EXPECT_EQ(kind(0xfe000000), FrameKind::absent);
  ASSERT_TRUE(vm.give_device(GuestPhysical(0xfe000000)));
  EXPECT_EQ(kind(0xfe000000), FrameKind::device);
}

TEST_F(VmTest, TheLocalApicCoversMemoryAndUncoversIt) {
  constexpr std::uint32_t place = 0x200000;
  ASSERT_TRUE(vm.lay_out(ram_bytes, true));
  vm.memory.write(GuestPhysical(place + 0x30), 0x12345678, 4);
  const auto move = [this](std::uint32_t base) {
    pc.write_apic_base(base);
    vm.place_apic();
  };
  move(place | 0x800);
  EXPECT_EQ(kind(0xfee00000), FrameKind::absent);
  EXPECT_EQ(vm.apic_page(), GuestPhysical(place));
  EXPECT_EQ(vm.memory.read(GuestPhysical(place + 0x30), 4), 0x00050014u);
  move(0xfed10800);
  EXPECT_EQ(vm.memory.read(GuestPhysical(place + 0x30), 4), 0x12345678u);
  EXPECT_EQ(kind(0xfed10000), FrameKind::device);
  move(place | 0x800);
  move(place);  // off, and its page uncovered
  EXPECT_EQ(vm.memory.read(GuestPhysical(place + 0x30), 4), 0x12345678u);
  move(0xfee00000);
  EXPECT_EQ(kind(0xfee00000), FrameKind::absent);
}

TEST_F(VmTest, DeviceMemoryIsThePcs) {
  ASSERT_TRUE(vm.lay_out(ram_bytes, true));
  vm.memory.write(GuestPhysical(0xb8000), 0x0741, 2);
  EXPECT_EQ(pc.memory_read(GuestPhysical(0xb8000), 2), 0x0741u);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xb8000), 2), 0x0741u);
  // Writes to the ROM area and to nothing vanish.
  const std::uint32_t rom = vm.memory.read(GuestPhysical(0xf0000), 4);
  vm.memory.write(GuestPhysical(0xf0000), ~rom, 4);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xf0000), 4), rom);
  vm.memory.write(GuestPhysical(0xa0000), 1, 4);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0xa0000), 4), 0xffffffffu);
}

}  // namespace
}  // namespace undercroft::test
