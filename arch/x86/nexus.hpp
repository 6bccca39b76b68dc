// The nexus: the way into the guest and, by a trap, back. nexus.S implements it; this header ties
// its offsets to the structures.
#pragma once

#include <cstddef>
#include <cstdint>

#include "descriptors.hpp"
#include "monitor/processor.hpp"

namespace undercroft::x86 {

// What the trap stubs store when the monitor itself is interrupted; GuestContext's order without SS
// and ESP, since the privilege does not change.
struct MonitorFrame {
  std::uint32_t gs, fs, es, ds;
  std::uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
  std::uint32_t vector, error_code;
  std::uint32_t eip, cs, eflags;
};

inline constexpr std::uint32_t trap_stub_size = 16;

extern "C" {
// Runs the guest with the registers of the context until it traps; see Processor::enter.
void enter_guest(GuestContext*);
extern const std::byte trap_stubs[];  // 256 of trap_stub_size
void double_fault_entry();
extern volatile std::uint32_t nmi_count;
// The context that enter_guest was called with last.
extern GuestContext* nexus_context;
}

static_assert(offsetof(GuestContext, gs) == 12);
static_assert(offsetof(GuestContext, ds) == 24);
static_assert(offsetof(GuestContext, edi) == 28);
static_assert(offsetof(GuestContext, ebp) == 36);
static_assert(offsetof(GuestContext, ebx) == 44);
static_assert(offsetof(GuestContext, eax) == 56);
static_assert(offsetof(GuestContext, vector) == 60);
static_assert(offsetof(GuestContext, error_code) == 64);
static_assert(offsetof(GuestContext, eip) == 68);
static_assert(offsetof(GuestContext, cs) == 72);
static_assert(offsetof(GuestContext, eflags) == 76);
static_assert(offsetof(GuestContext, esp) == 80);
static_assert(offsetof(GuestContext, ss) == 84);
static_assert(offsetof(GuestContext, v86_es) == 88);
static_assert(offsetof(GuestContext, v86_gs) == 100);
static_assert(offsetof(GuestContext, fault_address) == 104);
static_assert(offsetof(MonitorFrame, vector) ==
              offsetof(GuestContext, vector) - offsetof(GuestContext, gs));
static_assert(offsetof(TaskState, esp0) == 4);
static_assert(host_gdt::monitor_code == 8176 && host_gdt::monitor_data == 8177 &&
              host_gdt::monitor_flat == 8189);

}  // namespace undercroft::x86
