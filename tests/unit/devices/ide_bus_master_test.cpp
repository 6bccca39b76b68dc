// Transfers by the PIIX's bus masters.
#include <gtest/gtest.h>

#include "tests/unit/fakes/ide_fakes.hpp"

namespace undercroft {
namespace {

constexpr unsigned start_read = 0x09, start_write = 0x01, stop = 0;
constexpr unsigned active = 1, error = 2, interrupt = 4;

struct IdeBusMasterTest : IdeTest {
  IdeBusMasterTest() { attach(DiskKind::ata, 2000); }
};

TEST_F(IdeBusMasterTest, ReadsIntoTheTablesRegions) {
  set_table({{0x8000, 0x400, false}, {0x10000, 0x1002, false}, {0x20000, 0xbfe, true}});
  command(0xc8, 10, 16);
  EXPECT_EQ(status(), 0x58u) << "the drive waits";
  set_master(0, start_read);
  EXPECT_EQ(master(2), interrupt) << "both ends at once";
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), 0x50u);
  EXPECT_EQ(memory_at(0x8000, 0x400), sectors_of(disks.disks[0], 10, 2));
  auto expected = sectors_of(disks.disks[0], 10, 16);
  EXPECT_EQ(memory_at(0x10000, 0x1002),
            (std::vector<std::byte>{expected.begin() + 0x400, expected.begin() + 0x1402}));
  EXPECT_EQ(memory_at(0x20000, 0xbfe),
            (std::vector<std::byte>{expected.begin() + 0x1402, expected.end()}));
  EXPECT_EQ(memory.bytes[0x20bfe], std::byte{0});
  set_master(0, stop);
  set_master(2, interrupt);
  EXPECT_EQ(master(2), 0u);
}

TEST_F(IdeBusMasterTest, WritesFromMemoryWhateverIsStartedFirst) {
  const auto bytes = pattern(4 * 512, 2);
  std::copy(bytes.begin(), bytes.end(), memory.bytes.begin() + 0x8000);
  set_table({{0x8000, 4 * 512, true}});
  set_master(0, start_write);
  EXPECT_EQ(master(2), active);
  extended(0x35, 100, 4);
  EXPECT_EQ(master(2), interrupt);
  EXPECT_EQ(sectors_of(disks.disks[0], 100, 4), bytes);
  extended(0x25, 100, 4);
  EXPECT_EQ(status(), 0x58u) << "not started again";
}

TEST_F(IdeBusMasterTest, ARegionOf0Is64Kilobytes) {
  set_table({{0x10000, 0, false}, {0x8000, 512, true}});
  command(0xc8, 0, 129);
  set_master(0, start_read);
  EXPECT_EQ(master(2), interrupt);
  EXPECT_EQ(memory_at(0x10000, 0x10000), sectors_of(disks.disks[0], 0, 128));
  EXPECT_EQ(memory_at(0x8000, 512), sectors_of(disks.disks[0], 128, 1));
}

// The table of bits in the data sheet: active with an interrupt is a table that goes on, neither a
// drive that goes on.
TEST_F(IdeBusMasterTest, TablesThatDoNotFit) {
  set_table({{0x8000, 1024, true}});
  command(0xc8, 0, 1);
  set_master(0, start_read);
  EXPECT_EQ(master(2), active | interrupt) << "the table is longer";
  set_master(0, stop);
  EXPECT_EQ(master(2), interrupt) << "and is left by stopping";
  set_master(2, interrupt);
  status();

  command(0xc8, 0, 4);
  set_master(0, start_read);
  EXPECT_EQ(master(2), 0u) << "the drive has more";
  EXPECT_FALSE(line());
  EXPECT_EQ(status(), 0x58u);
  set_master(0, stop);
  set_table({{0x9000, 1024, true}});
  set_master(0, start_read);
  EXPECT_EQ(master(2), interrupt) << "another table takes the rest";
  EXPECT_EQ(memory_at(0x9000, 1024), sectors_of(disks.disks[0], 2, 2));
}

TEST_F(IdeBusMasterTest, MemoryThatIsNotThereIsAnError) {
  set_table({{0x8000, 512, false}, {0x80000000, 512, true}});
  command(0xc8, 0, 2);
  set_master(0, start_read);
  EXPECT_EQ(master(2), error);
  EXPECT_FALSE(line());
  set_master(0, stop);
  set_master(2, error);
  EXPECT_EQ(master(2), 0u);
  set_master(4, 0xfffffffc, 4);
  set_master(0, start_read);
  EXPECT_EQ(master(2), error) << "nor the table";
}

TEST_F(IdeBusMasterTest, TheWrongDirectionMovesNothing) {
  const auto before = disks.disks[0].bytes;
  set_table({{0x8000, 512, true}});
  command(0xc8, 0, 1);
  set_master(0, start_write);
  EXPECT_EQ(master(2), active);
  set_master(0, stop);
  command(0xca, 0, 1);
  set_master(0, start_read);
  EXPECT_EQ(disks.disks[0].bytes, before);
  EXPECT_EQ(memory_at(0x8000, 512), std::vector<std::byte>(512));
  EXPECT_EQ(master(2), active);
}

TEST_F(IdeBusMasterTest, WithoutTheRightToMasterItWaits) {
  set_table({{0x8000, 512, true}});
  command(0xc8, 3, 1);
  ide.write_bus_master(0, start_read, 1, {disks, nullptr});
  EXPECT_EQ(master(2), active);
  EXPECT_EQ(status(), 0x58u);
}

TEST_F(IdeBusMasterTest, Registers) {
  set_master(4, 0x12345677, 4);
  EXPECT_EQ(ide.read_bus_master(4, 4), 0x12345674u);
  EXPECT_EQ(ide.read_bus_master(12, 4), 0u) << "the other channel's";
  set_master(2, 0x60);
  EXPECT_EQ(master(2), 0x60u);
  set_master(0, 0xf8);
  EXPECT_EQ(master(0), 0x08u);
  EXPECT_EQ(master(1), 0xffu);
}

TEST_F(IdeBusMasterTest, InterruptsOfCommandsWithoutDmaAreNotedToo) {
  command(0xe7);
  EXPECT_EQ(master(2), interrupt);
  EXPECT_TRUE(ide.interrupt_rose(0));
  set_master(2, interrupt);
  command(0xe7);
  EXPECT_EQ(master(2), interrupt) << "a new one, though the line was up";
  EXPECT_TRUE(ide.interrupt_rose(0));
}

}  // namespace
}  // namespace undercroft
