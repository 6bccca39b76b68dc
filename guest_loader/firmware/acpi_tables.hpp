// The ACPI tables (ACPI 2.0, chapter 5, and the IA-PC HPET specification 1.0a, 3.2.4): RSDP, RSDT
// and XSDT, FADT, DSDT; MADT and HPET if the PC has what they tell of. ACPI mode is on from the
// start: there is no SMI that could switch it.
#pragma once

#include "platform.hpp"
#include "table_writer.hpp"

namespace undercroft {

// facs: where the firmware control structure stands, which is in RAM. Yields the RSDP's address.
GuestPhysical write_acpi_tables(RomSpace&, const FirmwarePlatform&, GuestPhysical facs);

// The bytes of a FACS (5.2.9): no waking vector, a global lock that nobody owns.
inline constexpr unsigned facs_bytes = 64;
std::array<std::byte, facs_bytes> make_facs();

}  // namespace undercroft
