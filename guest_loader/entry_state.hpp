// The processor as every boot protocol of 32 bits wants it: protected mode, flat 4 GB segments,
// paging and interrupts off, and a descriptor table in guest memory that agrees with the segment
// registers; and as real-mode code wants it.
#pragma once

#include "loading.hpp"

namespace undercroft {

// Linux demands these selectors (32-bit boot protocol: __BOOT_CS, __BOOT_DS); GRUB gives the same
// to multiboot kernels.
inline constexpr std::uint16_t boot_code_selector = 0x10;
inline constexpr std::uint16_t boot_data_selector = 0x18;

// Writes the descriptor table and yields the entry state; general registers are zero.
Result<Vcpu, LoadError> flat_entry_state(Loading& loading, std::uint32_t entry);

struct RealModeEntry {
  std::uint16_t cs = 0, ip = 0;
  std::uint16_t data = 0;  // DS, ES, FS, GS and SS
  std::uint16_t sp = 0;
};
// As after reset, but for these registers; interrupts off.
Vcpu real_mode_entry_state(const RealModeEntry&);

}  // namespace undercroft
