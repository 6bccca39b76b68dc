// The local APIC and the I/O APIC as a test kernel uses them, with paging off or their pages mapped
// one to one.
#pragma once

#include "cpu.hpp"

namespace guest {

inline constexpr u32 local_apic_base = 0xfee00000, io_apic_base = 0xfec00000;

namespace apic {
inline constexpr u32 id = 0x20, version = 0x30, task_priority = 0x80, arbitration_priority = 0x90,
                     processor_priority = 0xa0, end = 0xb0, logical_id = 0xd0, format = 0xe0,
                     spurious = 0xf0, in_service = 0x100, trigger_mode = 0x180, requests = 0x200,
                     error = 0x280, command = 0x300, command_high = 0x310, timer = 0x320,
                     thermal = 0x330, performance = 0x340, lint0 = 0x350, lint1 = 0x360,
                     error_entry = 0x370, initial_count = 0x380, current_count = 0x390,
                     divide = 0x3e0;
inline constexpr u32 masked = 0x10000, periodic = 0x20000, level = 0x8000, enable = 0x100;
inline constexpr u32 to_self = 0x40000, to_all = 0x80000, to_others = 0xc0000;
inline constexpr u32 nmi = 0x400, external = 0x700, logical = 0x800;

inline u32 read(u32 offset) { return *reinterpret_cast<volatile u32*>(local_apic_base + offset); }
inline void write(u32 offset, u32 value) {
  *reinterpret_cast<volatile u32*>(local_apic_base + offset) = value;
}
inline void end_interrupt() { write(end, 0); }

// A vector's bit in one of the three bit fields.
inline bool has(u32 field, u32 vector) { return read(field + vector / 32 * 16) >> vector % 32 & 1; }
}  // namespace apic

namespace io_apic {
inline u32 read(u32 index) {
  *reinterpret_cast<volatile u32*>(io_apic_base) = index;
  return *reinterpret_cast<volatile u32*>(io_apic_base + 0x10);
}
inline void write(u32 index, u32 value) {
  *reinterpret_cast<volatile u32*>(io_apic_base) = index;
  *reinterpret_cast<volatile u32*>(io_apic_base + 0x10) = value;
}
inline constexpr u32 pins = 24;
inline void set_entry(u32 pin, u32 low, u32 high = 0) {
  write(0x11 + 2 * pin, high);
  write(0x10 + 2 * pin, low);
}
inline u32 entry(u32 pin) { return read(0x10 + 2 * pin); }
}  // namespace io_apic

}  // namespace guest
