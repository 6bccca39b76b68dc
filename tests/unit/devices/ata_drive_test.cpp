// ATA disks as a driver sees them at the ports of a channel: registers, commands, transfers by the
// processor.
#include <gtest/gtest.h>

#include "tests/unit/fakes/ide_fakes.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t sectors = 40000;
constexpr unsigned ready = 0x50, requests = 0x58, failed = 0x51;
constexpr unsigned aborted = 0x04, not_found = 0x10;

struct AtaDriveTest : IdeTest {
  AtaDriveTest() { attach(DiskKind::ata, sectors); }
};

TEST_F(AtaDriveTest, SignatureAfterPowerOn) {
  EXPECT_EQ(status(), ready);
  const unsigned expected[] = {1, 1, 1, 0, 0, 0xa0};
  for (unsigned offset = 1; offset <= 6; ++offset) EXPECT_EQ(get(offset), expected[offset - 1]);
  EXPECT_FALSE(line());
}

TEST_F(AtaDriveTest, AbsentDrives) {
  set(6, 0xb0);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(get(1), 0u);
  set(2, 0x55);
  EXPECT_EQ(get(2), 0x55u) << "drive 0 answers";
  set(7, 0xec);
  EXPECT_EQ(status(), 0u);
  EXPECT_FALSE(line());
  use_second_channel();
  set(2, 0x55);
  for (unsigned offset = 1; offset <= 7; ++offset) EXPECT_EQ(get(offset), 0u) << "no drive at all";
}

TEST_F(AtaDriveTest, Identify) {
  set(6, 0xa0);
  set(7, 0xec);
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), requests);
  EXPECT_FALSE(line());
  const auto words = read_words(512);
  EXPECT_EQ(status(), ready);
  EXPECT_FALSE(line());
  EXPECT_EQ(word_of(words, 0) & 0x8000, 0u) << "ATA";
  const unsigned capacity = word_of(words, 60) | word_of(words, 61) << 16;
  EXPECT_EQ(capacity, sectors);
  EXPECT_EQ(word_of(words, 100) | word_of(words, 101) << 16, sectors);
  EXPECT_EQ(word_of(words, 1), sectors / (16 * 63));
  EXPECT_EQ(word_of(words, 54) * word_of(words, 55) * word_of(words, 56),
            word_of(words, 57) | word_of(words, 58) << 16);
  EXPECT_EQ(word_of(words, 49) & 0x0300, 0x0300u) << "LBA and DMA";
  EXPECT_EQ(word_of(words, 27), ('U' << 8) + 'n');
}

TEST_F(AtaDriveTest, ReadsSectorsWithAnInterruptForEach) {
  for (const unsigned size : {2u, 4u}) {
    command(0x20, 100, 3);
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_TRUE(line()) << i;
      EXPECT_EQ(alternate_status(), requests);
      EXPECT_TRUE(line()) << "the alternate status takes nothing back";
      EXPECT_EQ(status(), requests);
      EXPECT_FALSE(line());
      EXPECT_EQ(read_words(512, size), sectors_of(disks.disks[0], 100 + i, 1));
    }
    EXPECT_FALSE(line()) << "none at the end";
    EXPECT_EQ(status(), ready);
    EXPECT_EQ(port_in(base, 2), 0xffffu) << "nothing is left";
  }
}

TEST_F(AtaDriveTest, WritesSectorsWithAnInterruptAfterEach) {
  const auto bytes = pattern(3 * 512, 5);
  command(0x30, 7, 3);
  EXPECT_FALSE(line()) << "none before the first";
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(status(), requests);
    write_words({bytes.begin() + i * 512, bytes.begin() + (i + 1) * 512}, i == 1 ? 4 : 2);
    EXPECT_TRUE(line());
    EXPECT_EQ(sectors_of(disks.disks[0], 7 + i, 1),
              (std::vector<std::byte>{bytes.begin() + i * 512, bytes.begin() + (i + 1) * 512}))
        << "and it is on the disk by then";
  }
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(disks.disks[0].bytes[6 * 512], VectorDisks::initial(6 * 512));
  EXPECT_EQ(disks.disks[0].bytes[10 * 512], VectorDisks::initial(10 * 512));
}

// The drive moves a word whatever the processor takes of it.
TEST_F(AtaDriveTest, DataByBytes) {
  EXPECT_EQ(get(0), 0xffu) << "nothing to read";
  command(0x20, 1, 1);
  for (unsigned i = 0; i < 512; i += 2) {
    EXPECT_EQ(get(0), std::to_integer<unsigned>(disks.disks[0].bytes[512 + i]));
  }
  EXPECT_EQ(status(), ready);
}

