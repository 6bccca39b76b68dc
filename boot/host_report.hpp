// What the monitor has found on the machine, as a few lines for people.
#pragma once

#include "arch/x86/machine.hpp"
#include "boot_information.hpp"
#include "host_acpi.hpp"

namespace undercroft::boot {

// everything: each range of the memory map too.
void print_host(x86::Machine&, const BootInformation&, const HostAcpi&, bool everything);

}  // namespace undercroft::boot
