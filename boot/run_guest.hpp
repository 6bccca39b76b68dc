// One guest from boot modules to the end of the run: builds the virtual machine and its monitor on
// the host's machine, loads the guest, runs it, reports and exits.
#pragma once

#include "arch/x86/machine.hpp"
#include "boot_information.hpp"
#include "options.hpp"

namespace undercroft::boot {

[[noreturn]] void run_guest(x86::Machine&, const BootInformation&, const Options&);

}  // namespace undercroft::boot
