// The firmware of a PC, written into memory that only remembers, and looked at as kernels do: by
// signature, checksum and length.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "guest_loader/firmware/firmware.hpp"

namespace undercroft::test {

inline constexpr std::uint32_t rom_begin = 0xc0000, megabyte_end = 0x100000;

// The first megabyte: 640 KB of RAM, 256 KB of ROM.
class FirmwareMemory final : public FirmwareRom, public GuestRam {
 public:
  std::uint64_t size() const override { return 0xa0000; }
  bool write(GuestPhysical at, std::span<const std::byte> bytes) override {
    const std::uint64_t end = std::uint64_t{at.value()} + bytes.size();
    if (end > (at.value() < rom_begin ? 0xa0000 : rom_end)) return false;
    std::memcpy(&bytes_[at.value()], bytes.data(), bytes.size());
    return true;
  }
  bool fill(GuestPhysical at, std::byte value, std::uint32_t count) override {
    if (std::uint64_t{at.value()} + count > 0xa0000) return false;
    std::memset(&bytes_[at.value()], static_cast<int>(value), count);
    return true;
  }

  std::uint32_t u8(std::uint32_t at) const { return bytes_.at(at); }
  std::uint32_t u16(std::uint32_t at) const { return u8(at) | u8(at + 1) << 8; }
  std::uint32_t u32(std::uint32_t at) const { return u16(at) | u16(at + 2) << 16; }
  std::uint64_t u64(std::uint32_t at) const { return u32(at) | std::uint64_t{u32(at + 4)} << 32; }
  std::string text(std::uint32_t at, std::uint32_t count) const {
    return {bytes_.begin() + at, bytes_.begin() + at + count};
  }
  std::string string(std::uint32_t at) const { return &text(at, megabyte_end - at)[0]; }
  std::uint8_t sum(std::uint32_t at, std::uint32_t count) const {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) sum += u8(at + i);
    return static_cast<std::uint8_t>(sum);
  }
  // The one place on 16 bytes in the BIOS where the signature stands.
  std::uint32_t find(const std::string& signature) const {
    std::uint32_t found = 0;
    for (std::uint32_t at = 0xe0000; at < megabyte_end; at += 16) {
      if (text(at, static_cast<std::uint32_t>(signature.size())) != signature) continue;
      EXPECT_EQ(found, 0u) << signature << " twice";
      found = at;
    }
    return found;
  }

  std::uint32_t rom_end = megabyte_end;

 private:
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(megabyte_end);
};

inline constexpr FirmwarePlatform whole_pc = {256u << 20, 0x673, 0x0383f9ff, 1234, true, true};

struct WrittenFirmware {
  explicit WrittenFirmware(const FirmwarePlatform& pc = whole_pc) {
    const auto written = write_firmware(memory, memory, pc);
    EXPECT_TRUE(written.has_value());
    if (written) tables = *written;
  }
  FirmwareMemory memory;
  FirmwareTables tables;
};

}  // namespace undercroft::test
