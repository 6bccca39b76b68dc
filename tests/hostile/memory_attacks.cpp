// Page tables by chance, more address spaces than shadow tables, and writes to every place where a
// monitor might keep what the guest can reach. The kernel's own first megabytes stay mapped.
#include "attacks.hpp"

namespace guest {
namespace {

constexpr u32 kernel_slots = 4;

u32 random_entry() {
  u32 frame;
  switch (random(8)) {
    case 0:
      frame = random() & 0xfffff000;
      break;
    case 1:
      frame = random(256) * page_bytes;  // below 1 MB: devices and ROM
      break;
    case 2:
      frame = 0x1000000 + random(0x1800) * page_bytes;  // about the end of RAM
      break;
    default:
      frame = spoil_begin + random((spoil_end - spoil_begin) / page_bytes) * page_bytes;
  }
  const u32 rights = one_in(4) ? random() & 0xfff : (random() & 0x1e6) | present;
  return frame | rights;
}

PageTable& random_table() { return *reinterpret_cast<PageTable*>(const_cast<u8*>(spoil_page())); }

void fill_table(PageTable& table, u32 first) {
  for (u32 i = first; i < pages_of_a_table; ++i) table.entries[i] = one_in(3) ? 0 : random_entry();
}

void map_the_kernel(PageTable& root) {
  for (u32 slot = 0; slot < kernel_slots; ++slot) root.entries[slot] = directory.entries[slot];
}

void touch(u32 address) {
  const u32 how = random(4), value = random_entry();
  breathe();
  attempt([&] {
    switch (how) {
      case 0:
        return load(address);
      case 1:
        memory_at(address) = value;
        return;
      case 2:
        asm volatile("lock xadd %0, (%1)" : : "r"(value), "r"(address) : "memory", "cc");
        return;
      default:
        invlpg(address);
        return load(address + 4090);
    }
  });
}

void leave_paging() {
  set_cr0(cr0() & ~(cr0_pg | cr0_wp));
  set_cr4(0);
}

u32 address_above_the_kernel() {
  return (kernel_slots << 22) + random(0xffffffff - (kernel_slots << 22));
}

}  // namespace

void attack_page_tables() {
  map_low_memory();
  PageTable& root = random_table();
  for (u32 k = 0; k < 8; ++k) fill_table(random_table(), 0);
  fill_table(root, 0);
  map_the_kernel(root);
  if (one_in(2)) root.entries[kernel_slots + random(1020)] = root.address() | all_rights;
  attempt([] {
    set_cr4(one_in(2) ? 0 : random() & 0x90);
    if (one_in(3)) set_cr0(cr0() | cr0_wp);
  });
  set_cr3(root.address());
  set_cr0(cr0() | cr0_pg);
  for (u32 i = 0; i < 400; ++i) {
    touch(address_above_the_kernel());
    if (one_in(4)) root.entries[kernel_slots + random(1020)] = random_entry();
    if (one_in(20)) set_cr3(root.address());
    if (one_in(40)) {
      UserState state;
      state.eip = one_in(2) ? address_above_the_kernel() : reinterpret_cast<u32>(spoil_page());
      state.esp = address_above_the_kernel();
      state.eflags = 0x202;
      run_wild_user(state);
    }
  }
  leave_paging();
}

void attack_address_spaces() {
  map_low_memory();
  set_cr3(directory.address());
  set_cr4(cr4_pse);
  set_cr0(cr0() | cr0_pg);
  constexpr u32 spaces = 300;
  PageTable* const roots = reinterpret_cast<PageTable*>(spoil_begin);
  PageTable* const tables = roots + spaces;
  for (u32 i = 0; i < spaces; ++i) {
    for (u32 k = 0; k < pages_of_a_table; ++k) {
      roots[i].entries[k] = 0;
      tables[i].entries[k] = 0;
    }
    map_the_kernel(roots[i]);
    roots[i].entries[300 + i] = tables[i].address() | all_rights;
    roots[i].entries[700] = tables[random(spaces)].address() | all_rights;
    tables[i].entries[i] = tables[i].address() | all_rights;
    tables[i].entries[1000] = (spoil_end - page_bytes) | present;
  }
  u32 wrong = 0;
  for (u32 round = 0; round < 3; ++round) {
    for (u32 k = 0; k < spaces; ++k) {
      const u32 i = round == 2 ? random(spaces) : k;
      set_cr3(roots[i].address());
      wrong += (memory_at((300 + i) << 22 | i << 12 | i * 4) & ~0xfffu) != tables[i].address();
      touch(700u << 22 | 1000 << 12);
      attempt([i] { memory_at((301 + i) << 22) = 1; });
    }
  }
  check(wrong == 0, "each address space shows its own table");
  leave_paging();
}

// The slots of 4 MB are tried one after the other: what is not mapped must not be the monitor's.
void attack_cpu_page() {
  map_low_memory();
  set_cr3(directory.address());
  const bool paged = !one_in(3);
  set_cr0(paged ? cr0() | cr0_pg : cr0());
  for (u32 slot = 8; slot < 1024; ++slot) {
    if (slot >= 1016 && !paged) continue;  // registers of devices on a bare machine
    const u32 base = slot << 22;
    breathe();
    for (u32 k = 0; k < 6; ++k) {
      const u32 offset = one_in(3) ? random(0x400000) : 0x130000 + random(page_bytes);
      attempt([&] { memory_at(base + offset) = random_word(); });
    }
    attempt([&] { load(base + random(0x400000)); });
  }
  asm volatile("pushf; cli; sti; popf" : : : "memory", "cc");
  leave_paging();
}

}  // namespace guest
