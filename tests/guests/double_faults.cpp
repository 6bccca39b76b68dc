// Faults on the way to a handler: each kind of exception whose gate, code segment or stack is
// broken in each way, in ring 0 and from ring 3; what is delivered instead, and when it is a double
// fault. A word on the command line asks for a triple fault instead.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "double_faults";

namespace {

constexpr u32 always_one = 2;
constexpr u32 nowhere = 0x40000000;
// Descriptors that do not work.
constexpr unsigned first_broken = first_free_descriptor + 8;
constexpr u16 absent_code = first_broken * 8, absent_stack = absent_code + 8,
              short_stack = absent_code + 16, read_only = absent_code + 24,
              absent_data = absent_code + 32, beyond_table = 0x1f8;

asm(R"(
.text
d_divide:    xor %ecx, %ecx
             div %ecx
d_bound:     bound %eax, d_range
d_ud2:       ud2
d_device:    fnop
d_segment:   mov $0x1fb, %eax
             mov %eax, %fs
d_absent:    mov $0xa3, %eax
             mov %eax, %fs
d_page:      mov 0x40000000, %eax
d_overflow:  mov $0x7fffffff, %eax
             inc %eax
             into
d_int3:      int3
d_int:       int $0x90

# Handlers in ring 1, for when the stack of ring 0 is broken: they mend it and tell ring 0 of the
# vector in EAX and the error code in EBX. 16 bytes for each vector from 8 on.
.align 16
d_inner:
.set vector, 8
.rept 7
             pushl $vector
             jmp 1f
.align 16
.set vector, vector + 1
.endr
1:           pop %eax
             pop %ebx
             mov d_task, %ecx
             mov d_esp0, %edx
             mov %edx, 4(%ecx)
             mov d_ss0, %edx
             mov %edx, 8(%ecx)
             int $0x80
.data
.align 4
d_range:     .long 0, 0
d_task:      .long 0
d_esp0:      .long 0
d_ss0:       .long 0
.text
)");
extern "C" char d_divide[], d_bound[], d_ud2[], d_device[], d_segment[], d_absent[], d_page[],
    d_overflow[], d_int3[], d_int[], d_inner[];
extern "C" volatile u32 d_task, d_esp0, d_ss0;

// What raises the first exception.
struct Cause {
  const char* name;
  const char* code;
  unsigned vector;
};
const Cause causes[] = {
    {"#DE", d_divide, 0}, {"#BP", d_int3, 3},   {"#OF", d_overflow, 4}, {"#BR", d_bound, 5},
    {"#UD", d_ud2, 6},    {"#NM", d_device, 7}, {"#NP", d_absent, 11},  {"#GP", d_segment, 13},
    {"#PF", d_page, 14},  {"INT", d_int, 0x90},
};

// Vector, error code, and of CR2 only whose address it is. TCG forgets the EXT bit.
void report(const Trap& trap) {
  const bool inner = trap.frame.vector == 0x80;
  const u32 vector = inner ? trap.frame.eax : trap.frame.vector;
  const u32 error = inner ? trap.frame.ebx : trap.frame.error;
  print(' ', vector, '(', hex(option("limits") ? error : error & ~1u, 3), ')');
  if (vector == 14 || vector == 8) print('@', hex(trap.cr2 >> 28, 1));
}

u64 open(u64 gate) { return gate | u64{0x60} << 40; }

// The gate of the cause's handler, or the segment that it names, broken in each way.
void gates(unsigned ring) {
  for (const Cause& cause : causes) {
    const u64 saved = get_gate(cause.vector);
    const u32 handler = static_cast<u32>(saved & 0xffff) | static_cast<u32>(saved >> 48 << 16);
    print(cause.name, " from ring ", ring, ':');
    const u64 broken[] = {
        open(saved & ~(u64{0x80} << 40)),      0,
        make_gate(absent_code, handler, 0xee), make_gate(0, handler, 0xee),
        make_gate(kernel_data, handler, 0xee), make_gate(beyond_table, handler, 0xee),
        make_gate(user_code, handler, 0xee),   make_gate(kernel_code, handler, 0xec)};
    for (const u64 gate : broken) {
      // A handler in ring 3 is an outer level for ring 0 only.
      if (gate == broken[6] && ring == 3) continue;
      set_gate(cause.vector, gate);
      set_cr0(cr0() | cr0_ts);
      report(run_in_ring(ring, cause.code, always_one));
    }
    set_gate(cause.vector, saved);
    put('\n');
  }
}

// The stack that the TSS gives for ring 0, broken; what follows is handled in ring 1.
void stacks() {
  d_task = reinterpret_cast<u32>(&task_state());
  d_esp0 = task_state().esp0;
  d_ss0 = task_state().ss0;
  const auto with = [](const char* name, u32 esp0, u32 ss0) {
    print("stack ", name, ':');
    for (const Cause& cause : causes) {
      u64 saved[7];
      for (unsigned vector = 8; vector < 15; ++vector) {
        saved[vector - 8] = get_gate(vector);
        if (vector == 9 || vector == cause.vector) continue;
        const u32 handler = reinterpret_cast<u32>(d_inner) + 16 * (vector - 8);
        set_gate(vector, make_gate(ring_code(1), handler, 0x8e));
      }
      set_gate(cause.vector, open(get_gate(cause.vector)));
      set_cr0(cr0() | cr0_ts);
      task_state().esp0 = esp0;
      task_state().ss0 = ss0;
      report(run_in_ring(3, cause.code, always_one));
      for (unsigned vector = 8; vector < 15; ++vector) set_gate(vector, saved[vector - 8]);
    }
    put('\n');
  };
  with("null", d_esp0, 0);
  with("of ring 3", d_esp0, user_data);
  with("with RPL 3", d_esp0, kernel_data | 3);
  with("of code", d_esp0, kernel_code);
  with("beyond the table", d_esp0, beyond_table);
  with("read-only", d_esp0, read_only);
  with("on no page", nowhere + 0x1000, d_ss0);
  if (option("limits")) {
    with("not present", d_esp0, absent_stack);
    with("too short", d_esp0, short_stack);
  }
}

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};

