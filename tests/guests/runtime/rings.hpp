// Segments and stacks for all four rings, and running code in them. Uses the last four GDT entries.
#pragma once

#include "boot.hpp"

namespace guest {

// RPL = DPL = ring.
constexpr u16 ring_code(unsigned ring) {
  constexpr u16 selectors[] = {kernel_code, 60 * 8 + 1, 62 * 8 + 2, user_code};
  return selectors[ring];
}
constexpr u16 ring_data(unsigned ring) {
  constexpr u16 selectors[] = {kernel_data, 61 * 8 + 1, 63 * 8 + 2, user_data};
  return selectors[ring];
}

// Where the stack begins that the TSS gives for ring 0, 1 or 2.
u32 inner_stack_top(unsigned ring);
// Where the stack begins that run_in_ring gives.
u32 ring_stack_top(unsigned ring);

// Makes descriptors and inner stacks; opens INT 80h to all rings.
void prepare_rings();

// Runs code in a ring until it traps; INT 80h is how it ends of itself. In ring 0 it goes on on the
// caller's stack, in the others with flat segments of the ring. Interrupts are open, as they are in
// a kernel with user code; the controllers mask them.
Trap run_in_ring(unsigned ring, const char* code, u32 eflags = 2 | interrupt_flag);

inline u32 address_of(const char* label) { return reinterpret_cast<u32>(label); }

// A descriptor that belongs to the test, by its number.
constexpr u16 test_selector(unsigned number, unsigned rpl = 0) {
  return static_cast<u16>((first_free_descriptor + number) * 8 + rpl);
}
inline u64& test_entry(unsigned number) { return gdt()[first_free_descriptor + number]; }

// The access byte of an entry as it is now.
inline u8 access_byte(u64 entry) { return static_cast<u8>(entry >> 40); }

}  // namespace guest

// What code in a ring reads its arguments from, by a flat segment.
extern "C" guest::u32 ring_arguments[4];
