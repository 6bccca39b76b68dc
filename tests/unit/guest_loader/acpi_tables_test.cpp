// The tables as ACPI 2.0, chapter 5, lays them out, walked from the RSDP as an operating system
// does.
#include "guest_loader/firmware/acpi_tables.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "firmware_fakes.hpp"
#include "guest_loader/firmware/bios_area.hpp"
#include "guest_loader/firmware/dsdt.hpp"

namespace undercroft::test {
namespace {

using Tables = std::map<std::string, std::uint32_t>;

void expect_table(const FirmwareMemory& memory, std::uint32_t at) {
  const std::uint32_t length = memory.u32(at + 4);
  ASSERT_GE(length, 36u);
  ASSERT_LE(at + length, megabyte_end);
  EXPECT_EQ(memory.sum(at, length), 0) << memory.text(at, 4);
}

// All tables that the RSDT names, by signature; the XSDT names the same.
Tables walk(const FirmwareMemory& memory) {
  Tables tables;
  const std::uint32_t rsdp = memory.find("RSD PTR ");
  const std::uint32_t rsdt = memory.u32(rsdp + 16), xsdt = memory.u32(rsdp + 24);
  tables["RSDT"] = rsdt;
  tables["XSDT"] = xsdt;
  const std::uint32_t count = (memory.u32(rsdt + 4) - 36) / 4;
  EXPECT_EQ((memory.u32(xsdt + 4) - 36) / 8, count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t at = memory.u32(rsdt + 36 + 4 * i);
    EXPECT_EQ(memory.u64(xsdt + 36 + 8 * i), at);
    tables[memory.text(at, 4)] = at;
  }
  tables["DSDT"] = memory.u32(tables["FACP"] + 40);
  return tables;
}

TEST(AcpiTables, RsdpHasBothChecksums) {
  const WrittenFirmware firmware;
  const std::uint32_t at = firmware.memory.find("RSD PTR ");
  EXPECT_EQ(firmware.tables.acpi.value(), at);
  EXPECT_EQ(firmware.memory.sum(at, 20), 0);
  EXPECT_EQ(firmware.memory.sum(at, 36), 0);
  EXPECT_EQ(firmware.memory.u8(at + 15), 2u);
  EXPECT_EQ(firmware.memory.u32(at + 20), 36u);
}

TEST(AcpiTables, EveryTableAddsUpToZero) {
  const WrittenFirmware firmware;
  const Tables tables = walk(firmware.memory);
  EXPECT_EQ(tables.size(), 6u);
  for (const auto& [signature, at] : tables) {
    EXPECT_EQ(firmware.memory.text(at, 4), signature);
    expect_table(firmware.memory, at);
  }
}

TEST(AcpiTables, NamesOnlyWhatIsThere) {
  FirmwarePlatform small = whole_pc;
  small.apic = small.hpet = false;
  const WrittenFirmware firmware(small);
  const Tables tables = walk(firmware.memory);
  EXPECT_EQ(tables.count("APIC") + tables.count("HPET"), 0u);
  EXPECT_EQ(tables.count("FACP"), 1u);
  const std::uint32_t dsdt = tables.at("DSDT");
  const std::string definitions = firmware.memory.text(dsdt, firmware.memory.u32(dsdt + 4));
  const std::string pnp0103("\x41\xd0\x01\x03");
  EXPECT_EQ(definitions.find(pnp0103), std::string::npos);
}

TEST(AcpiTables, FixedHardware) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  const std::uint32_t at = walk(memory)["FACP"];
  EXPECT_EQ(memory.u32(at + 4), 244u);
  EXPECT_EQ(memory.u8(at + 8), 3u);
  EXPECT_EQ(memory.u16(at + 46), 9u);      // SCI
  EXPECT_EQ(memory.u32(at + 48), 0u);      // no SMI command port
  EXPECT_EQ(memory.u32(at + 56), 0x600u);  // PM1a event
  EXPECT_EQ(memory.u32(at + 64), 0x604u);  // PM1a control
  EXPECT_EQ(memory.u32(at + 76), 0x608u);  // timer
  EXPECT_EQ(memory.u8(at + 88), 4u);
  EXPECT_EQ(memory.u8(at + 89), 2u);
  EXPECT_EQ(memory.u8(at + 91), 4u);
  EXPECT_EQ(memory.u8(at + 108), 0x32u);            // century
  EXPECT_EQ(memory.u16(at + 109), 3u);              // legacy devices, 8042; VGA
  EXPECT_EQ(memory.u32(at + 112) & 0x500, 0x400u);  // reset register; a timer of 24 bits
  EXPECT_EQ(memory.u64(at + 120), 0xcf9u);
  EXPECT_EQ(memory.u8(at + 128), 6u);
  EXPECT_EQ(memory.u64(at + 132), memory.u32(at + 36));  // FACS
  EXPECT_EQ(memory.u64(at + 140), memory.u32(at + 40));  // DSDT
  EXPECT_EQ(memory.u64(at + 148 + 4), 0x600u);
  EXPECT_EQ(memory.u64(at + 172 + 4), 0x604u);
  EXPECT_EQ(memory.u64(at + 208 + 4), 0x608u);
  EXPECT_EQ(memory.u32(at + 208), 0x00002001u);  // ports, 32 bits
}

TEST(AcpiTables, FacsIsInWritableMemoryAndAligned) {
  const WrittenFirmware firmware;
  const std::uint32_t facs = firmware.memory.u32(walk(firmware.memory)["FACP"] + 36);
  EXPECT_EQ(facs % 64, 0u);
  EXPECT_LT(facs, 0xa0000u);
  EXPECT_GE(facs, extended_bios_data.value());
  EXPECT_EQ(firmware.memory.text(facs, 4), "FACS");
  EXPECT_EQ(firmware.memory.u32(facs + 4), 64u);
}

TEST(AcpiTables, MadtTellsOfBothApics) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  const std::uint32_t at = walk(memory)["APIC"];
  EXPECT_EQ(memory.u32(at + 36), 0xfee00000u);
  EXPECT_EQ(memory.u32(at + 40), 1u);
  std::map<std::uint32_t, unsigned> kinds;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> overrides;
  std::uint32_t entry = at + 44;
  const std::uint32_t end = at + memory.u32(at + 4);
  while (entry < end) {
    const std::uint32_t kind = memory.u8(entry), length = memory.u8(entry + 1);
    ASSERT_GE(length, 2u);
    ++kinds[kind];
    if (kind == 1) {
      EXPECT_EQ(memory.u32(entry + 4), 0xfec00000u);
    }
    if (kind == 2) overrides[memory.u8(entry + 3)] = {memory.u32(entry + 4), memory.u16(entry + 8)};
    if (kind == 4) {
      EXPECT_EQ(memory.u8(entry + 5), 1u);  // LINT1
    }
    entry += length;
  }
  EXPECT_EQ(entry, end);
  EXPECT_EQ(kinds, (std::map<std::uint32_t, unsigned>{{0, 1}, {1, 1}, {2, 4}, {4, 1}}));
  using Override = std::pair<std::uint32_t, std::uint32_t>;
  EXPECT_EQ(overrides[0], Override(2, 0));
  for (const std::uint32_t irq : {9u, 10u, 11u}) EXPECT_EQ(overrides[irq], Override(irq, 0x0d));
}