// An IDT whose second page is not there, and one that is too short.
Page tables[2];
void broken_table() {
  TableRegister old;
  asm volatile("sidt %0" : "=m"(old));
  const TableRegister split{0x7ff, tables[1].address() - 32 * 8};
  for (u32 i = 0; i < 0x100; ++i) {
    *reinterpret_cast<u64*>(split.base + 8 * i) = get_gate(i);
  }
  const TableRegister short_table{0x80 * 8 + 6, old.base};
  for (const unsigned ring : {0u, 3u}) {
    volatile u32& entry = low[0].entries[tables[1].address() / page_bytes];
    entry = entry & ~present;
    invlpg(tables[1].address());
    asm volatile("lidt %0" : : "m"(split));
    const Trap absent = run_in_ring(ring, d_int, always_one);
    asm volatile("lidt %0" : : "m"(short_table));
    const Trap beyond = run_in_ring(ring, d_int, always_one);
    const Trap cut = attempt([] { asm volatile("int $0x80"); });
    asm volatile("lidt %0" : : "m"(old));
    entry = entry | present;
    print("table from ring ", ring, ':');
    report(absent);
    line(" at ", absent.cr2 == split.base + 8 * 0x90);
    print(" beyond it:");
    report(beyond);
    report(cut);
    put('\n');
  }
}

// One more fault, and the processor shuts down: a word says how.
void triple_faults() {
  if (option("no-table")) {
    const TableRegister none{0, 0};
    line("no table at all");
    asm volatile("lidt %0; int3" : : "m"(none));
  }
  if (option("no-page")) {
    const TableRegister there{0x7ff, nowhere};
    line("a table on no page");
    asm volatile("lidt %0; ud2" : : "m"(there));
  }
  if (option("no-gate")) {
    line("no gate for the double fault");
    set_gate(8, 0);
    set_gate(13, 0);
    set_gate(0x90, 0);
    asm volatile("int $0x90" : : : "memory");
  }
  if (option("no-stack")) {
    line("no stack of ring 0");
    task_state().esp0 = nowhere + 0x1000;
    run_in_ring(3, d_ud2, always_one);
  }
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  gdt()[absent_code / 8] = make_segment(0, 0xfffff, 0x1b, 0xc);
  gdt()[absent_stack / 8] = make_segment(0, 0xfffff, 0x13, 0xc);
  gdt()[short_stack / 8] = make_segment(0, 0xff, 0x93, 0x4);
  gdt()[read_only / 8] = make_segment(0, 0xfffff, 0x91, 0xc);
  gdt()[absent_data / 8] = make_segment(0, 0xfffff, 0x73, 0xc);
  triple_faults();
  gates(0);
  gates(3);
  stacks();
  broken_table();
}
