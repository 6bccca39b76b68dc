// Puts the firmware of a guest's PC into its memory, and what it has programmed into the devices.
// Gathers what the tables tell of; what they look like is in guest_loader/firmware.
#pragma once

#include <array>
#include <optional>

#include "monitor/devices/pc.hpp"
#include "monitor/environment.hpp"
#include "monitor/vm.hpp"

namespace undercroft::boot {

// The RSDP, which boot information hands on; machine=isa has none.
struct GuestFirmware {
  std::array<std::byte, 36> acpi_root{};
  bool has_acpi = false;
};

// After Vm::lay_out, before the guest is loaded. processor: the host's CPUID leaf 1. No value: a
// page of the ROM is not there.
std::optional<GuestFirmware> give_firmware(Vm&, const PcConfiguration&, const CpuidLeaf& processor);

}  // namespace undercroft::boot
