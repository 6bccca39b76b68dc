// Puts the firmware of a guest's PC into its memory, and what it has programmed into the devices.
// Gathers what the tables tell of; what they look like is in guest_loader/firmware.
#pragma once

#include "monitor/devices/pc.hpp"
#include "monitor/environment.hpp"
#include "monitor/vm.hpp"

namespace undercroft::boot {

// After Vm::lay_out, before the guest is loaded. processor: the host's CPUID leaf 1. False: a page
// of the ROM is not there.
bool give_firmware(Vm&, const PcConfiguration&, const CpuidLeaf& processor);

}  // namespace undercroft::boot
