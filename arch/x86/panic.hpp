// The end of the monitor by its own fault: a report on the console, then the machine's exit. What a
// guest does must never lead here (design section 6).
#pragma once

#include <string_view>

#include "monitor/ports.hpp"
#include "nexus.hpp"

namespace undercroft::x86 {

// Where reports go; until it is set, nowhere.
void set_panic_console(Console&);

[[noreturn]] void panic(std::string_view message);
[[noreturn]] void panic(std::string_view message, const MonitorFrame&, std::uint32_t fault_address);

}  // namespace undercroft::x86
