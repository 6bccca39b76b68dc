// Descriptor tables set, moved and rewritten while in use: at odd addresses, across pages, with
// limits that cut an entry, with all 8192 entries; hidden descriptor caches, accessed and busy
// bits; and what user code, which loads segment registers by itself, sees of all that.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_tables";

namespace {

constexpr u8 user_data_access = 0xf2, user_code_access = 0xfa, accessed_bit = 1;
constexpr u8 bytes_32 = 4, flat = 0xc;
volatile u32 cells[8] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17};
u32 base_of_cells() { return reinterpret_cast<u32>(cells); }

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};
TableRegister gdt_register() {
  TableRegister table;
  asm volatile("sgdt %0" : "=m"(table));
  return table;
}
TableRegister idt_register() {
  TableRegister table;
  asm volatile("sidt %0" : "=m"(table));
  return table;
}
void load_gdt(u16 limit, u32 base) {
  const TableRegister table = {limit, base};
  asm volatile("lgdt %0" : : "m"(table) : "memory");
}
void load_idt(u16 limit, u32 base) {
  const TableRegister table = {limit, base};
  asm volatile("lidt %0" : : "m"(table) : "memory");
}

// Room for tables: the second page begins 4096 bytes in.
alignas(4096) u8 room[17 * 4096];
u32 room_at(u32 offset) { return reinterpret_cast<u32>(room) + offset; }
u64& entry_at(u32 address) { return *reinterpret_cast<u64*>(address); }

// A copy of the present GDT.
void copy_gdt(u32 to) {
  for (unsigned i = 0; i < descriptor_count; ++i) entry_at(to + 8 * i) = gdt()[i];
}

asm(R"(
.text
t_call:      int $0x80
// FS from ring_arguments, then the first word behind it.
t_load:      mov ring_arguments, %eax
             mov %eax, %fs
t_use:       mov %fs:0, %ebx
             mov %fs, %eax
             int $0x80
// Loads, asks the kernel for whatever it does, uses, loads again, uses.
t_keep:      mov ring_arguments, %eax
             mov %eax, %fs
             int $0x81
             mov %fs:0, %ebx
             mov %eax, %fs
             mov %fs:0, %ecx
             int $0x80
t_ask:       mov ring_arguments, %esi
             xor %ebx, %ebx
             xor %ecx, %ecx
             xor %eax, %eax
             lar %esi, %ebx
             jnz 1f
             or $1, %eax
             and $0xfff0ff00, %ebx
1:           lsl %esi, %ecx
             jnz 1f
             or $2, %eax
1:           verr %si
             jnz 1f
             or $4, %eax
// LAR leaves bits 16 to 19 undefined (SDM volume 2).
1:           and $0xfff0ffff, %ebx
             int $0x80
t_far_call:  lcall *ring_arguments
             int $0x80
t_far_target: mov %cs, %eax
             lret
// In ring 0, with CS from a descriptor of the test's, which is changed before IRET loads it again.
t_iret:      ljmp $(14 * 8), $1f
1:           mov changed_address, %ecx
             mov changed_entry, %eax
             mov %eax, (%ecx)
             mov changed_entry + 4, %eax
             mov %eax, 4(%ecx)
             pushf
             push %cs
             mov $t_iret_done, %eax
             sub ring_arguments, %eax
             push %eax
             iret
t_iret_done: mov %cs, %eax
             mov $0x12345678, %ebx
             mov %ebx, %ecx
             int $0x80
// Ring 0, for INT 81h: writes the entry and touches no segment register.
t_change:    push %eax
             push %ecx
             mov changed_address, %ecx
             mov changed_entry, %eax
             mov %eax, (%ecx)
             mov changed_entry + 4, %eax
             mov %eax, 4(%ecx)
             pop %ecx
             pop %eax
             iret
)");
extern "C" char t_call[], t_load[], t_use[], t_keep[], t_ask[], t_far_call[], t_far_target[],
    t_change[], t_iret[];
