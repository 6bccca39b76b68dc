// Asking about selectors: LAR, LSL, VERR and VERW for every access byte, in every ring, with every
// RPL; ARPL; SGDT, SIDT, SLDT, STR and SMSW in their forms.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_verify";

namespace {

constexpr unsigned rings = 4;

asm(R"(
.text
// The selector in ring_arguments; AL gets one bit for each of LAR, LSL, VERR and VERW that set ZF,
// EBX LAR's result, ECX LSL's, EDX what is left of registers that must not change.
v_ask:       mov ring_arguments, %esi
             mov $0x5a5a5a5a, %ebx
             mov %ebx, %ecx
             xor %eax, %eax
             lar %esi, %ebx
             jnz 1f
             or $1, %eax
1:           lsl %esi, %ecx
             jnz 1f
             or $2, %eax
1:           verr %si
             jnz 1f
             or $4, %eax
1:           verw %si
             jnz 1f
             or $8, %eax
1:           mov $0x5a5a5a5a, %edx
             lar ring_arguments, %dx
             jnz 1f
             or $16, %eax
1:           int $0x80
// Destination and source in ring_arguments; once in a register, once in memory.
v_arpl:      mov ring_arguments, %ebx
             mov ring_arguments + 4, %ecx
             xor %eax, %eax
             arpl %cx, %bx
             setz %al
             arpl %cx, ring_arguments
             setz %ah
             mov ring_arguments, %edx
             int $0x80
v_jump_task: ljmp *ring_arguments
)");
extern "C" char v_ask[], v_arpl[], v_jump_task[];

u32 mixed;
void mix(u32 value) { mixed = (mixed << 5 | mixed >> 27) ^ value; }

// For each ring and RPL the access bytes that are accessible, as runs, and a sum over all results.
void access_bytes() {
  const char* const names[] = {"lar", "lsl", "verr", "verw", "lar16"};
  for (unsigned ring = 0; ring < rings; ++ring) {
    for (unsigned rpl = 0; rpl < rings; ++rpl) {
      u8 answers[256];
      mixed = 0;
      for (unsigned access = 0; access < 256; ++access) {
        test_entry(0) = make_segment(0x12345678, 0xabcde, static_cast<u8>(access), 0x9);
        ring_arguments[0] = test_selector(0, rpl);
        const Trap trap = run_in_ring(ring, v_ask);
        check(trap.frame.vector == 0x80, "asked");
        answers[access] = static_cast<u8>(trap.frame.eax);
        const u32 defined = (answers[access] & 1) ? 0xfff0ff00 : ~0u;
        mix(trap.frame.ebx & defined);
        mix(trap.frame.ecx);
        mix(trap.frame.edx);
      }
      for (unsigned question = 0; question < 5; ++question) {
        print("ring ", ring, " RPL ", rpl, ' ', names[question], ':');
        for (unsigned from = 0; from < 256; ++from) {
          if (!(answers[from] >> question & 1)) continue;
          unsigned to = from;
          while (to < 255 && (answers[to + 1] >> question & 1)) ++to;
          print(' ', hex(from, 2), '-', hex(to, 2));
          from = to;
        }
        put('\n');
      }
      line("ring ", ring, " RPL ", rpl, " sum ", hex(mixed));
    }
  }
}

void limits_and_tables() {
  const struct {
    const char* name;
    u64 entry;
  } cases[] = {{"bytes", make_segment(0, 0x12345, 0xf2, 0x4)},
               {"pages", make_segment(0, 0x12345, 0xf2, 0xc)},
               {"expand-down", make_segment(0, 0xffff, 0xf6, 0x4)},
               {"all", make_segment(0, 0xfffff, 0xf2, 0xc)},
               {"TSS", make_segment(0x1000, 0x67, 0xe9, 0x0)},
               {"busy TSS", make_segment(0x1000, 0x2067, 0xeb, 0x0)},
               {"TSS in pages", make_segment(0x1000, 0x1, 0xe9, 0x8)},
               {"small TSS", make_segment(0x1000, 0x10, 0xe1, 0x0)},
               {"LDT", make_segment(0x1000, 0xffff, 0xe2, 0x9)},
               {"gate", make_gate(kernel_code, 0x12345678, 0xec, 3)},
               {"task gate", make_gate(tss_selector, 0, 0xe5)}};
  for (const auto& one : cases) {
    test_entry(1) = one.entry;
    ring_arguments[0] = test_selector(1, 3);
    for (const unsigned ring : {0u, 3u}) {
      const Trap trap = run_in_ring(ring, v_ask);
      line(one.name, ", ring ", ring, ": ", hex(trap.frame.eax, 2), ' ',
           hex(trap.frame.ebx & 0xfff0ff00), ' ', hex(trap.frame.ecx), ' ', hex(trap.frame.edx));
    }
  }
  const u16 selectors[] = {0, 1, 3, 4, 7, 0xc, 0x1f8, 0x200, 0x7ff, 0xfff8, 0xffff};
  for (const u16 one : selectors) {
    ring_arguments[0] = one;
    for (const unsigned ring : {0u, 3u}) {
      const Trap trap = run_in_ring(ring, v_ask);
      line("selector ", hex(one, 4), ", ring ", ring, ": ", hex(trap.frame.eax, 2));
    }
  }
}

void adjusted_levels() {
  for (unsigned ring = 0; ring < rings; ++ring) {
    print("arpl in ring ", ring, ':');
    for (unsigned both = 0; both < 16; ++both) {
      ring_arguments[0] = 0xabcd1230 | both >> 2;
      ring_arguments[1] = 0x4560 | (both & 3);
      const Trap trap = run_in_ring(ring, v_arpl);
      print(' ', hex(trap.frame.eax, 3), '/', hex(trap.frame.ebx), '/', hex(trap.frame.edx));
    }
    put('\n');
  }
}

// Pages that cannot be written: ARPL asks for the right to write in any case.
void arpl_of_a_read_only_page() {
  static Page page;
  volatile u32& entry = low[page.address() >> 22].entries[page.address() / page_bytes % 1024];
  page.words[0] = 3;
  set_cr0(cr0() | cr0_wp);
  entry = entry & ~writable;
  set_cr3(directory.address());
  const u32 base = page.address();
  for (const u16 source : {u16{0}, u16{3}}) {
    const Trap trap = attempt([=] { asm volatile("arpl %0, (%1)" : : "r"(source), "r"(base)); });
    line("arpl of a read-only page: ", trap.frame.vector, ' ',
         trap.happened() ? trap.cr2 - base : 0);
  }
  entry = entry | writable;
  set_cr3(directory.address());
  set_cr0(cr0() & ~cr0_wp);
}

void stored_registers() {
  static u64 local_table[4];
  test_entry(2) = make_segment(reinterpret_cast<u32>(local_table), sizeof local_table - 1, 0x82, 0);
  asm volatile("lldt %0" : : "r"(test_selector(2)));
  u32 words[4] = {~0u, ~0u, ~0u, ~0u};
  asm volatile("sldt %0; str 4+%0" : "=m"(words[0]) : : "memory");
  asm volatile("smsw %0" : "=m"(words[2]) : : "memory");
  line("to memory: ", hex(words[0]), ' ', hex(words[1]), ' ', hex(words[2] | 0x30), ' ',
       hex(words[3]));
  u32 value = ~0u;
  asm volatile("sldt %w0" : "+r"(value));
  line("sldt to 16 bits: ", hex(value));
  asm volatile("sldt %k0" : "+r"(value));
  line("sldt to 32 bits: ", hex(value));
  value = ~0u;
  asm volatile("str %w0" : "+r"(value));
  line("str to 16 bits: ", hex(value));
  asm volatile("str %k0" : "+r"(value));
  line("str to 32 bits: ", hex(value));
  value = ~0u;
  asm volatile("smsw %w0" : "+r"(value));
  line("smsw to 16 bits: ", hex(value | 0x30));
  asm volatile("smsw %k0" : "+r"(value));
  line("smsw is cr0: ", value == cr0());
  struct [[gnu::packed]] {
    u16 limit;
    u32 base, beyond;
  } table = {0, 0, 0x5a5a5a5a};
  asm volatile("sgdt %0" : "=m"(table) : : "memory");
  line("sgdt: ", hex(table.limit, 4), ' ', table.base == reinterpret_cast<u32>(gdt()), ' ',
       hex(table.beyond));
  const u32 base = table.base;
  asm volatile("sidt %0" : "=m"(table) : : "memory");
  line("sidt: ", hex(table.limit, 4), ' ', table.base != base, ' ', hex(table.beyond));
  // With 16-bit operands all of the base is stored, but only 24 bits are loaded.
  table.base = 0;
  asm volatile(".byte 0x66; sgdt %0" : "=m"(table) : : "memory");
  line("sgdt with 16-bit operands: ", table.base == base);
  const u32 high = table.base | 0x5a000000;
  table.base = high;
  asm volatile(".byte 0x66; lgdt %0" : : "m"(table) : "memory");
  asm volatile("sgdt %0" : "=m"(table) : : "memory");
  line("lgdt with 16-bit operands: ", table.base == base);
  asm volatile("lldt %0" : : "r"(u16{0}));
}

// A jump of user code to a TSS that it may use, and to one that is busy.
void tasks_of_user_code() {
  const u16 target = test_selector(3, 3);
  const struct {
    const char* name;
    u64 entry;
  } cases[] = {{"busy", make_segment(0x1000, 0x67, 0xeb, 0)},
               {"too small", make_segment(0x1000, 0x66, 0xe9, 0)},
               {"absent", make_segment(0x1000, 0x67, 0x69, 0)},
               {"of ring 2", make_segment(0x1000, 0x67, 0xc9, 0)},
               {"nowhere", make_segment(0xf0001000, 0x67, 0xe9, 0)}};
  for (const auto& one : cases) {
    test_entry(3) = one.entry;
    ring_arguments[0] = 0;
    ring_arguments[1] = target;
    const Trap trap = run_in_ring(3, v_jump_task);  // which field of the TSS is read first is open
    line("jump to a TSS ", one.name, ": ", trap.frame.vector, ' ', hex(trap.frame.error), ' ',
         hex(trap.frame.vector == 14 ? trap.cr2 >> 12 : 0), " access ",
         hex(access_byte(test_entry(3)), 2));
  }
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  access_bytes();
  limits_and_tables();
  adjusted_levels();
  arpl_of_a_read_only_page();
  stored_registers();
  tasks_of_user_code();
}
