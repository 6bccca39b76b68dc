// Option `selftest`: proves on the machine at hand that the nexus, the traps and the window work,
// and ends the run: status 0x10 if all is well, a panic otherwise.
#pragma once

#include "arch/x86/machine.hpp"

namespace undercroft::boot {

[[noreturn]] void run_selftest(x86::Machine&);

}  // namespace undercroft::boot