extern "C" {
u64 changed_entry;
u64* changed_address;
}

u64 cell_segment(unsigned cell, u8 access = user_data_access) {
  return make_segment(base_of_cells() + 4 * cell, 0xfffff, access, flat);
}

void outcome(const char* name, const Trap& trap) {
  if (trap.frame.vector == 0x80) {
    line(name, ": ", hex(trap.frame.eax & 0xffff, 4), ' ', hex(trap.frame.ebx), ' ',
         hex(trap.frame.ecx));
  } else {
    line(name, ": ", trap.frame.vector, ' ', hex(trap.frame.error, 4), ' ',
         hex(trap.frame.vector == 14 ? trap.cr2 : 0));
  }
}

Trap user_load(u16 selector) {
  ring_arguments[0] = selector;
  return run_in_ring(3, t_load);
}

void moved_tables() {
  const TableRegister usual = gdt_register();
  // At odd addresses, and with entry 8 across the border of two pages.
  for (const u32 offset : {1u, 7u, 4096u - 8 * 8 - 4, 4096u - 8 * 8 - 1, 4096u - 8 * 8 - 7}) {
    copy_gdt(room_at(offset));
    load_gdt(usual.limit, room_at(offset));
    entry_at(room_at(offset) + 8 * 8) = cell_segment(1);
    outcome("moved", user_load(test_selector(0, 3)));
    line("  accessed ", hex(access_byte(entry_at(room_at(offset) + 8 * 8)), 2));
    entry_at(room_at(offset) + 8 * 8) = cell_segment(2);
    outcome("  rewritten", user_load(test_selector(0, 3)));
    // One byte of it, on either side of the border.
    room[offset + 8 * 8 + 2] = static_cast<u8>(room[offset + 8 * 8 + 2] + 4);
    outcome("  a byte", user_load(test_selector(0, 3)));
    room[offset + 8 * 8 + 5] = 0x92;
    outcome("  of ring 0", user_load(test_selector(0, 3)));
    load_gdt(usual.limit, usual.base);
  }
  gdt()[8] = 0;
  outcome("moved back", user_load(test_selector(0, 3)));
  // Limits that cut the last entry, or all of it.
  gdt()[20] = cell_segment(3);
  for (const u16 limit : {20 * 8 + 7, 20 * 8 + 6, 20 * 8, 20 * 8 - 1}) {
    load_gdt(limit, usual.base);
    ring_arguments[0] = 20 * 8 + 3;
    outcome("limit", run_in_ring(3, t_load));
    outcome("  asked", run_in_ring(3, t_ask));
  }
  load_gdt(usual.limit, usual.base);
}

// The hidden part of FS survives what the kernel does to the table in between.
void user_caches() {
  set_gate(0x81, make_gate(kernel_code, address_of(t_change), 0xee));
  changed_address = &test_entry(1);
  const struct {
    const char* name;
    u64 entry;
  } changes[] = {{"the same", cell_segment(2, user_data_access | accessed_bit)},
                 {"not accessed", cell_segment(2)},
                 {"another base", cell_segment(5)},
                 {"absent", cell_segment(5, user_data_access & 0x7f)},
                 {"of ring 0", cell_segment(5, 0x92)},
                 {"code", cell_segment(5, user_code_access)},
                 {"gone", 0}};
  for (const auto& change : changes) {
    test_entry(1) = cell_segment(2);
    changed_entry = change.entry;
    ring_arguments[0] = test_selector(1, 3);
    const Trap trap = run_in_ring(3, t_keep);
    outcome(change.name, trap);
    line("  used ", hex(trap.frame.ebx), " access ", hex(access_byte(test_entry(1)), 2));
  }
}

