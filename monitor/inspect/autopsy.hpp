// The report on a guest that was stopped: why, the chain of faults, registers, the page walk and
// the code at its EIP, and what ran last.
#pragma once

#include "../monitor.hpp"
#include "../ports.hpp"

namespace undercroft {

// Registers, the page walk and the code where the guest stands.
void print_state(Console&, Monitor&);

void print_autopsy(Console&, Monitor&, const RunEnd&);

}  // namespace undercroft
