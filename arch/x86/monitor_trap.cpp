// Traps while the monitor itself runs: host interrupts that it waits for, faults of the nexus that
// have a fix-up, and the monitor's bugs.
#include <iterator>

#include "image_layout.hpp"
#include "instructions.hpp"
#include "machine.hpp"
#include "monitor/exception.hpp"
#include "monitor/inspect/format.hpp"
#include "nexus.hpp"
#include "panic.hpp"

namespace undercroft::x86 {
namespace {

struct Fixup {
  std::uint32_t fault, resume;
};

constexpr std::uint32_t page_fault = static_cast<std::uint32_t>(Vector::page_fault);

const char* name_of(std::uint32_t vector) {
  constexpr const char* names[] = {"divide error",
                                   "debug exception",
                                   "NMI",
                                   "breakpoint",
                                   "overflow",
                                   "bound range",
                                   "invalid opcode",
                                   "device not available",
                                   "double fault",
                                   "coprocessor",
                                   "invalid TSS",
                                   "segment not present",
                                   "stack fault",
                                   "general protection",
                                   "page fault",
                                   "reserved vector",
                                   "FPU error",
                                   "alignment check",
                                   "machine check",
                                   "SIMD error"};
  return vector < std::size(names) ? names[vector] : "unexpected interrupt";
}

}  // namespace

extern "C" {
extern const Fixup fixup_table[];
extern const Fixup fixup_table_end[];
extern TaskState monitor_task;
void handle_monitor_trap(MonitorFrame*);
void report_double_fault();
}

namespace {

bool fix_up(MonitorFrame& frame, std::uint32_t fault_address) {
  for (const Fixup* fixup = fixup_table; fixup != fixup_table_end; ++fixup) {
    if (fixup->fault != frame.eip) continue;
    if (nexus_context) {  // before the first guest only a register can have been missing
      const bool is_page_fault = frame.vector == page_fault;
      nexus_context->vector = is_page_fault ? page_fault : trap_entry_failed;
      nexus_context->error_code = frame.error_code;
      nexus_context->fault_address = fault_address;
    }
    frame.eip = fixup->resume;
    return true;
  }
  return false;
}

bool can_be_guests_fault(std::uint32_t vector) {
  return vector >= static_cast<std::uint32_t>(Vector::invalid_tss) && vector <= page_fault;
}

}  // namespace

void handle_monitor_trap(MonitorFrame* frame) {
  const std::uint32_t fault_address = read_cr2();
  if (frame->vector >= host_interrupt_base && machine().forget_interrupt()) return;
  if (is_host_interrupt(frame->vector)) {
    machine().acknowledge_interrupt(frame->vector - host_interrupt_base);
    return;
  }
  if (can_be_guests_fault(frame->vector) && fix_up(*frame, fault_address)) return;
  panic(name_of(frame->vector), *frame, fault_address);
}

// The task switch has stored the interrupted registers in the monitor's TSS.
void report_double_fault() {
  const TaskState& task = monitor_task;
  MonitorFrame frame{};
  frame.vector = static_cast<std::uint32_t>(Vector::double_fault);
  frame.eip = task.eip;
  frame.eflags = task.eflags;
  frame.cs = task.cs, frame.ds = task.ds, frame.es = task.es;
  frame.fs = task.fs, frame.gs = task.gs;
  frame.eax = task.eax, frame.ebx = task.ebx, frame.ecx = task.ecx, frame.edx = task.edx;
  frame.esi = task.esi, frame.edi = task.edi, frame.ebp = task.ebp, frame.esp = task.esp;
  panic("double fault", frame, read_cr2());
}

}  // namespace undercroft::x86
