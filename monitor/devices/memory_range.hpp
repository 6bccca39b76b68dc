// Which device of the PC answers at which guest-physical addresses.
#pragma once

#include <cstdint>

#include "../address.hpp"

namespace undercroft {

enum class MemoryDevice : std::uint8_t { local_apic, vga, io_apic, hpet };

// Whole pages.
struct MemoryRange {
  GuestPhysical first{};
  std::uint32_t bytes = 0;
  MemoryDevice device = MemoryDevice::vga;

  constexpr bool has(GuestPhysical address) const {
    return address.value() - first.value() < bytes;
  }
};

}  // namespace undercroft