// Many elements at once are as many accesses, over the ends of data requests too.
TEST_F(AtaDriveTest, DataByString) {
  for (const unsigned size : {2u, 4u}) {
    command(0x20, 30, 3);
    std::vector<std::byte> bytes(3 * 512 + 8);
    const auto all = std::span(bytes);
    ide.read_data(0, size, all.first(700), reach());
    EXPECT_EQ(alternate_status(), requests);
    ide.read_data(0, size, all.subspan(700), reach());
    EXPECT_EQ(status(), ready);
    auto expected = sectors_of(disks.disks[0], 30, 3);
    expected.insert(expected.end(), 8, std::byte{0xff});  // past the end
    EXPECT_EQ(bytes, expected);

    const auto written = pattern(2 * 512, size);
    command(0x30, 60, 2);
    ide.write_data(0, size, std::span(written).first(516), reach());
    EXPECT_TRUE(line());
    EXPECT_EQ(status(), requests);
    ide.write_data(0, size, std::span(written).subspan(516), reach());
    EXPECT_EQ(status(), ready);
    EXPECT_EQ(sectors_of(disks.disks[0], 60, 2), written);
  }
}

TEST_F(AtaDriveTest, CountOf0Is256) {
  command(0x20, 0, 0);
  read_words(255 * 512);
  EXPECT_EQ(status(), requests);
  EXPECT_EQ(read_words(512), sectors_of(disks.disks[0], 255, 1));
  EXPECT_EQ(status(), ready);
}

TEST_F(AtaDriveTest, ExtendedCommandsTakeBothValues) {
  extended(0x24, 0x8000, 0x101);
  const auto bytes = read_words(0x101 * 512);
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(bytes, sectors_of(disks.disks[0], 0x8000, 0x101));
  extended(0x34, 0x8001, 1);
  write_words(pattern(512, 1));
  EXPECT_EQ(sectors_of(disks.disks[0], 0x8001, 1), pattern(512, 1));
  extended(0x24, 0x1000000, 1);
  EXPECT_EQ(status(), failed) << "beyond the end";
}

TEST_F(AtaDriveTest, EarlierValuesCanBeRead) {
  set(2, 0x12);
  set(2, 0x34);
  port_out(control, 0x80);
  EXPECT_EQ(get(2), 0x12u);
  set(3, 0);
  EXPECT_EQ(get(2), 0x34u) << "a write ends it";
}

TEST_F(AtaDriveTest, MultipleSectorsInADataRequest) {
  command(0xc4, 0, 5);
  EXPECT_EQ(status(), failed) << "not set yet";
  for (const unsigned wrong : {3u, 32u}) {
    command(0xc6, 0, wrong);
    EXPECT_EQ(status(), failed);
    EXPECT_EQ(get(1), aborted);
  }
  command(0xc6, 0, 8);
  EXPECT_EQ(status(), ready);
  command(0xc4, 20, 11);
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), requests);
  auto bytes = read_words(8 * 512);
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), requests);
  const auto rest = read_words(3 * 512);
  EXPECT_EQ(status(), ready);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  EXPECT_EQ(bytes, sectors_of(disks.disks[0], 20, 11));

  command(0xc5, 50, 9);
  write_words(pattern(8 * 512, 3));
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), requests);
  write_words(pattern(512, 4));
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(sectors_of(disks.disks[0], 50, 8), pattern(8 * 512, 3));
  EXPECT_EQ(sectors_of(disks.disks[0], 58, 1), pattern(512, 4));
  set(7, 0xec);
  EXPECT_EQ(word_of(read_words(512), 59), 0x108u);
}

TEST_F(AtaDriveTest, AddressesByCylinderHeadAndSector) {
  const auto read_chs = [this](unsigned cylinder, unsigned head, unsigned sector) {
    set(6, 0xa0 | head);
    set(2, 1);
    set(3, sector);
    set(4, cylinder);
    set(5, cylinder >> 8);
    set(7, 0x20);
    return status();
  };
  EXPECT_EQ(read_chs(2, 3, 4), requests);
  EXPECT_EQ(read_words(512), sectors_of(disks.disks[0], (2 * 16 + 3) * 63 + 3, 1));
  EXPECT_EQ(read_chs(0, 0, 0), failed) << "sectors count from 1";
  EXPECT_EQ(get(1), not_found);
  EXPECT_EQ(read_chs(0, 0, 64), failed);
  EXPECT_EQ(read_chs(40, 0, 1), failed) << "beyond the end";
  set(6, 0xa0 | 3);
  set(2, 17);
  set(7, 0x91);  // four heads of 17 sectors
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(read_chs(2, 3, 4), requests);
  EXPECT_EQ(read_words(512), sectors_of(disks.disks[0], (2 * 4 + 3) * 17 + 3, 1));
  EXPECT_EQ(read_chs(0, 4, 1), failed) << "no such head";
  set(7, 0xec);
  const auto words = read_words(512);
  EXPECT_EQ(word_of(words, 55), 4u);
  EXPECT_EQ(word_of(words, 56), 17u);
  EXPECT_EQ(word_of(words, 3), 16u) << "the default stays";
}

TEST_F(AtaDriveTest, TheEndOfTheDisk) {
  command(0x20, sectors - 1, 1);
  EXPECT_EQ(status(), requests);
  for (const unsigned code : {0x20u, 0x30u, 0x40u, 0xc8u, 0xcau}) {
    command(code, sectors - 1, 2);
    EXPECT_TRUE(line());
    EXPECT_EQ(status(), failed) << code;
    EXPECT_EQ(get(1), not_found);
  }
  command(0x40, sectors - 2, 2);
  EXPECT_EQ(status(), ready) << "verify";
}

