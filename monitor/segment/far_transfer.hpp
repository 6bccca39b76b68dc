// Transfers of control that load CS: far JMP, CALL, RET, IRET, SYSENTER and SYSEXIT, in all modes
// (SDM volume 2, the instructions' pseudo-code; volume 3, 5.8). On an error the Vcpu is unchanged,
// with one exception: a hardware task switch that fails after its commit point leaves the new
// task's state, in whose context the exception happens (volume 3, 7.3): do not roll back.
//
// vcpu.eip need not be meaningful; `next_eip` is the address of the following instruction, what a
// call pushes and a task switch saves.
#pragma once

#include "../environment.hpp"
#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"

namespace undercroft {

struct FarPointer {
  std::uint16_t selector = 0;
  std::uint32_t offset = 0;
};

struct Transfer {
  bool task_trap = false;  // the new task's T bit: #DB with DR6.BT before its first instruction
};

// operand_size is 2 or 4 bytes and sizes what is pushed or popped.
Guarded<Transfer> far_jump(Vcpu&, LinearMemory&, Environment&, FarPointer target,
                           unsigned operand_size, std::uint32_t next_eip);
Guarded<Transfer> far_call(Vcpu&, LinearMemory&, Environment&, FarPointer target,
                           unsigned operand_size, std::uint32_t next_eip);
// pop_bytes: RETF's immediate.
Guarded<Done> far_return(Vcpu&, LinearMemory&, unsigned operand_size, unsigned pop_bytes);
Guarded<Transfer> interrupt_return(Vcpu&, LinearMemory&, Environment&, unsigned operand_size,
                                   std::uint32_t next_eip);

// SYSENTER and SYSEXIT with their #GP(0) rules (mode, CPL, a null SYSENTER_CS).
Guarded<Done> system_enter(Vcpu&);
Guarded<Done> system_exit(Vcpu&);

}  // namespace undercroft
