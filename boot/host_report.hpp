// What the monitor has found on the machine, as a few lines for people.
#pragma once

#include "arch/x86/host_entropy.hpp"
#include "arch/x86/machine.hpp"
#include "boot_information.hpp"
#include "host_acpi.hpp"

namespace undercroft::boot {

// everything: each range of the memory map too.
void print_host(x86::Machine&, const BootInformation&, const HostAcpi&, bool everything);
// What the guest's entropy device has to give.
void print_random_numbers(Console&, const x86::HostEntropy&);

}  // namespace undercroft::boot
