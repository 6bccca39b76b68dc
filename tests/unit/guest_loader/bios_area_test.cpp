// What software that gropes for a BIOS finds: marks, vectors, data areas.
#include "guest_loader/firmware/bios_area.hpp"

#include "firmware_fakes.hpp"
#include "guest_loader/firmware/bios_code.hpp"
#include "monitor/display/font.hpp"

namespace undercroft::test {
namespace {

TEST(BiosArea, EndOfTheRom) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  EXPECT_EQ(memory.u8(0xffff0), 0xeau);  // jmp far to power-on
  EXPECT_EQ(memory.u16(0xffff1), 0xe05bu);
  EXPECT_EQ(memory.u16(0xffff3), 0xf000u);
  EXPECT_EQ(memory.text(0xffff5, 8), "11/26/26");
  EXPECT_EQ(memory.u8(0xffffe), 0xfcu);
}

TEST(BiosArea, VideoRom) {
  const WrittenFirmware firmware;
  EXPECT_EQ(firmware.memory.u16(0xc0000), 0xaa55u);
  EXPECT_EQ(firmware.memory.u8(0xc0002), 9u);
  EXPECT_EQ(firmware.memory.sum(0xc0000, 9 * 512), 0);
  EXPECT_EQ(firmware.memory.u32(0x40), 0xc0000040u);      // INT 10h
  EXPECT_EQ(firmware.memory.u8(0xc0040), 0xeau);          // jmp far
  EXPECT_EQ(firmware.memory.u32(0xc0041), 0xf000f065u);   // IBM's place for it
  EXPECT_EQ(firmware.memory.u32(0x43 * 4), 0xc0000100u);  // the font
  EXPECT_EQ(firmware.memory.u8(0xc0100 + 'I' * 16 + 1), built_in_font['I' * 16 + 1]);
}

// What rom/rom.h calls Facts.
TEST(BiosArea, TheRomKnowsTheMachine) {
  FirmwarePlatform pc = whole_pc;
  pc.ide_disk_sectors = {0, 5000, 0, 77};
  const WrittenFirmware firmware(pc);
  const FirmwareMemory& memory = firmware.memory;
  constexpr std::uint32_t facts = 0xfb000;
  EXPECT_EQ(memory.u32(facts), 0u);
  EXPECT_EQ(memory.u32(facts + 4), 0x9fc00u);
  EXPECT_EQ(memory.u32(facts + 8), 1u);
  EXPECT_EQ(memory.u32(facts + 3 * 12), 0x100000u);
  EXPECT_EQ(memory.u32(facts + 3 * 12 + 4), pc.ram_bytes - 0x100000);
  EXPECT_EQ(memory.u32(facts + 96), 4u);
  EXPECT_EQ(memory.u32(facts + 100), 255u * 1024);
  EXPECT_EQ(memory.u16(facts + 104), 0u);
  EXPECT_EQ(memory.u32(facts + 112), 0x000101f0u);
  EXPECT_EQ(memory.u32(facts + 116), 5000u);
  EXPECT_EQ(memory.u32(facts + 128), 0x00010170u);
  EXPECT_EQ(memory.u8(0x475), 2u);
}

TEST(BiosArea, VectorsNameCodeInTheRom) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  constexpr std::uint32_t font = 0x43;  // a table, which begins with a blank
  for (std::uint32_t number = 0; number < 0x78; ++number) {
    if (number == font) continue;
    const std::uint32_t at = memory.u16(4 * number + 2) * 16 + memory.u16(4 * number);
    if (at == 0) continue;
    EXPECT_GE(at, 0xc0000u) << number;
    EXPECT_NE(memory.u8(at), 0u) << number;
  }
  EXPECT_EQ(memory.u32(4 * 3), 0xf000ff53u);
  EXPECT_EQ(memory.u8(0xfff53), 0xcfu);
  EXPECT_EQ(memory.u32(4 * 0x60), 0u);
}

TEST(BiosArea, DataAreas) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  EXPECT_EQ(memory.u16(0x41a), memory.u16(0x41c));
  EXPECT_EQ(memory.u16(0x480), 0x1eu);
  EXPECT_EQ(memory.u16(0x482), 0x3eu);
  EXPECT_EQ(memory.u32(0x46c), whole_pc.tick_of_day);
  EXPECT_EQ(memory.u8(extended_bios_data.value()), 1u);  // KB
}

// No kernel may believe in a service that is not there.
TEST(BiosArea, OffersNoServiceThatItLacks) {
  const WrittenFirmware firmware;
  for (const char* signature : {"_32_", "$PnP", "$PIR", "$PMM", "$SMB", "_SYSID_", "_DMI20_"}) {
    EXPECT_EQ(firmware.memory.find(signature), 0u) << signature;
  }
}

}  // namespace
}  // namespace undercroft::test
