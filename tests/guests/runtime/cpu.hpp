// The processor as a test kernel uses it: ports, registers, descriptor tables, traps and calls that
// survive them.
#pragma once

#include <cstdint>

namespace guest {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// Selectors; SYSENTER and SYSEXIT dictate the order of the first four.
inline constexpr u16 kernel_code = 0x10, kernel_data = 0x18, user_code = 0x23, user_data = 0x2b,
                     tss_selector = 0x30;
// GDT entries from here on belong to the test.
inline constexpr unsigned first_free_descriptor = 8, descriptor_count = 64;

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline u32 flags() {
  u32 value;
  asm volatile("pushf; pop %0" : "=r"(value) : : "memory");
  return value;
}
inline u32 cr0() {
  u32 value;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline void set_cr0(u32 value) { asm volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
inline u32 cr2() {
  u32 value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline void set_cr3(u32 value) { asm volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
inline u32 cr4() {
  u32 value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
inline void set_cr4(u32 value) { asm volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }
inline void invlpg(u32 address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }
inline void write_msr(u32 index, u32 low) {
  asm volatile("wrmsr" : : "c"(index), "a"(low), "d"(0));
}

inline constexpr u32 interrupt_flag = 0x200;
inline constexpr u32 cr0_mp = 2, cr0_em = 4, cr0_ts = 8, cr0_wp = 0x10000, cr0_pg = 0x80000000;
inline constexpr u32 cr4_pse = 0x10, cr4_osfxsr = 0x200;

// The frame that start.S builds; esp and ss are pushed by the processor only from ring 3, the last
// four only from virtual-8086 mode.
struct TrapFrame {
  u32 gs, fs, es, ds;
  u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
  u32 vector, error;
  u32 eip, cs, eflags, esp, ss;
  u32 v86_es, v86_ds, v86_fs, v86_gs;
};
inline constexpr u32 no_trap = 0xffffffff;
inline constexpr u32 sysenter_vector = 0x100;

// A trap as it is remembered; vector is no_trap if there was none.
struct Trap {
  TrapFrame frame;
  u32 cr2;
  bool happened() const { return frame.vector != no_trap; }
};

// Segment and entry registers for ring 3, in the order that start.S knows.
struct UserState {
  u32 ds = user_data, es = user_data, fs = user_data, gs = user_data;
  u32 eip = 0, cs = user_code, eflags = 2, esp = 0, ss = user_data;
};
static_assert(sizeof(UserState) == 0x24);

extern "C" bool guarded_call(void (*function)(void*), void* argument);
extern "C" [[noreturn]] void enter_user(const UserState*);

// Takes over a vector; the interrupted code goes on when the handler returns.
using Handler = void (*)(TrapFrame&);
void set_handler(unsigned vector, Handler handler);

// The trap that ended the last attempt.
Trap last_trap();

// Runs code that may trap; a trap ends it and is returned.
template <class Code>
Trap attempt(Code code) {
  if (guarded_call([](void* argument) { (*static_cast<Code*>(argument))(); }, &code)) {
    Trap none{};
    none.frame.vector = no_trap;
    return none;
  }
  return last_trap();
}

// Runs ring 3 code until it traps.
inline Trap run_user(const UserState& state) {
  return attempt([&] { enter_user(&state); });
}

// Descriptor tables. access is descriptor bits 40 to 47, granularity bits 52 to 55.
u64* gdt();
u64 make_segment(u32 base, u32 limit, u8 access, u8 granularity);
u64 make_gate(u16 selector, u32 offset, u8 access, u8 parameters = 0);
void set_gate(unsigned vector, u64 gate);
u64 get_gate(unsigned vector);

struct [[gnu::packed]] TaskState {
  u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
  u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
  u32 es, cs, ss, ds, fs, gs, ldt;
  u16 trap, io_map;
  u8 io_bitmap[33];
};
TaskState& task_state();

}  // namespace guest
