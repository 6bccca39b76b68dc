// The BIOS data area at 0x400, which kernels read for the end of low memory, the serial ports and
// the text screen even when they were not started by a BIOS.
#pragma once

#include "loading.hpp"

namespace undercroft {

// Does nothing where there is no RAM. The area is not claimed: a kernel linked over it wins.
void write_bios_data(Loading& loading);

}  // namespace undercroft