struct CodeRow {
  unsigned code, feature, count, status;
};

TEST_F(AtaDriveTest, CommandsWithoutData) {
  const CodeRow rows[] = {
      {0x10, 0, 0, ready},        {0x70, 0, 0, ready},        {0xe0, 0, 0, ready},
      {0xe1, 0, 0, ready},        {0xe2, 0, 0, ready},        {0xe3, 0, 0, ready},
      {0xe7, 0, 0, ready},        {0xea, 0, 0, ready},        {0xef, 0x02, 0, ready},
      {0xef, 0x03, 0x0c, ready},  {0xef, 0x03, 0x22, ready},  {0xef, 0x03, 0x42, ready},
      {0xef, 0x03, 0x43, failed}, {0xef, 0x03, 0x0d, failed}, {0xef, 0x99, 0, failed},
      {0x00, 0, 0, failed},       {0x08, 0, 0, failed},       {0xa0, 0, 0, failed},
      {0xa1, 0, 0, failed},       {0xb0, 0xd8, 0, failed},    {0xff, 0, 0, failed}};
  for (const CodeRow& row : rows) {
    set(1, row.feature);
    command(row.code, 0, row.count);
    EXPECT_TRUE(line());
    EXPECT_EQ(status(), row.status) << std::hex << row.code << ' ' << row.count;
    EXPECT_EQ(get(1), row.status == failed ? aborted : 0u) << std::hex << row.code;
  }
  command(0xe5);
  EXPECT_EQ(get(2), 0xffu) << "active";
}

TEST_F(AtaDriveTest, FeaturesShowInIdentify) {
  set(1, 0x82);
  set(7, 0xef);
  set(1, 0x03);
  command(0xef, 0, 0x22);
  set(7, 0xec);
  auto words = read_words(512);
  EXPECT_EQ(word_of(words, 85) & 0x20, 0u) << "write cache off";
  EXPECT_EQ(word_of(words, 63), 0x0407u) << "multiword DMA 2 is chosen";
  set(1, 0x03);
  command(0xef, 0, 0x41);
  set(7, 0xec);
  words = read_words(512);
  EXPECT_EQ(word_of(words, 63), 0x0007u);
  EXPECT_EQ(word_of(words, 88), 0x0207u);
}

TEST_F(AtaDriveTest, SoftwareReset) {
  command(0x20, 5, 2);
  port_out(control, 0x04);
  EXPECT_EQ(alternate_status(), 0x80u);
  set(2, 0x77);
  port_out(control, 0x00);
  EXPECT_EQ(status(), ready) << "and no data";
  EXPECT_EQ(get(1), 1u);
  EXPECT_EQ(get(2), 1u);
  EXPECT_FALSE(line());
}

TEST_F(AtaDriveTest, DiagnosticIsForBothDrives) {
  attach(DiskKind::ata, 100);
  set(6, 0xb0);
  set(7, 0x90);
  EXPECT_TRUE(line());
  EXPECT_EQ(get(6), 0xa0u) << "drive 0 is selected afterwards";
  EXPECT_EQ(get(1), 1u);
  EXPECT_EQ(status(), ready);
}

TEST_F(AtaDriveTest, InterruptsCanBeHeldBack) {
  port_out(control, 0x02);
  command(0xe7);
  EXPECT_FALSE(line());
  port_out(control, 0x00);
  EXPECT_TRUE(line()) << "it waits";
}

TEST_F(AtaDriveTest, TwoDrivesOnACable) {
  attach(DiskKind::ata, 100);
  set(6, 0xf0);
  set(2, 1);
  set(3, 9);
  set(4, 0);
  set(5, 0);
  set(7, 0x30);
  write_words(pattern(512, 9));
  EXPECT_EQ(sectors_of(disks.disks[1], 9, 1), pattern(512, 9));
  EXPECT_TRUE(line());
  set(6, 0xe0);
  EXPECT_FALSE(line()) << "drive 0 has no request";
  set(6, 0xf0);
  EXPECT_TRUE(line());
}

TEST_F(AtaDriveTest, PlacesOfDisks) {
  EXPECT_FALSE(IdeController::find_port(0x1f1, 2).has_value());
  EXPECT_FALSE(IdeController::find_port(0x3f7, 1).has_value());
  attach(DiskKind::cdrom, 400);
  attach(DiskKind::ata, 100);
  attach(DiskKind::ata, 100);
  EXPECT_FALSE(ide.attach(0, disks.disk(0))) << "a fifth";
  EXPECT_EQ(ide.disk_sectors(0), sectors);
  EXPECT_EQ(ide.disk_sectors(2), 0u) << "a CD-ROM";
  use_second_channel();
  EXPECT_EQ(get(4), 0x14u) << "the CD-ROM is the second channel's first drive";
  set(6, 0xb0);
  EXPECT_EQ(get(4), 0u);
  EXPECT_EQ(status(), ready);
}

}  // namespace
}  // namespace undercroft
