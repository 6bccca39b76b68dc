// Two-level page tables for the test kernels: the first 16 MB one to one and open to ring 3, the
// rest for the test to fill.
#pragma once

#include "cpu.hpp"

namespace guest {

inline constexpr u32 page_bytes = 4096, pages_of_a_table = 1024;
inline constexpr u32 present = 1, writable = 2, user = 4, accessed = 0x20, dirty = 0x40,
                     large = 0x80;
inline constexpr u32 all_rights = present | writable | user;

struct alignas(4096) PageTable {
  volatile u32 entries[pages_of_a_table];
  u32 address() const { return reinterpret_cast<u32>(this); }
};

// Memory for tests, a page each, inside the image.
struct alignas(4096) Page {
  volatile u32 words[pages_of_a_table];
  u32 address() const { return reinterpret_cast<u32>(this); }
};

inline constexpr unsigned low_tables = 4;
extern PageTable directory, low[low_tables];

// Fills directory and low tables; paging stays off.
void map_low_memory();
// Loads the directory and switches paging on.
void enable_paging();

inline volatile u32& memory_at(u32 address) { return *reinterpret_cast<volatile u32*>(address); }

// A read that is not optimised away.
inline void load(u32 address) {
  asm volatile("mov (%0), %%eax" : : "r"(address) : "eax", "memory");
}

}  // namespace guest