// The kernel's own code segment, rewritten while in use: IRET to it looks at the table again.
void kernel_code_segment() {
  constexpr unsigned number = 6;  // selector 14 * 8
  constexpr u8 kernel_code_access = 0x9b;
  const struct {
    const char* name;
    u64 entry;
    u32 base;
  } changes[] = {{"the same", make_segment(0, 0xfffff, kernel_code_access, flat), 0},
                 {"not accessed", make_segment(0, 0xfffff, 0x9a, flat), 0},
                 {"not readable", make_segment(0, 0xfffff, 0x99, flat), 0},
                 {"another base", make_segment(0x1000, 0xfffff, kernel_code_access, flat), 0x1000},
                 {"absent", make_segment(0, 0xfffff, 0x1b, flat), 0},
                 {"data", make_segment(0, 0xfffff, 0x93, flat), 0},
                 {"of ring 3", make_segment(0, 0xfffff, 0xfb, flat), 0},
                 {"gone", 0, 0}};
  const TableRegister usual = gdt_register();
  for (const auto& change : changes) {
    test_entry(number) = make_segment(0, 0xfffff, kernel_code_access, flat);
    changed_address = &test_entry(number);
    changed_entry = change.entry;
    ring_arguments[0] = change.base;
    outcome(change.name, run_in_ring(0, t_iret));
    if (option("limits")) line("  access ", hex(access_byte(test_entry(number)), 2));
  }
  // The table is elsewhere by then.
  copy_gdt(room_at(0));
  test_entry(number) = make_segment(0, 0xfffff, kernel_code_access, flat);
  entry_at(room_at(8 * (first_free_descriptor + number))) = test_entry(number);
  load_gdt(usual.limit, room_at(0));
  changed_address = &entry_at(room_at(8 * (first_free_descriptor + number)));
  changed_entry = make_segment(0, 0xfffff, 0x1b, flat);
  ring_arguments[0] = 0;
  outcome("absent in a moved table", run_in_ring(0, t_iret));
  load_gdt(usual.limit, usual.base);
}

void accessed_bits() {
  for (const u8 access : {0xf0, 0xf2, 0xf4, 0xf6, 0xfa, 0xfe}) {
    test_entry(2) = cell_segment(1, access);
    user_load(test_selector(2, 3));
    const u8 first = access_byte(test_entry(2));
    test_entry(2) = test_entry(2) & ~(u64{accessed_bit} << 40);
    run_in_ring(3, t_call);
    line("accessed: ", hex(access, 2), " loaded ", hex(first, 2), " cleared ",
         hex(access_byte(test_entry(2)), 2));
  }
  // Refused loads set nothing.
  for (const u8 access : {0xf8, 0x92, 0x72}) {
    test_entry(2) = cell_segment(1, access);
    user_load(test_selector(2, 3));
    line("refused: ", hex(access_byte(test_entry(2)), 2));
  }
  test_entry(3) = make_segment(0, 0xfffff, user_code_access, flat);
  ring_arguments[0] = address_of(t_far_target);
  ring_arguments[1] = test_selector(3, 3);
  outcome("far call", run_in_ring(3, t_far_call));
  if (option("limits")) line("  access ", hex(access_byte(test_entry(3)), 2));
}

// A table on a page that the supervisor cannot write either.
void read_only_table() {
  const TableRegister usual = gdt_register();
  copy_gdt(room_at(0));
  load_gdt(usual.limit, room_at(0));
  entry_at(room_at(64)) = cell_segment(1);
  set_cr0(cr0() | cr0_wp);
  volatile u32& page = low[room_at(0) >> 22].entries[room_at(0) / page_bytes % 1024];
  page = page & ~writable;
  set_cr3(directory.address());
  const Trap refused = user_load(test_selector(0, 3));
  line("read-only table: ", refused.frame.vector, ' ', refused.cr2 - room_at(64) < 8);
  if (option("limits")) line("  error ", hex(refused.frame.error));
  page = page | writable;
  set_cr3(directory.address());
  outcome("writable again", user_load(test_selector(0, 3)));
  page = page & ~present;
  set_cr3(directory.address());
  load_gdt(usual.limit, usual.base);
  page = page | present;
  set_cr3(directory.address());
  set_cr0(cr0() & ~cr0_wp);
}

