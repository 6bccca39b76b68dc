// The attacks of the hostile kernel. Each is a bounded number of steps and comes back if it can;
// traps on the way are survived where the kernel's own tables still allow it.
#pragma once

#include "../guests/runtime/console.hpp"
#include "../guests/runtime/paging.hpp"
#include "random.hpp"

namespace guest {

// 16 MB of RAM are the kernel's to spoil from here on; the machine has at least 32 MB.
inline constexpr u32 spoil_begin = 0x800000, spoil_end = 0x1000000;

inline volatile u8* spoil_page() {
  return reinterpret_cast<volatile u8*>(
      spoil_begin + random((spoil_end - spoil_begin) / page_bytes) * page_bytes);
}

void fill_with_code(volatile u8* at, u32 bytes);

// Set while code by chance runs, which the timer may have to end.
inline volatile bool wild;

// Lets a timer tick in, so that a watchdog sees that the kernel lives.
inline void breathe() { asm volatile("sti\n nop\n cli" : : : "memory"); }

// run_user, for at most a few ticks.
Trap run_wild_user(const UserState&);

// Runs code at CPL 0, on a stack of its own, until it traps or has taken too many timer ticks.
Trap run_kernel_code(u32 address);

void attack_kernel_code();
void attack_user_code();
void attack_page_tables();
void attack_descriptors();
void attack_ports();
void attack_address_spaces();
void attack_code_cache();
void attack_cpu_page();
void attack_registers();

}  // namespace guest
