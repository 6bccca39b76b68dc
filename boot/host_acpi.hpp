// What the monitor wants to know of the host's ACPI tables: the HPET, the power-management timer,
// and how many processors there are. Tables whose checksum is wrong are as good as none. (ACPI 6.0,
// section 5.2.)
#pragma once

#include <cstdint>

#include "boot_information.hpp"

namespace undercroft::boot {

struct HostAcpi {
  bool found = false;
  std::uint32_t hpet = 0;         // physical address of its registers; 0: none
  std::uint16_t power_timer = 0;  // port; 0: none
  unsigned processors = 0;        // that can be used; 0: not told
  unsigned io_apics = 0;
};

// root_pointer: where the loader has put a copy; 0: it is looked for where a BIOS has it.
HostAcpi read_host_acpi(const PhysicalReader&, std::uint32_t root_pointer);

}  // namespace undercroft::boot