TEST(AcpiTables, Hpet) {
  const WrittenFirmware firmware;
  const std::uint32_t at = walk(firmware.memory)["HPET"];
  EXPECT_EQ(firmware.memory.u32(at + 4), 56u);
  EXPECT_EQ(firmware.memory.u32(at + 36), 0x8086a201u);
  EXPECT_EQ(firmware.memory.u64(at + 44), 0xfed00000u);
}

TEST(AcpiTables, RefusesARomThatIsTooSmall) {
  FirmwareMemory memory;
  memory.rom_end = 0xff000;
  EXPECT_FALSE(write_firmware(memory, memory, whole_pc).has_value());
}

// What iasl, which is not ours, reads in the DSDT.
class Disassembly : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v iasl >/dev/null") != 0) GTEST_SKIP() << "no iasl";
    const WrittenFirmware firmware;
    const std::uint32_t at = walk(firmware.memory)["DSDT"];
    const std::string table = firmware.memory.text(at, firmware.memory.u32(at + 4));
    const std::string folder = ::testing::TempDir() + "/undercroft-dsdt";
    ASSERT_EQ(std::system(("mkdir -p " + folder).c_str()), 0);
    std::ofstream(folder + "/dsdt.aml", std::ios::binary) << table;
    ASSERT_EQ(std::system(("cd " + folder + " && iasl -d dsdt.aml >log 2>&1").c_str()), 0);
    source_ = contents(folder + "/dsdt.dsl");
    log_ = contents(folder + "/log");
  }
  static std::string contents(const std::string& name) {
    std::ifstream file(name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  unsigned count(const std::string& words) const {
    unsigned found = 0;
    for (std::size_t at = 0; (at = source_.find(words, at)) != std::string::npos; ++at) ++found;
    return found;
  }
  std::string source_, log_;
};

TEST_F(Disassembly, IsWithoutComplaint) {
  EXPECT_EQ(log_.find("rror"), std::string::npos) << log_;
  EXPECT_EQ(log_.find("arning"), std::string::npos) << log_;
  EXPECT_EQ(source_.find("nvalid"), std::string::npos) << source_;
}

TEST_F(Disassembly, HasTheDevicesOfTheBoard) {
  for (const char* device : {"PNP0A03", "PNP0303", "PNP0F13", "PNP0501", "PNP0B00", "PNP0100",
                             "PNP0000", "PNP0200", "PNP0C04", "PNP0103", "PNP0C02", "PNP0800"}) {
    EXPECT_EQ(count(std::string("EisaId (\"") + device), 1u) << device << source_;
  }
  EXPECT_EQ(count("Name (\\_S5, Package (0x04)"), 1u) << source_;
  EXPECT_EQ(count("Processor (CPU0, 0x00, 0x00000000, 0x00)"), 1u) << source_;
  EXPECT_EQ(count("WordBusNumber (ResourceProducer"), 1u);
  EXPECT_EQ(count("WordIO (ResourceProducer"), 2u);
  EXPECT_EQ(count("DWordMemory (ResourceProducer"), 2u);
}

TEST_F(Disassembly, RoutesEveryPinOfEverySlot) {
  EXPECT_EQ(count("Package (0x04)\n"), 31u * 4) << source_;
  EXPECT_NE(source_.find("0x0003FFFF, \n"), std::string::npos) << source_;
}

}  // namespace
}  // namespace undercroft::test
