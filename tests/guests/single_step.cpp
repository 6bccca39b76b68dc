// TF: where the single-step trap comes, instruction by instruction, in ring 0 and in ring 3: flags
// loaded and stored, shadows, segment loads, far transfers, interrupts and faults on the way,
// repeated strings, HLT, and the instructions that a monitor takes over.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "single_step";

namespace {

constexpr u32 always_one = 2, trap_flag = 0x100, iopl_3 = 0x3000, resume = 0x10000;
constexpr u32 elsewhere = 0x40000000;
constexpr u8 call_gate = 0xec;
constexpr u32 sysenter_cs = 0x174, sysenter_esp = 0x175, sysenter_eip = 0x176;

// Each snippet ends with INT 80h, before which it has to have cleaned up the stack only.
asm(R"(
.text
.set kernel, 1
.set user_mode, 2
.set both, 3
.set exact, 4
.set quiet, 8
.set open_io, 16
.set repeats, 32
.macro snippet name, where, code
t_\name: \code
    int $0x80
.pushsection .rodata
t_name_\@: .asciz "\name"
.popsection
.pushsection .data.snippets, "aw"
.long t_name_\@, t_\name, \where
.popsection
.endm
.pushsection .data.snippets, "aw"
.align 4
t_table:
.popsection
snippet plain,       both,               "nop; inc %eax; nop"
snippet pushf,       both,               "pushf; pop %eax; nop"
snippet popf_keeps,  both,               "pushf; popf; nop; nop"
snippet popf_clears, both,               "pushf; andl $~0x100, (%esp); popf; nop; nop"
snippet popf_sets,   both|quiet,         "pushf; orl $0x100, (%esp); popf; nop; nop"
snippet popfw,       both,               "pushfw; popfw; nop"
snippet iret,        both,               "pushf; push %cs; push $1f; iret; nop; 1: nop"
snippet iret_clears, both,               "pushf; andl $~0x100, (%esp); push %cs; push $1f; iret; nop; 1: nop; nop"
snippet iret_sets,   both|quiet,         "pushf; orl $0x100, (%esp); push %cs; push $1f; iret; nop; 1: nop; nop"
snippet cli_sti,     both|exact|open_io, "cli; nop; sti; nop; nop"
snippet sti_cli,     both|exact|open_io, "cli; sti; cli; nop; sti"
snippet flags,       both,               "stc; cld; cmc; lahf; sahf; clc"
snippet mov_ss,      both|exact,         "mov %ss, %eax; mov %eax, %ss; nop; nop"
snippet pop_ss,      both|exact,         "push %ss; pop %ss; nop; nop"
snippet two_ss,      both|exact,         "mov %ss, %eax; mov %eax, %ss; mov %eax, %ss; nop; nop"
snippet ss_pushf,    both|exact,         "mov %ss, %eax; mov %eax, %ss; pushf; pop %eax; nop"
snippet ss_int,      both|exact,         "mov %ss, %eax; mov %eax, %ss; int $0x90; nop; nop"
snippet lss,         both|exact,         "push %ss; lea 4(%esp), %eax; push %eax; lss (%esp), %esp; nop; nop"
snippet mov_ds,      both,               "mov %ds, %eax; mov %eax, %ds; push %es; pop %es; nop"
snippet mov_gs,      both,               "mov %gs, %eax; mov %eax, %gs; push %fs; pop %fs; nop"
snippet near,        both,               "call 1f; jmp 2f; 1: ret; nop; 2: mov $1f, %eax; jmp *%eax; nop; 1: nop"
snippet conditions,  both,               "xor %eax, %eax; jz 1f; nop; 1: jnz 1f; nop; 1: mov $2, %ecx; 1: loop 1b; jecxz 1f; nop; 1: nop"
snippet lret,        both,               "push %cs; push $1f; lret; nop; 1: nop"
snippet strings,     both|repeats,       "xor %ecx, %ecx; mov %esp, %esi; rep lodsb; mov $3, %ecx; rep lodsb; nop"
snippet compare,     both|repeats,       "mov $4, %ecx; mov %esp, %esi; mov %esp, %edi; repe cmpsb; repne cmpsb; nop"
snippet int_n,       both,               "nop; int $0x90; nop; nop"
snippet int3,        both,               "int3; nop; nop"
snippet int1,        both|exact,         ".byte 0xf1; nop; nop"
snippet into,        both,               "mov $0x7fffffff, %eax; into; inc %eax; into; nop; nop"
snippet ud2,         both,               "nop; ud2; nop; nop"
snippet divide,      both,               "xor %ecx, %ecx; div %ecx; nop; nop"
snippet page_fault,  both,               "nop; movl $1, 0x40000000; nop; nop"
snippet cpuid,       both,               "xor %eax, %eax; cpuid; nop; rdtsc; nop"
snippet x87,         both,               "fld1; fstp %st(0); fwait; nop"
snippet stack,       both,               "pusha; popa; push %ebp; mov %esp, %ebp; leave; enter $8, $0; leave; nop"
snippet locked,      both,               "push $0; lock incl (%esp); xchg %eax, (%esp); pop %eax; nop"
snippet ports,       both|open_io,       "in $0x80, %al; out %al, $0x80; nop; mov $0x80, %edx; in %dx, %al; nop"
snippet hlt,         user_mode,          "nop; hlt; nop; nop"
snippet control,     kernel,             "mov %cr0, %eax; mov %eax, %cr0; mov %cr3, %eax; mov %eax, %cr3; mov %cr4, %eax; mov %eax, %cr4; clts; smsw %eax; lmsw %ax; nop"
snippet debug,       kernel,             "mov %dr7, %eax; mov %eax, %dr7; mov %eax, %dr0; nop"
snippet caches,      kernel,             "wbinvd; invlpg (%esp); nop"
snippet msr,         kernel,             "mov $0x174, %ecx; rdmsr; wrmsr; nop"
snippet tables,      kernel,             "sub $8, %esp; sgdt (%esp); lgdt (%esp); sidt (%esp); lidt (%esp); sldt %ax; lldt %ax; str %ax; verr %ax; lar %ax, %eax; nop; add $8, %esp"
snippet far_call,    user_mode,          "lcall $0x40, $0; nop; nop"
snippet sysenter,    user_mode,          "mov $1f, %edx; mov %esp, %ecx; sysenter; nop; 1: nop"
.pushsection .data.snippets, "aw"
t_table_end:
.popsection
t_gate: nop; lret
)");

// Where a snippet may run, and what it needs.
enum : u8 { kernel = 1, user_mode = 2, both = 3, exact = 4, quiet = 8, open_io = 16, repeats = 32 };
struct Snippet {
  const char* name;
  const char* code;
  u32 where;
};
extern "C" const Snippet t_table[], t_table_end[];
extern "C" char t_pushf[], t_ss_pushf[], t_gate[], sysenter_entry[];

// What came while the present snippet ran.
struct Event {
  u8 vector;
  bool told;  // by DR6
  u32 eip;
};
constexpr u32 single_step_told = 1u << 14;
volatile u32 event_count;
Event events[40];
const char* running;
volatile u32 all_flags, any_flags, any_status;

u32 dr6() {
  u32 value;
  asm volatile("mov %%dr6, %0" : "=r"(value));
  return value;
}
void set_dr6(u32 value) { asm volatile("mov %0, %%dr6" : : "r"(value)); }

void note(u8 vector, u32 eip, u32 status = 0) {
  if (event_count < 40) events[event_count] = {vector, (status & single_step_told) != 0, eip};
  event_count = event_count + 1;
}

void step(TrapFrame& frame) {
  const u32 status = dr6();
  any_status = any_status | status;
  set_dr6(0xffff0ff0);
  all_flags = all_flags & frame.eflags;
  any_flags = any_flags | frame.eflags;
  if (frame.eip == reinterpret_cast<u32>(running)) return;  // a kernel's jump to the snippet
  note(1, frame.eip, status);
  // A system call that keeps TF: no further in the kernel.
  if (frame.eip == reinterpret_cast<u32>(sysenter_entry)) frame.eflags &= ~trap_flag;
}

void interrupted(TrapFrame& frame) { note(static_cast<u8>(frame.vector), frame.eip); }

// #UD and #DE come of instructions of two bytes here, #GP of instructions of one.
void faulted(TrapFrame& frame) {
  note(static_cast<u8>(frame.vector), frame.eip);
  frame.eip += frame.vector == 13 ? 1 : 2;
}

void page_faulted(TrapFrame& frame) {
  note(14, frame.eip);
  directory.entries[elsewhere >> 22] = low[3].address() | all_rights;
  invlpg(elsewhere);
}

void run(const Snippet& snippet, unsigned ring) {
  event_count = 0;
  running = snippet.code;
  all_flags = ~0u;
  any_flags = 0;
  any_status = 0;
  directory.entries[elsewhere >> 22] = 0;
  set_cr3(directory.address());
  const u32 iopl = ring == 3 && (snippet.where & open_io) ? iopl_3 : 0;
  const u32 trap = snippet.where & quiet ? 0 : trap_flag;
  const Trap end = run_in_ring(ring, snippet.code, always_one | interrupt_flag | iopl | trap);
  print(snippet.name, " in ring ", ring, ':');
  const u32 base = reinterpret_cast<u32>(snippet.code);
  for (u32 i = 0; i < event_count && i < 40; ++i) {
    put(' ');
    if (events[i].vector != 1) print('#', events[i].vector);
    if (events[i].vector == 1 && !events[i].told) put('!');  // INT1
    const u32 offset = events[i].eip - base;
    if (offset < 100) {
      print('+', offset);
    } else if (events[i].eip - reinterpret_cast<u32>(t_gate) < 4) {
      print("gate+", events[i].eip - reinterpret_cast<u32>(t_gate));
    } else {
      put(" elsewhere");
    }
  }
  line(" end ", end.frame.vector, '+', end.frame.eip - base);
  if (snippet.code == t_pushf || snippet.code == t_ss_pushf) {
    line("  TF pushed: ", (end.frame.eax & trap_flag) != 0);
  }
  if (event_count == 0) return;
  // Between two iterations of a string instruction RF is to be pushed; Bochs pushes it as 0.
  const bool compares_resume = option("limits") && !(snippet.where & repeats);
  const u32 seen = compares_resume ? resume | trap_flag : trap_flag;
  line("  flags ", hex(all_flags & seen, 5), ' ', hex(any_flags & seen, 5), " dr6 ",
       hex(any_status & 0xe00f, 4));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  set_gate(0x90, get_gate(0x90) | u64{0x60} << 40);
  for (const unsigned vector : {3u, 4u}) set_gate(vector, get_gate(vector) | u64{0x60} << 40);
  gdt()[8] = make_gate(kernel_code, reinterpret_cast<u32>(t_gate), call_gate);
  write_msr(sysenter_cs, kernel_code);
  write_msr(sysenter_esp, task_state().esp0);
  write_msr(sysenter_eip, reinterpret_cast<u32>(sysenter_entry));
  set_cr0(cr0() & ~(cr0_em | cr0_ts));
  asm volatile("fninit");
  set_handler(1, step);
  for (const unsigned vector : {3u, 4u, 0x90u}) set_handler(vector, interrupted);
  for (const unsigned vector : {0u, 6u, 13u}) set_handler(vector, faulted);
  set_handler(14, page_faulted);
  for (const Snippet* one = t_table; one != t_table_end; ++one) {
    const Snippet& snippet = *one;
    if ((snippet.where & exact) && !option("limits")) continue;
    if (snippet.where & kernel) run(snippet, 0);
    if (snippet.where & user_mode) run(snippet, 3);
  }
}
