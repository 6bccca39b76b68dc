// The tables of the System Management BIOS Reference Specification 2.4 that it demands, by which
// kernels name the machine.
#pragma once

#include "platform.hpp"
#include "table_writer.hpp"

namespace undercroft {

// Yields the entry point's address.
GuestPhysical write_smbios(RomSpace&, const FirmwarePlatform&);

}  // namespace undercroft
