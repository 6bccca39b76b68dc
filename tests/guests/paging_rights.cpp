// Which accesses an instruction makes, as the page tables see them: accessed and dirty bits and
// error codes of reads, writes, read-modify-writes, stacks, strings and fetches in rings 0, 1 and
// 3, and of what the processor reads for itself: GDT and IDT.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "paging_rights";

namespace {

constexpr u32 window = 0x40000000, second = window + page_bytes;
PageTable test_table;
Page frame_a, frame_b;
bool exact;  // the word "exact": also what TCG does not do

char mark(u32 entry) {
  return static_cast<char>('0' + (entry & accessed ? 1 : 0) + (entry & dirty ? 2 : 0));
}
void map(u32 first_rights, u32 second_rights, u32 directory_rights = all_rights) {
  directory.entries[window >> 22] = test_table.address() | directory_rights;
  test_table.entries[0] = frame_a.address() | first_rights;
  test_table.entries[1] = frame_b.address() | second_rights;
  set_cr3(directory.address());
}

// Each ends in INT 80h; EDI is an address in the first page, EBP in the second, or near its end.
asm(R"(
.text
r_read:     mov (%edi), %eax
            int $0x80
r_write:    mov %eax, (%edi)
            int $0x80
r_modify:   addl $1, (%edi)
            int $0x80
r_xchg:     xchg %eax, (%edi)
            int $0x80
r_failing:  mov $0x12345, %eax
            lock cmpxchg %ecx, (%edi)
            int $0x80
r_test:     testl $1, (%edi)
            int $0x80
r_bts:      bts %ecx, (%edi)
            int $0x80
r_bt:       bt %ecx, (%edi)
            int $0x80
r_set:      setz (%edi)
            int $0x80
r_push:     lea 4(%edi), %esp
            push %eax
            int $0x80
r_pop:      mov %edi, %esp
            pop %eax
            int $0x80
r_pop_mem:  push %eax
            pop (%edi)
            int $0x80
r_call:     lea 4(%edi), %esp
            call 1f
1:          int $0x80
r_leave:    mov %edi, %ebp
            leave
            int $0x80
r_movs:     mov %edi, %esi
            lea 0x1000(%edi), %edi
            movsl
            int $0x80
r_rep:      mov %edi, %esi
            lea 0xf00(%edi), %edi
            mov $0x80, %ecx
            rep movsl
            int $0x80
r_cmps:     mov %edi, %esi
            lea 0x1000(%edi), %edi
            cmpsl
            int $0x80
r_none:     mov %edi, %esi
            xor %ecx, %ecx
            rep movsl
            int $0x80
r_across:   mov %eax, 0xffe(%edi)
            int $0x80
r_over:     mov 0xffe(%edi), %eax
            int $0x80
r_fetch:    jmp *%edi
r_fetch_on: lea 0xffe(%edi), %eax
            jmp *%eax
)");
extern "C" char r_read[], r_write[], r_modify[], r_xchg[], r_failing[], r_test[], r_bts[], r_bt[],
    r_set[], r_push[], r_pop[], r_pop_mem[], r_call[], r_leave[], r_movs[], r_rep[], r_cmps[],
    r_none[], r_across[], r_over[], r_fetch[], r_fetch_on[];
Page ring_stack;

struct Case {
  const char* name;
  const char* code;
  bool modifies;  // TCG leaves W out of the error code, unless the page can be read
};
const Case cases[] = {
    {"read", r_read, false},      {"write", r_write, false},
    {"add", r_modify, true},      {"xchg", r_xchg, true},
    {"cmpxchg", r_failing, true}, {"test", r_test, false},
    {"bts", r_bts, true},         {"bt", r_bt, false},
    {"set", r_set, false},        {"push", r_push, false},
    {"pop", r_pop, false},        {"pop to", r_pop_mem, false},
    {"call", r_call, false},      {"leave", r_leave, false},
    {"movs", r_movs, false},      {"rep movs", r_rep, false},
    {"cmps", r_cmps, false},      {"rep of 0", r_none, false},
    {"across", r_across, false},  {"over", r_over, false},
    {"fetch", r_fetch, false},    {"fetch on", r_fetch_on, false},
};

asm(R"(
.text
r_stub:     mov $0x40000000, %edi
            xor %ecx, %ecx
            .byte 0xe9
r_stub_to:  .long 0
)");
extern "C" char r_stub[];
extern "C" u32 r_stub_to;

Trap in_ring(u32 ring, const char* code, u32 flags = interrupt_flag) {
  r_stub_to = reinterpret_cast<u32>(code) - (reinterpret_cast<u32>(&r_stub_to) + 4);
  UserState state;
  state.eip = address_of(r_stub);
  state.eflags = 2 | flags;
  state.esp = ring_stack.address() + 0x800;
  state.cs = ring_code(ring);
  state.ss = state.ds = state.es = state.fs = state.gs = ring_data(ring);
  return run_user(state);
}

// In ring 0 the stack need not change: the trap comes on it only if it is a good one, so only what
// leaves ESP alone is run there.
Trap in_ring_0(const char* code) {
  return attempt([=] {
    asm volatile("call *%0" : : "r"(code), "D"(window), "c"(0) : "eax", "esi", "memory");
  });
}

bool uses_stack(const char* code) {
  return code == r_push || code == r_pop || code == r_call || code == r_leave;
}

void put_outcome(const Trap& trap, bool modifies) {
  if (trap.frame.vector == 0x80) {
    print(" .", mark(test_table.entries[0]), mark(test_table.entries[1]));
  } else if (trap.frame.vector == 14) {
    const bool hidden = modifies && !exact;
    print(" ", hidden ? trap.frame.error & ~2u : trap.frame.error, '@', hex(trap.cr2 - window, 4));
  } else {
    print(" v", trap.frame.vector);
  }
}

void accesses() {
  line("for rings 0, 1 and 3 and first page writable, read-only, kernel's, not present:");
  line("A + 2 D of both pages, or error code and address");
  constexpr u32 rights[] = {all_rights, present | user, present | writable, 0};
  for (const Case& one : cases) {
    print(one.name, ':');
    for (const u32 ring : {0u, 1u, 3u}) {
      if (ring == 0 && uses_stack(one.code)) continue;
      for (const u32 right : rights) {
        map(right, all_rights);
        frame_a.words[0] = 0x80cd80cd;     // INT 80h, for what is fetched
        frame_a.words[1023] = 0x05c70000;  // MOV [disp32], imm32, cut by the page's end
        frame_b.words[0] = 0x40001100;
        frame_b.words[1] = 7;
        *reinterpret_cast<volatile u16*>(frame_b.address() + 8) = 0x80cd;
        put_outcome(ring == 0 ? in_ring_0(one.code) : in_ring(ring, one.code), one.modifies);
      }
    }
    line();
  }
}

// The second page is the one that refuses: nothing has happened to the first.
void second_page_refuses() {
  line("second page read-only, kernel's, not present:");
  for (const Case& one : cases) {
    if (one.code != r_movs && one.code != r_rep && one.code != r_cmps && one.code != r_across &&
        one.code != r_over && one.code != r_fetch_on)
      continue;
    print(one.name, ':');
    for (const u32 right : {present | user, present | writable, 0u}) {
      map(all_rights, right);
      frame_a.words[1023] = 0x05c70000;
      frame_b.words[0] = 0x40001100;
      frame_b.words[1] = 7;
      *reinterpret_cast<volatile u16*>(frame_b.address() + 8) = 0x80cd;
      const u32 before = frame_a.words[1023];
      put_outcome(in_ring(3, one.code), false);
      if (frame_a.words[1023] != before) put('!');
    }
    line();
  }
}

struct [[gnu::packed]] TableAddress {
  u16 limit;
  u32 base;
};
TableAddress stored(bool interrupts) {
  TableAddress address{};
  if (interrupts)
    asm volatile("sidt %0" : "=m"(address));
  else
    asm volatile("sgdt %0" : "=m"(address));
  return address;
}
void load_table(bool interrupts, const TableAddress& address) {
  if (interrupts)
    asm volatile("lidt %0" : : "m"(address));
  else
    asm volatile("lgdt %0" : : "m"(address));
}

// The table copied so that entries from `cut` on stand in the second page.
TableAddress moved(bool interrupts, u32 cut) {
  const TableAddress from = stored(interrupts);
  const u32 offset = page_bytes - cut * 8;
  for (u32 i = 0; i < (from.limit + 1u) / 4; ++i) {
    const u32 at = offset / 4 + i;
    volatile u32& to = at < 1024 ? frame_a.words[at] : frame_b.words[at - 1024];
    to = memory_at(from.base + 4 * i);
  }
  return {from.limit, window + offset};
}

asm(R"(
.text
r_int:      int $0x80
r_load_ds:  mov $0x6b, %eax
            mov %eax, %ds
            int $0x80
)");
extern "C" char r_int[], r_load_ds[];

// Which of the entry's bytes the processor writes to set the accessed bit is its choice.
void put_marks(const char* name, Trap trap, bool with_marks = true) {
  trap.cr2 &= ~7u;
  print(name, trap);
  if (with_marks) print(" marks ", mark(test_table.entries[0]), mark(test_table.entries[1]));
  line();
}

// The processor's own accesses are a supervisor's, whatever the ring.
void descriptor_tables() {
  map(present | writable, present | writable);
  const TableAddress old_idt = stored(true), old_gdt = stored(false);
  load_table(true, moved(true, 0x80));
  map(present | writable, present);
  put_marks("IDT, read-only: ", in_ring(3, r_int));
  map(present | writable, 0);
  put_marks("IDT, second page gone: ", in_ring(3, r_int));
  map(present | writable, present | writable, present);
  put_marks("IDT, kernel's by its directory: ", in_ring(3, r_int));
  map(present | writable, present | writable);
  load_table(true, old_idt);

  constexpr u32 tested = 13;  // selector 6bh
  for (const u8 access : {u8{0xf2}, u8{0xf3}}) {
    gdt()[tested] = make_segment(0, 0xfffff, access, 0xc);
    const auto load_copied_gdt = [&] {
      map(present | writable, present | writable);
      load_table(false, old_gdt);
      load_table(false, moved(false, 12));
    };
    print(access & 1 ? "accessed" : "not accessed");
    line();
    for (const u32 right : {present | writable, present, 0u}) {
      load_copied_gdt();
      map(present | writable, right);
      put_marks("  GDT: ", in_ring(3, r_load_ds, 0));
      load_copied_gdt();
      map(present | writable, right);
      // With IF set user code runs on the processor, and the table's pages are marked at other
      // times.
      put_marks("  likewise: ", in_ring(3, r_load_ds), false);
    }
    set_cr0(cr0() & ~cr0_wp);
    load_copied_gdt();
    map(present | writable, present);
    put_marks("  WP clear: ", in_ring(3, r_load_ds, 0));
    set_cr0(cr0() | cr0_wp);
    map(present | writable, present | writable);
    load_table(false, old_gdt);
  }
}

}  // namespace

void test() {
  exact = option("exact");
  map_low_memory();
  enable_paging();
  set_cr0(cr0() | cr0_wp);
  prepare_rings();
  accesses();
  second_page_refuses();
  descriptor_tables();
}
