// Date and time of the host, from its real-time clock (MC146818 data sheet): what the guest's own
// clock starts from.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

// Seconds since 1970, taking the clock as UTC; years are 2000 to 2099.
std::uint64_t read_host_calendar();

}  // namespace undercroft::x86
