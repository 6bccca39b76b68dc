// Option `selftest`: proves on the machine at hand that the nexus, the traps and the window work,
// and ends the run: status 0x10 if all is well, a panic otherwise.
#pragma once

#include "arch/x86/machine.hpp"
#include "options.hpp"

namespace undercroft::boot {

// kind is not none. The other two kinds end in the panic that they are named after.
[[noreturn]] void run_selftest(x86::Machine&, SelfTestKind kind);

}  // namespace undercroft::boot
