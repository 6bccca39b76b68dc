// The code of the BIOS, which real-mode guests and resets reach, as bytes: rom/ has it as C and
// assembler, cmake/bios_rom.py makes the definitions of what is declared here. Entry points that
// software has been known to jump to are at IBM's addresses.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace undercroft::bios_code {

inline constexpr std::uint16_t segment = 0xf000;

// In the segment's order, none over the next.
struct Routine {
  std::uint16_t offset;  // in the segment
  std::span<const std::uint8_t> bytes;
};
std::span<const Routine> routines();

inline constexpr std::uint16_t facts = 0xb000;  // the first byte: what the ROM knows of the machine
inline constexpr std::uint16_t power_on = 0xe05b;   // resets the machine
inline constexpr std::uint16_t boot_disk = 0xe6f2;  // INT 19h: starts the first disk's boot sector
inline constexpr std::uint16_t video = 0xf065;      // INT 10h
inline constexpr std::uint16_t nothing = 0xff53;    // IRET
inline constexpr std::uint16_t diskette_parameters = 0xefc7;

// Which routine an interrupt's vector names; those not listed name `nothing`.
struct Vector {
  std::uint8_t number;
  std::uint16_t offset;
};
std::span<const Vector> vectors();

}  // namespace undercroft::bios_code
