// At which instruction boundary an interrupt that waits is taken: behind each way to set IF, with
// each kind of instruction in the shadow that STI casts, in ring 0 and in ring 3, together with a
// single-step trap, within a string instruction, and out of HLT.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "boundaries";

namespace {

constexpr u32 always_one = 2, iopl_3 = 0x3000, trap_flag = 0x100;
constexpr unsigned timer_vector = 0x20;

// Every snippet runs with IF = 0 and the tick waiting, and ends with INT 80h.
asm(R"(
.text
.set kernel, 1
.set both, 3
.set exact, 4
.macro snippet name, where, code
n_\name: \code
    nop
    nop
    nop
    int $0x80
.pushsection .rodata
n_name_\@: .asciz "\name"
.popsection
.pushsection .data.snippets, "aw"
.long n_name_\@, n_\name, \where
.popsection
.endm
.pushsection .data.snippets, "aw"
.align 4
n_table:
.popsection
snippet sti,          both,       "sti"
snippet sti_sti,      both,       "sti; sti"
snippet sti_cli,      both,       "sti; cli"
snippet sti_nop_cli,  both,       "sti; nop; cli"
snippet sti_popf,     both,       "pushl $2; sti; popf"
snippet sti_pushf,    both,       "sti; pushf; pop %eax"
snippet sti_call,     both,       "sti; call 1f; 1: pop %eax"
snippet sti_ret,      both,       "push $1f; sti; ret; nop; 1: nop"
snippet sti_jump,     both,       "sti; jmp 1f; nop; 1: nop"
snippet sti_branch,   both|exact, "xor %eax, %eax; sti; jz 1f; nop; 1: nop"
snippet sti_indirect, both,       "mov $1f, %eax; sti; jmp *%eax; nop; 1: nop"
snippet sti_loop,     both|exact, "mov $3, %ecx; sti; 1: loop 1b"
snippet sti_int,      both,       "sti; int $0x90; nop"
snippet sti_iret,     both,       "pushl $2; push %cs; push $1f; sti; iret; nop; 1: nop"
snippet sti_lret,     both,       "push %cs; push $1f; sti; lret; nop; 1: nop"
snippet sti_segment,  both,       "mov %ds, %eax; sti; mov %eax, %ds; nop"
snippet sti_cpuid,    both,       "xor %eax, %eax; sti; cpuid; nop"
snippet sti_out,      both,       "sti; out %al, $0x80; nop"
snippet sti_memory,   both,       "sti; incl n_cell; nop"
snippet sti_fault,    both,       "sti; ud2; nop"
snippet sti_nothing,  both,       "xor %ecx, %ecx; mov $n_cell, %esi; sti; rep lodsb; nop"
snippet string,       both|exact,       "mov $50000, %ecx; mov $0x100000, %esi; sti; nop; rep lodsb; nop"
snippet popf,         both,       "pushl $0x3202; popf"
snippet popfw,        both,       "pushw $0x3202; popfw"
snippet popf_popf,    both,       "pushl $2; pushl $0x3202; popf; popf"
snippet iret,         both,       "pushl $0x3202; push %cs; push $1f; iret; nop; 1: nop"
snippet mov_ss,       both|exact, "mov %ss, %eax; mov %eax, %ss; sti; nop"
snippet popf_ss,      both,       "mov %ss, %eax; pushl $0x3202; mov %eax, %ss; popf; nop"
snippet x87,          both,       "sti; fnop; nop"
snippet sti_cr0,      kernel,     "mov %cr0, %eax; sti; mov %eax, %cr0; nop"
snippet sti_cr3,      kernel,     "mov %cr3, %eax; sti; mov %eax, %cr3; nop"
snippet sti_invlpg,   kernel,     "sti; invlpg n_cell; nop"
snippet sti_lidt,     kernel,     "sub $8, %esp; sidt (%esp); sti; lidt (%esp); nop; add $8, %esp"
snippet sti_hlt,      kernel,     "sti; hlt; nop"
snippet popf_hlt,     kernel,     "pushl $0x202; popf; nop; nop"
.pushsection .data.snippets, "aw"
n_table_end:
.popsection
.data
.align 4
n_cell: .long 0
.text
)");

// exact: TCG takes the tick elsewhere.
enum : u8 { kernel = 1, both = 3, exact = 4 };
struct Snippet {
  const char* name;
  const char* code;
  u32 where;
};
extern "C" const Snippet n_table[], n_table_end[];
extern "C" char n_sti[], n_popf[], n_mov_ss[];

struct Event {
  u8 vector;
  u32 eip;
};
volatile u32 event_count;
Event events[16];
volatile u32 ticks;

void note(TrapFrame& frame) {
  if (event_count < 16) events[event_count] = {static_cast<u8>(frame.vector), frame.eip};
  event_count = event_count + 1;
}
void tick(TrapFrame& frame) {
  ticks = ticks + 1;
  note(frame);
  out8(0x20, 0x20);
}
void skip_two(TrapFrame& frame) {
  note(frame);
  frame.eip += 2;
}

u8 requested() {
  out8(0x20, 0x0a);
  return in8(0x20);
}
void make_tick_pending() {
  out8(0x43, 0x30);  // mode 0: once
  out8(0x40, 100);
  out8(0x40, 0);
  while (!(requested() & 1)) {
  }
}

void run(const Snippet& snippet, unsigned ring, bool steps) {
  ticks = 0;
  event_count = 0;
  make_tick_pending();
  const u32 flags = always_one | (ring == 3 ? iopl_3 : 0) | (steps ? trap_flag : 0);
  const Trap end = run_in_ring(ring, snippet.code, flags);
  const u32 base = reinterpret_cast<u32>(snippet.code);
  print(snippet.name, " in ring ", ring, ':');
  for (u32 i = 0; i < event_count && i < 16; ++i) {
    print(' ', events[i].vector == timer_vector ? "tick" : "#");
    if (events[i].vector != timer_vector) print(events[i].vector);
    print('+', events[i].eip - base);
  }
  line(" end ", end.frame.vector, '+', end.frame.eip - base, " IF ",
       (end.frame.eflags & interrupt_flag) != 0);
}

// With a tick waiting at the boundary of a step: the trap is first, the tick behind its handler.
void with_single_steps() {
  set_handler(1, note);
  for (const unsigned ring : {0u, 3u}) {
    for (const Snippet* one = n_table; one != n_table_end; ++one) {
      const Snippet& snippet = *one;
      if (snippet.code == n_sti || snippet.code == n_popf || snippet.code == n_mov_ss) {
        run(snippet, ring, true);
      }
    }
  }
  set_handler(1, nullptr);
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  initialise_8259s(1);
  set_gate(0x90, get_gate(0x90) | u64{0x60} << 40);
  set_handler(timer_vector, tick);
  set_handler(0x90, note);
  set_handler(6, skip_two);
  set_cr0(cr0() & ~(cr0_em | cr0_ts));
  asm volatile("fninit");
  for (const Snippet* one = n_table; one != n_table_end; ++one) {
    const Snippet& snippet = *one;
    if ((snippet.where & exact) && !option("limits")) continue;
    run(snippet, 0, false);
    if ((snippet.where & both) == both) run(snippet, 3, false);
  }
  if (option("limits")) with_single_steps();
}
