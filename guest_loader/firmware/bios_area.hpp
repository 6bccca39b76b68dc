// What a BIOS leaves behind besides its tables: code and marks at the end of its ROM, a video BIOS,
// the interrupt vectors, the data areas at 0x400 and below 640 KB. The data area itself has more
// fields than ../bios_data.hpp writes for every machine; these are here.
#pragma once

#include "../loading.hpp"
#include "platform.hpp"
#include "table_writer.hpp"

namespace undercroft {

inline constexpr GuestPhysical extended_bios_data{0x9fc00};
// The FACS is in the extended BIOS data area: it is written, and nobody takes that area's RAM.
inline constexpr GuestPhysical facs_place{0x9fd00};

// False if part of it is no ROM.
bool write_bios_rom(FirmwareRom&, const FirmwarePlatform&);
// False if part of it is no RAM.
bool write_bios_ram(GuestRam&, const FirmwarePlatform&);

}  // namespace undercroft
