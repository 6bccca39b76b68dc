// What software that gropes for a BIOS finds: marks, vectors, data areas.
#include "guest_loader/firmware/bios_area.hpp"

#include "firmware_fakes.hpp"
#include "guest_loader/firmware/bios_code.hpp"

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
  EXPECT_EQ(firmware.memory.u8(0xc0002), 1u);
  EXPECT_EQ(firmware.memory.sum(0xc0000, 512), 0);
  EXPECT_EQ(firmware.memory.u16(0x40), 0x40u);  // INT 10h
  EXPECT_EQ(firmware.memory.u16(0x42), 0xc000u);
  EXPECT_EQ(firmware.memory.u8(0xc0040), 0xcfu);  // IRET
}

TEST(BiosArea, VectorsNameCodeInTheRom) {
  const WrittenFirmware firmware;
  const FirmwareMemory& memory = firmware.memory;
  for (std::uint32_t number = 0; number < 0x78; ++number) {
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
