// Which machine the guest gets: the choice alone. What it means for each device and table is in the
// files that ask.
#pragma once

#include <cstdint>

namespace undercroft {

// isa: processor, memory and ISA devices, found by probing. pc: what PCs since about 2000 have too:
// APICs, HPET, PCI, and firmware tables that tell of them.
enum class MachineKind : std::uint8_t { isa, pc };

}  // namespace undercroft
