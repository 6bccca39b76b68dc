// The host's real-time clock (MC146818 data sheet): read once, for the guest's own to start from.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

// Seconds since 1970, UTC. Waits out an update in progress, about 2 ms at most.
std::uint64_t read_host_clock();

}  // namespace undercroft::x86
