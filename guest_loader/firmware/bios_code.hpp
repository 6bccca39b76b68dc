// The code of the BIOS, which real-mode guests and resets reach: short enough to be written down in
// bytes. It answers what can be answered without touching the devices, and says of all else that it
// is not supported. Entry points that software has been known to jump to are at IBM's addresses.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace undercroft::bios_code {

inline constexpr std::uint16_t segment = 0xf000;

struct Routine {
  std::uint16_t offset;  // in the segment
  std::span<const std::uint8_t> bytes;
};
std::span<const Routine> routines();

inline constexpr std::uint16_t power_on = 0xe05b;  // resets the machine
inline constexpr std::uint16_t nothing = 0xff53;   // IRET
inline constexpr std::uint16_t diskette_parameters = 0xefc7;

// Which routine an interrupt's vector names; those not listed name `nothing`.
struct Vector {
  std::uint8_t number;
  std::uint16_t offset;
};
std::span<const Vector> vectors();

}  // namespace undercroft::bios_code
