// Intel's MultiProcessor Specification 1.4, chapter 4.
#include <map>

#include "firmware_fakes.hpp"

namespace undercroft::test {
namespace {

TEST(MpTable, FloatingPointer) {
  const WrittenFirmware firmware;
  const std::uint32_t at = firmware.memory.find("_MP_");
  EXPECT_EQ(firmware.tables.mp.value(), at);
  EXPECT_EQ(firmware.memory.sum(at, 16), 0);
  EXPECT_EQ(firmware.memory.u8(at + 8), 1u);
  EXPECT_EQ(firmware.memory.u8(at + 9), 4u);
  EXPECT_EQ(firmware.memory.u8(at + 11), 0u);
}

TEST(MpTable, ConfigurationTableIsWhole) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  const std::uint32_t at = memory.u32(memory.find("_MP_") + 4);
  EXPECT_EQ(memory.text(at, 4), "PCMP");
  EXPECT_EQ(memory.sum(at, memory.u16(at + 4)), 0);
  EXPECT_EQ(memory.u32(at + 36), 0xfee00000u);
  std::map<std::uint32_t, unsigned> kinds;
  std::uint32_t entry = at + 44;
  unsigned entries = 0;
  for (; entry < at + memory.u16(at + 4); ++entries) {
    const std::uint32_t kind = memory.u8(entry);
    ++kinds[kind];
    entry += kind == 0 ? 20 : 8;
  }
  EXPECT_EQ(entry, at + memory.u16(at + 4));
  EXPECT_EQ(entries, memory.u16(at + 34));
  // Entries of 16 ISA lines without the cascade and PCI's two; of 31 slots with four pins each.
  EXPECT_EQ(kinds,
            (std::map<std::uint32_t, unsigned>{{0, 1}, {1, 2}, {2, 1}, {3, 13 + 31 * 4}, {4, 2}}));
}

// Source bus and interrupt -> pin of the I/O APIC.
std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> routes(
    const FirmwareMemory& memory) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> result;
  const std::uint32_t at = memory.u32(memory.find("_MP_") + 4);
  for (std::uint32_t entry = at + 44; entry < at + memory.u16(at + 4);) {
    if (memory.u8(entry) == 3) {
      result[{memory.u8(entry + 4), memory.u8(entry + 5)}] = memory.u8(entry + 7);
    }
    entry += memory.u8(entry) == 0 ? 20 : 8;
  }
  return result;
}

TEST(MpTable, RoutesAsTheBoardIsWired) {
  const WrittenFirmware firmware;
  auto pins = routes(firmware.memory);
  constexpr std::uint32_t pci = 0, isa = 1;
  EXPECT_EQ((pins[{isa, 0}]), 2u);
  for (const std::uint32_t irq : {1u, 4u, 8u, 9u, 12u, 14u}) EXPECT_EQ((pins[{isa, irq}]), irq);
  for (std::uint32_t device = 3; device < 9; ++device) {
    EXPECT_EQ((pins[{pci, device << 2}]), device % 2 == 0 ? 10u : 11u);
    EXPECT_EQ((pins[{pci, device << 2 | 1}]), device % 2 == 0 ? 11u : 10u);
  }
}

TEST(MpTable, ProcessorIsTheGuests) {
  const WrittenFirmware firmware;
  const std::uint32_t entry = firmware.memory.u32(firmware.memory.find("_MP_") + 4) + 44;
  EXPECT_EQ(firmware.memory.u8(entry + 3), 3u);  // enabled, bootstrap
  EXPECT_EQ(firmware.memory.u32(entry + 4), whole_pc.processor_signature);
  EXPECT_EQ(firmware.memory.u32(entry + 8), whole_pc.processor_features);
}

TEST(MpTable, IsNotThereWithoutApics) {
  FirmwarePlatform pc = whole_pc;
  pc.apic = false;
  const WrittenFirmware firmware(pc);
  EXPECT_EQ(firmware.memory.find("_MP_"), 0u);
  EXPECT_EQ(firmware.tables.mp.value(), 0u);
}

}  // namespace
}  // namespace undercroft::test
