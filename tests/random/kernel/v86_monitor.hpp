// The monitor that a guest kernel has for its virtual-8086 tasks: sends INT 40h to 43h to handlers
// in the task, and does CLI, STI, PUSHF, POPF and IRET for it where IOPL lets them trap.
#pragma once

#include "sequence.hpp"

namespace sandbox::v86_monitor {

inline constexpr u32 most_times = 40;  // in one sequence
// Whether it has done the instruction that raised #GP; the state is then behind it.
bool served(const Sequence& sequence, State& state);

}  // namespace sandbox::v86_monitor
