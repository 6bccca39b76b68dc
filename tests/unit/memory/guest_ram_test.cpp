#include "monitor/memory/guest_ram.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::GuestMachine;

TEST(GuestRam, EagerGivesFramesLazyDoesNot) {
  GuestMachine guest(0x100000);
  auto before = guest.pool.free_frames();
  ASSERT_TRUE(
      give_ram(guest.table, guest.pool, GuestPhysical(0x100000), 0x10000, RamGiving::eager));
  EXPECT_EQ(guest.pool.free_frames(), before - 16);
  EXPECT_EQ(guest.table.entry(GuestPhysical(0x10f000)).kind, FrameKind::ram);
  EXPECT_EQ(guest.table.entry(GuestPhysical(0x110000)).kind, FrameKind::absent);
  before = guest.pool.free_frames();
  ASSERT_TRUE(give_ram(guest.table, guest.pool, GuestPhysical(0x110000), 0x10000, RamGiving::lazy));
  EXPECT_EQ(guest.pool.free_frames(), before);
  EXPECT_EQ(guest.table.entry(GuestPhysical(0x11f000)).kind, FrameKind::not_yet_given);
  ASSERT_TRUE(give_device(guest.table, GuestPhysical(0xb8000), 0x8000));
  EXPECT_EQ(guest.table.entry(GuestPhysical(0xbf000)).kind, FrameKind::device);
  EXPECT_EQ(guest.table.entry(GuestPhysical(0xc0000)).kind, FrameKind::ram);
  EXPECT_FALSE(
      give_ram(guest.table, guest.pool, GuestPhysical(0x200000), 1u << 30, RamGiving::eager));
}

TEST(GuestRam, TheLoaderWritesOnlyRam) {
  GuestMachine guest(0x100000);
  give_device(guest.table, GuestPhysical(0xa0000), 0x1000);
  LoaderRam ram(guest.memory, 0x100000);
  const std::vector<std::byte> bytes(0x3000, std::byte{0x5a});
  EXPECT_EQ(ram.size(), 0x100000u);
  EXPECT_TRUE(ram.write(GuestPhysical(0x12345), bytes));
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x15341), 4), 0x5a5a5a5au);
  EXPECT_TRUE(ram.fill(GuestPhysical(0x12346), std::byte{1}, 2));
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x12345), 4), 0x5a01015au);
  EXPECT_FALSE(ram.write(GuestPhysical(0x9f000), bytes));  // runs over the device
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x9f000), 4), 0u);
  EXPECT_TRUE(ram.fill(GuestPhysical(0xff000), std::byte{0}, 0x1000));
  EXPECT_FALSE(ram.fill(GuestPhysical(0xff001), std::byte{0}, 0x1000));  // past the end
  EXPECT_FALSE(LoaderRam(guest.memory, 0x8000).fill(GuestPhysical(0x7fff), std::byte{0}, 2));
  EXPECT_FALSE(ram.fill(GuestPhysical(0xfffff000), std::byte{0}, 0x2000));  // would wrap
}

TEST(GuestRam, TheFirmwareWritesOnlyRom) {
  GuestMachine guest(0x100000);
  for (const std::uint32_t page : {0xf0000u, 0xf1000u}) {
    guest.table.set_frame(GuestPhysical(page), FrameKind::read_only_image,
                          *guest.pool.allocate_zeroed());
  }
  LoaderRom rom(guest.memory);
  const std::vector<std::byte> bytes(8, std::byte{0x5a});
  EXPECT_TRUE(rom.write(GuestPhysical(0xf0ffc), bytes));
  EXPECT_EQ(guest.memory.read(GuestPhysical(0xf0ffe), 4), 0x5a5a5a5au);
  guest.memory.write(GuestPhysical(0xf0ffe), 0, 4);  // as the guest would: nothing happens
  EXPECT_EQ(guest.memory.read(GuestPhysical(0xf0ffe), 4), 0x5a5a5a5au);
  EXPECT_FALSE(rom.write(GuestPhysical(0xf1ffc), bytes));  // runs into RAM
  EXPECT_FALSE(rom.write(GuestPhysical(0x1000), bytes));
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x1000), 4), 0u);
}

TEST(GuestRam, ModulesAreReadFromTheMachine) {
  GuestMachine guest(0x10000);
  for (std::uint32_t i = 0; i < 0x3000; i += 4)
    guest.machine.set_word(HostPhysical(0x3000000 + i), i);
  MachineBytes module(guest.machine.slots, HostPhysical(0x3000004), 0x2000);
  std::vector<std::uint32_t> words(0x700);
  ASSERT_TRUE(module.read(0x100, std::as_writable_bytes(std::span(words))));
  for (std::uint32_t i = 0; i < words.size(); ++i) EXPECT_EQ(words[i], 0x104 + 4 * i);
  std::byte one{};
  EXPECT_TRUE(module.read(0x1fff, std::span(&one, 1)));
  EXPECT_FALSE(module.read(0x2000, std::span(&one, 1)));
  EXPECT_FALSE(module.read(~0ull, std::span(&one, 1)));
  EXPECT_TRUE(module.read(0x2000, {}));
}
