// System Management BIOS Reference Specification 2.4.
#include <map>

#include "firmware_fakes.hpp"

namespace undercroft::test {
namespace {

TEST(Smbios, EntryPoint) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  const std::uint32_t at = memory.find("_SM_");
  EXPECT_EQ(firmware.tables.smbios.value(), at);
  EXPECT_EQ(memory.u8(at + 5), 0x1fu);
  EXPECT_EQ(memory.sum(at, 0x1f), 0);
  EXPECT_EQ(memory.text(at + 0x10, 5), "_DMI_");
  EXPECT_EQ(memory.sum(at + 0x10, 0x0f), 0);
}

struct Structure {
  std::uint32_t at = 0;
  std::vector<std::string> strings;
};

// The structures by type; ends where the table does.
std::map<std::uint32_t, Structure> structures(const FirmwareMemory& memory) {
  std::map<std::uint32_t, Structure> result;
  const std::uint32_t entry_point = memory.find("_SM_");
  const std::uint32_t begin = memory.u32(entry_point + 0x18);
  const std::uint32_t end = begin + memory.u16(entry_point + 0x16);
  std::uint32_t largest = 0, at = begin;
  while (at < end) {
    Structure structure{at, {}};
    const std::uint32_t type = memory.u8(at);
    std::uint32_t next = at + memory.u8(at + 1);
    while (memory.u8(next) != 0) {
      structure.strings.push_back(memory.string(next));
      next += static_cast<std::uint32_t>(structure.strings.back().size()) + 1;
    }
    next += structure.strings.empty() ? 2 : 1;
    largest = std::max(largest, next - at);
    EXPECT_EQ(result.count(type), 0u);
    result[type] = structure;
    at = next;
  }
  EXPECT_EQ(at, end);
  EXPECT_EQ(result.size(), memory.u16(entry_point + 0x1c));
  EXPECT_EQ(largest, memory.u16(entry_point + 8));
  return result;
}

// Type and least length of the formatted area in version 2.4.
TEST(Smbios, HasTheStructuresThatTheSpecificationDemands) {
  const WrittenFirmware firmware;
  auto found = structures(firmware.memory);
  const std::map<std::uint32_t, std::uint32_t> lengths = {{0, 0x18},  {1, 0x1b},  {3, 0x15},
                                                          {4, 0x23},  {16, 0x0f}, {17, 0x1b},
                                                          {19, 0x0f}, {32, 0x0b}, {127, 4}};
  EXPECT_EQ(found.size(), lengths.size());
  for (const auto& [type, length] : lengths) {
    EXPECT_EQ(firmware.memory.u8(found[type].at + 1), length) << type;
  }
  EXPECT_EQ(found[1].strings, (std::vector<std::string>{"Undercroft", "PC", "1.0"}));
}

TEST(Smbios, MemoryIsTheGuests) {
  FirmwarePlatform pc = whole_pc;
  pc.ram_bytes = 3ull << 30;
  const WrittenFirmware firmware(pc);
  auto found = structures(firmware.memory);
  EXPECT_EQ(firmware.memory.u32(found[16].at + 7), 3u << 20);        // KB
  EXPECT_EQ(firmware.memory.u16(found[17].at + 12), 3072u);          // MB
  EXPECT_EQ(firmware.memory.u32(found[19].at + 8), (3u << 20) - 1);  // last KB
  EXPECT_EQ(firmware.memory.u16(found[17].at + 4), firmware.memory.u16(found[16].at + 2));
}

}  // namespace
}  // namespace undercroft::test
