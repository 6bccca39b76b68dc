// The guest's disks from boot modules to the end of the run: which modules are disks, whether their
// changes can be given back, and giving them back through the machine's debug console. What a disk
// module looks like is disk_modules.hpp's business, the stream is monitor/devices/disk_save.hpp's.
#pragma once

#include <array>

#include "boot_information.hpp"
#include "monitor/devices/disk_store.hpp"
#include "monitor/memory/frame_pool.hpp"
#include "monitor/ports.hpp"
#include "monitor/result.hpp"
#include "options.hpp"

namespace undercroft::boot {

// The boot modules that are the guest's own: its kernel and what it is given with it.
struct GuestModules {
  std::array<const BootModule*, BootInformation::max_modules> modules{};
  unsigned count = 0;
};

// Boot modules that are disks go into the store, and their frames stay with it. The error is a line
// for people.
Result<GuestModules, const char*> separate_disks(const BootInformation&, const Options&, DiskStore&,
                                                 FramePool&);

// At the end of a run, if the option save=PORT is given.
void give_disks_back(Console&, const Options&, DiskStore&);

}  // namespace undercroft::boot
