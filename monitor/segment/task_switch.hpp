// The hardware task switch (SDM volume 3, 7.3), 32- and 16-bit TSS. It knows the TSS layouts, busy
// and NT bits and the back link. Privilege checks on the way to the TSS (DPL of gate or descriptor)
// are its callers': far_transfer and interrupts.
#pragma once

#include <optional>

#include "../environment.hpp"
#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "far_transfer.hpp"

namespace undercroft {

enum class TaskSwitchKind : std::uint8_t { jump, call, interrupt, interrupt_return };

// What an exception or interrupt through a task gate adds.
struct TaskSwitchEvent {
  std::optional<std::uint32_t> error_code;  // pushed on the new task's stack
  std::uint32_t saved_flags = 0;            // set in the old task's saved EFLAGS: RF for faults
};

// Switches to the task whose TSS `tss_selector` names. `next_eip` is saved in the old TSS. Errors
// before the commit point leave the Vcpu unchanged; later ones belong to the new task, whose state
// is then in the Vcpu. CR3 is loaded only from a 32-bit TSS and with paging on.
Guarded<Transfer> task_switch(Vcpu&, LinearMemory&, Environment&, std::uint16_t tss_selector,
                              TaskSwitchKind, std::uint32_t next_eip, const TaskSwitchEvent& = {});

// The stack that a TSS holds for an inner privilege level, 0 to 2 (SDM volume 3, 5.8.5): #TS(TSS
// selector) if it lies beyond the limit.
struct StackPointer {
  std::uint16_t ss = 0;
  std::uint32_t esp = 0;
};
Guarded<StackPointer> inner_stack(const Vcpu&, LinearMemory&, unsigned level);

}  // namespace undercroft