void local_tables() {
  for (const u32 offset : {0u, 3u, 4096u - 12, 4096u - 15}) {
    const u32 table = room_at(offset);
    entry_at(table) = cell_segment(3);
    entry_at(table + 8) = cell_segment(4);
    test_entry(4) = make_segment(table, 15, 0x82, 0);
    asm volatile("lldt %0" : : "r"(test_selector(4)));
    outcome("ldt", user_load(0xf));
    line("  accessed ", hex(access_byte(entry_at(table)), 2), ' ',
         hex(access_byte(entry_at(table + 8)), 2));
    entry_at(table + 8) = cell_segment(5);
    outcome("  rewritten", user_load(0xf));
    outcome("  first entry", user_load(7));
    outcome("  beyond", user_load(0x17));
    // The register keeps base and limit of the table.
    test_entry(4) = make_segment(table + 8, 7, 0x82, 0);
    outcome("  descriptor changed", user_load(7));
    asm volatile("lldt %0" : : "r"(test_selector(4)));
    outcome("  loaded again", user_load(7));
    outcome("  cut", user_load(0xf));
  }
  for (const u16 limit : {0, 6, 7, 8, 14}) {
    test_entry(4) = make_segment(room_at(0), limit, 0x82, 0);
    entry_at(room_at(0)) = cell_segment(6);
    asm volatile("lldt %0" : : "r"(test_selector(4)));
    outcome("ldt with a limit", user_load(7));
    outcome("  of a second entry", user_load(0xf));
  }
  // In pages, and larger than a table can be.
  test_entry(4) = make_segment(room_at(0), 0x1f, 0x82, 8);
  for (unsigned i = 0; i < 8192; ++i) entry_at(room_at(8 * i)) = 0;
  entry_at(room_at(8 * 8191)) = cell_segment(7);
  asm volatile("lldt %0" : : "r"(test_selector(4)));
  outcome("ldt of all entries", user_load(0xffff));
  line("  accessed ", hex(access_byte(entry_at(room_at(8 * 8191))), 2));
  asm volatile("lldt %0" : : "r"(u16{0}));
  outcome("no ldt", user_load(7));
}

// All 8192 entries in use.
void largest_table() {
  const TableRegister usual = gdt_register();
  for (unsigned i = 0; i < 8192; ++i) entry_at(room_at(8 * i)) = 0;
  copy_gdt(room_at(0));
  load_gdt(0xffff, room_at(0));
  outcome("all entries, most empty", user_load(7000 * 8 + 3));
  outcome("  at the end", user_load(0xfffb));
  // What only the kernel may use.
  for (unsigned i = descriptor_count; i < 8192; ++i) {
    entry_at(room_at(8 * i)) = cell_segment(i & 7, 0x92);
  }
  u32 value;
  asm volatile("mov %1, %%fs; mov %%fs:0, %0; mov %2, %%fs"
               : "=r"(value)
               : "r"(8181 * 8), "r"(u32{kernel_data}));
  line("kernel's, all: ", hex(value), " access ", hex(access_byte(entry_at(room_at(8 * 8181))), 2));
  for (const u16 index : {7679, 7680, 8175, 8176, 8177, 8181, 8188, 8191}) {
    outcome("  user", user_load(static_cast<u16>(index * 8 + 3)));
    outcome("  asks", run_in_ring(3, t_ask));
  }
  for (unsigned i = descriptor_count; i < 8192; ++i) entry_at(room_at(8 * i)) = cell_segment(i & 7);
  for (const u16 index : {64, 7679, 7680, 8175, 8176, 8177, 8178, 8180, 8181, 8186, 8188, 8191}) {
    outcome("user's, all", user_load(static_cast<u16>(index * 8 + 3)));
    line("  accessed ", hex(access_byte(entry_at(room_at(8 * index))), 2));
    outcome("  asks", run_in_ring(3, t_ask));
  }
  // Code, a call gate and a TSS in the monitor's places.
  entry_at(room_at(8 * 8176)) = make_segment(0, 0xfffff, user_code_access, flat);
  ring_arguments[0] = address_of(t_far_target);
  ring_arguments[1] = 8176 * 8 + 3;
  outcome("far call at the end", run_in_ring(3, t_far_call));
  entry_at(room_at(8 * 8178)) = make_gate(8176 * 8 + 3, address_of(t_far_target), 0xec);
  ring_arguments[1] = 8178 * 8 + 3;
  outcome("gate at the end", run_in_ring(3, t_far_call));
  entry_at(room_at(8 * 8178)) = make_segment(0x1000, 0x67, 0xeb, 0);
  outcome("busy TSS at the end", run_in_ring(3, t_far_call));
  ring_arguments[0] = 8178 * 8 + 3;
  outcome("  asks", run_in_ring(3, t_ask));
  load_gdt(usual.limit, usual.base);
  outcome("small again", user_load(8181 * 8 + 3));
}

