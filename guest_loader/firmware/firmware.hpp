// All that the firmware of the guest's PC leaves in memory before its boot loader runs. machine=isa
// has none of it.
#pragma once

#include <optional>

#include "../guest_loader.hpp"
#include "platform.hpp"
#include "table_writer.hpp"

namespace undercroft {

// Where the tables begin that kernels look for.
struct FirmwareTables {
  GuestPhysical acpi;    // RSDP
  GuestPhysical smbios;  // entry point
  GuestPhysical mp;      // floating pointer; 0 without APIC
};

// rom takes 0xc0000 to 0xfffff; ram the rest below 1 MB. Before the loader: it may put a kernel
// over what lies in RAM. No value: a place is neither, or the ROM is too small.
std::optional<FirmwareTables> write_firmware(FirmwareRom& rom, GuestRam& ram,
                                             const FirmwarePlatform&);

}  // namespace undercroft
