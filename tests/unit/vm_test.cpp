#include "monitor/vm.hpp"

#include <gtest/gtest.h>

#include <memory>

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
                {0xa0000, 0xb7000, FrameKind::absent},
                {0xb8000, 0xbf000, FrameKind::device},
                {0xc0000, 0xff000, FrameKind::read_only_image},
                {0x100000, ram_bytes - page_size, ram},
                {ram_bytes, ram_bytes, FrameKind::absent},
                {0xfffff000, 0xfffff000, FrameKind::absent}};
    for (const auto& row : rows) {
      EXPECT_EQ(kind(row.first), row.kind) << std::hex << row.first;
      EXPECT_EQ(kind(row.last), row.kind) << std::hex << row.last;
    }
  }
}

TEST_F(VmTest, LazyRamTakesNoFrames) {
  const std::uint32_t before = pool.free_frames();
  ASSERT_TRUE(vm.lay_out(ram_bytes, false));
  EXPECT_LT(before - pool.free_frames(), 100u);  // the ROM area and the frame table
  vm.memory.write(GuestPhysical(0x200000), 0x12345678, 4);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x200000), 4), 0x12345678u);
  EXPECT_EQ(vm.memory.read(GuestPhysical(0x300000), 4), 0u);
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
