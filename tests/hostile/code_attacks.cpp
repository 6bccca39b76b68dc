// Code by chance at CPL 0 and CPL 3, more code than a translation cache holds, code that rewrites
// itself, and registers of the processor set by chance.
#include "attacks.hpp"

namespace guest {
namespace {

// mov $value, %eax; inc %eax; ret
void write_function(volatile u8* at, u32 value) {
  at[0] = 0xb8;
  for (u32 i = 0; i < 4; ++i) at[1 + i] = static_cast<u8>(value >> 8 * i);
  at[5] = 0x40;
  at[6] = 0xc3;
}

u32 call(volatile u8* function) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(function) : "ecx", "edx", "memory", "cc");
  return result;
}

}  // namespace

// It does not come back but by a trap: what it returns to is zeros.
Trap run_kernel_code(u32 address) {
  const u32 page = reinterpret_cast<u32>(spoil_page()), other = reinterpret_cast<u32>(spoil_page());
  const u32 state[] = {random_word(), random_word(), random_word(), random_word(),
                       page,          other,         address,       other + 0xf00};
  wild = true;
  const Trap trap = attempt([&] {
    asm volatile(
        "mov 28(%%esi), %%esp\n pushl 24(%%esi)\n mov 0(%%esi), %%eax\n mov 4(%%esi), %%ebx\n"
        "mov 8(%%esi), %%ecx\n mov 12(%%esi), %%edx\n mov 16(%%esi), %%edi\n"
        "mov 20(%%esi), %%esi\n sti\n ret"
        :
        : "S"(state)
        : "memory");
  });
  wild = false;
  return trap;
}

Trap run_wild_user(const UserState& state) {
  wild = true;
  const Trap trap = run_user(state);
  wild = false;
  return trap;
}

void attack_kernel_code() {
  for (u32 i = 0; i < 40; ++i) {
    volatile u8* page = spoil_page();
    fill_with_code(page, 200);
    run_kernel_code(reinterpret_cast<u32>(page) + random(16));
  }
}

// Only the pages to be spoiled are the user's: so the kernel lives to see the next round.
void attack_user_code() {
  map_low_memory();
  for (PageTable& table : low) {
    for (u32 page = 0; page < pages_of_a_table; ++page) {
      if (table.entries[page] < spoil_begin) table.entries[page] = table.entries[page] & ~user;
    }
  }
  enable_paging();
  for (u32 i = 0; i < 60; ++i) {
    volatile u8* page = spoil_page();
    fill_with_code(page, 300);
    UserState state;
    state.eip = reinterpret_cast<u32>(page) + random(16);
    state.esp = one_in(8) ? random_word() : reinterpret_cast<u32>(spoil_page()) + 2048;
    state.eflags = 0x202 | (random() & (one_in(4) ? 0x7fd5u : 0x4d5u)) | (one_in(8) ? 0x100 : 0);
    if (one_in(8)) state.eflags &= ~interrupt_flag;
    if (one_in(6)) state.fs = static_cast<u16>(random());
    run_wild_user(state);
  }
  set_cr0(cr0() & ~cr0_pg);
}

void attack_code_cache() {
  const u32 functions = 20000;
  volatile u8* const first = reinterpret_cast<volatile u8*>(spoil_begin);
  const u32 base = random();
  for (u32 i = 0; i < functions; ++i) write_function(first + i * 16, base + i);
  u32 wrong = 0;
  for (u32 round = 0; round < 3; ++round) {
    for (u32 i = 0; i < functions; ++i) {
      wrong += call(first + i * 16) != base + i + 1;
      if (i % 512 == 0) breathe();
    }
    for (u32 k = 0; k < 200; ++k) {
      const u32 i = random(functions);
      write_function(first + i * 16, base + i + 5);
      wrong += call(first + i * 16) != base + i + 6;
      write_function(first + i * 16, base + i);
      breathe();
    }
  }
  check(wrong == 0, "code that fills the cache gives its own results");
}

void attack_registers() {
  for (u32 i = 0; i < 60; ++i) {
    const u32 value = random_word(), kind = random(7), index = random_word();
    attempt([&] {
      switch (kind) {
        case 0:
          return set_cr0((value & ~cr0_pg) | 1 | (cr0() & cr0_pg));
        case 1:
          return set_cr4(value);
        case 2:
          asm volatile("mov %0, %%dr7\n mov %0, %%dr1\n mov %0, %%dr6" : : "r"(value));
          asm volatile("mov %0, %%dr7" : : "r"(0));
          return;
        case 3:
          asm volatile("wrmsr" : : "c"(index), "a"(value), "d"(random_word()));
          return;
        case 4:
          asm volatile("rdmsr" : : "c"(index) : "eax", "edx");
          return;
        case 5:
          asm volatile("push %0\n popf" : : "r"(value & ~0x100u) : "memory", "cc");
          asm volatile("push $2\n popf" : : : "memory", "cc");
          return;
        default:
          asm volatile("cpuid" : : "a"(value), "c"(index) : "ebx", "edx");
          return;
      }
    });
    attempt([] {
      set_cr4(0);
      set_cr0((cr0() & (cr0_pg | 1)) | 0x10);
    });
  }
}

}  // namespace guest
