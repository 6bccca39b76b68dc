// The tables of Intel's MultiProcessor Specification 1.4, chapter 4, by which kernels without ACPI
// find the APICs: the floating pointer and the configuration table.
#pragma once

#include "platform.hpp"
#include "table_writer.hpp"

namespace undercroft {

// Yields the floating pointer's address.
GuestPhysical write_mp_table(RomSpace&, const FirmwarePlatform&);

}  // namespace undercroft
