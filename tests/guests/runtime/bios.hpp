// Calls of the BIOS from protected mode: down to real mode, INT n, and back. Paging is off.
#pragma once

#include "cpu.hpp"

namespace guest::bios {

struct Registers {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0, esi = 0, edi = 0, ebp = 0;
  u16 ds = 0, es = 0;
  // Afterwards. Before it goes back, a call looks whether the A20 line is low, and makes it high.
  u16 flags = 0;
  u16 a20_low = 0;
  bool carry() const { return flags & 1; }
  bool zero() const { return flags & 0x40; }
  u32 ah() const { return eax >> 8 & 0xff; }
  u32 ax() const { return eax & 0xffff; }
};

// The code for it lies here, 4 KB, and the stack above. A test's buffers are from `buffer` on.
inline constexpr u32 code_base = 0x10000, stack_segment = 0x2000, buffer = 0x30000;
inline constexpr u16 buffer_segment = buffer / 16;

// Before the first call. Takes three descriptors from first_free_descriptor on.
void prepare();
// With interrupts on, which are the BIOS' affair.
Registers call(u8 interrupt, Registers);
// Until an interrupt has come.
void halt();

}  // namespace guest::bios