void interrupt_tables() {
  const TableRegister usual = idt_register();
  const u32 gates = usual.base;
  for (const u32 offset : {0u, 5u, 4096u - 0x80 * 8 - 4, 4096u - 0x80 * 8 - 3}) {
    for (unsigned i = 0; i < 256; ++i) {
      entry_at(room_at(offset) + 8 * i) = entry_at(gates + 8 * i);
    }
    load_idt(usual.limit, room_at(offset));
    outcome("idt moved", run_in_ring(3, t_call));
    entry_at(room_at(offset) + 8 * 0x80) = get_gate(0x21);  // DPL 0
    outcome("  rewritten", run_in_ring(3, t_call));
    room[offset + 8 * 0x80 + 5] = 0x6e;
    outcome("  absent", run_in_ring(3, t_call));
    room[offset + 8 * 0x80 + 5] = 0xec;
    outcome("  a call gate", run_in_ring(3, t_call));
  }
  for (const u16 limit : {0x80 * 8 + 7, 0x80 * 8 + 6, 0x80 * 8, 0x80 * 8 - 1}) {
    load_idt(limit, usual.base);
    outcome("idt limit", run_in_ring(3, t_call));
  }
  load_idt(usual.limit, usual.base);
}

void busy_bits() {
  static TaskState second;
  second = task_state();
  test_entry(5) = make_segment(reinterpret_cast<u32>(&second), 103, 0x89, 0);
  asm volatile("ltr %0" : : "r"(test_selector(5)));
  line("busy: old ", hex(access_byte(gdt()[tss_selector / 8]), 2), " new ",
       hex(access_byte(test_entry(5)), 2));
  line("again: ", attempt([] { asm volatile("ltr %0" : : "r"(test_selector(5))); }).frame.error);
  // TR keeps base and limit.
  test_entry(5) = 0;
  outcome("entry gone", run_in_ring(3, t_call));
  second.esp0 -= 0x100;
  const Trap trap = run_in_ring(3, t_call);
  line("stack read at use: ", trap.frame.vector);
  gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), 103, 0x89, 0);
  asm volatile("ltr %0" : : "r"(tss_selector));
  for (const u8 access : {0x81, 0x83, 0x8b, 0x82, 0x92, 0x09, 0x01}) {
    test_entry(5) = make_segment(reinterpret_cast<u32>(&second), 103, access, 0);
    const Trap refused = attempt([] { asm volatile("ltr %0" : : "r"(test_selector(5))); });
    line("ltr of ", hex(access, 2), ": ", refused.frame.vector, ' ', hex(refused.frame.error, 4));
    gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), 103, 0x89, 0);
    asm volatile("ltr %0" : : "r"(tss_selector));
  }
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  moved_tables();
  user_caches();
  kernel_code_segment();
  accessed_bits();
  read_only_table();
  local_tables();
  largest_table();
  interrupt_tables();
  busy_bits();
}
