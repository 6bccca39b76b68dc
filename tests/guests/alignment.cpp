// Alignment checks at ring 3: which misalignments of which instruction raise #AC, and what switches
// the checks off. TCG has none, so most of it is for machines that know them.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "alignment";

namespace {

constexpr u32 always_one = 2, alignment_check = 0x40000, iopl_3 = 0x3000, trap_flag = 0x100;
constexpr u32 cr0_am = 0x40000;
Page buffer;

// Each snippet finds the address to use in ESI and EDI, and ends with INT 80h. Those that use the
// stack put it there first and take it back.
asm(R"asm(
.text
.macro snippet name, code
a_\name: mov a_address, %esi
    mov %esi, %edi
    mov %esp, %ebp
    \code
    mov %ebp, %esp
    int $0x80
.pushsection .rodata
a_name_\@: .asciz "\name"
.popsection
.pushsection .data.snippets, "aw"
.long a_name_\@, a_\name
.popsection
.endm
.pushsection .data.snippets, "aw"
.align 4
a_table:
.popsection
snippet byte,    "movb (%esi), %al"
snippet word,    "movw (%esi), %ax"
snippet long,    "movl (%esi), %eax"
snippet store,   "movl %eax, (%esi)"
snippet storew,  "movw %ax, (%esi)"
snippet add,     "addl %eax, (%esi)"
snippet xchg,    "xchg %eax, (%esi)"
snippet cas8,    "cmpxchg8b (%esi)"
snippet bt,      "xor %edx, %edx; bt %edx, (%esi)"
snippet bound,   "mov $0, %eax; bound %eax, (%esi)"
snippet lds,     "les (%esi), %eax"
snippet ldsw,    "lesw (%esi), %ax"
snippet push,    "lea 4(%esi), %esp; push %eax"
snippet pushw,   "lea 2(%esi), %esp; pushw %ax"
snippet pop,     "mov %esi, %esp; pop %eax"
snippet pusha,   "lea 32(%esi), %esp; pusha"
snippet popa,    "mov %esi, %esp; mov %ebp, %ebx; popa; mov a_stack, %ebp"
snippet enter,   "lea 4(%esi), %esp; mov %ebp, %ecx; enter $0, $0; mov %ecx, %ebp"
snippet pushf,   "lea 4(%esi), %esp; pushf"
snippet call,    "lea 4(%esi), %esp; call 9f; 9:"
snippet movs,    "movsl"
snippet movsw,   "movsw"
snippet lods,    "lodsl"
snippet scas,    "scasw"
snippet sgdt,    "sgdt (%esi)"
snippet smsw,    "smsw (%esi)"
snippet verr,    "verr (%esi)"
snippet fld32,   "flds (%esi); fstp %st(0)"
snippet fld64,   "fldl (%esi); fstp %st(0)"
snippet fld80,   "fldt (%esi); fstp %st(0)"
snippet fist16,  "fldz; fistps (%esi)"
snippet fist64,  "fldz; fistpll (%esi)"
snippet fnstcw,  "fnstcw (%esi)"
snippet fenv,    "fnstenv (%esi)"
snippet movq,    "movq (%esi), %mm0; emms"
snippet movd,    "movd (%esi), %mm0; emms"
snippet leave,   "mov %esi, %ebp; leave; mov a_stack, %ebp"
snippet ret,     "mov %esi, %esp; ret"
snippet lret,    "mov %esi, %esp; lret"
snippet iret,    "mov %esi, %esp; iret"
snippet lcall,   "lea 8(%esi), %esp; lcall $0x23, $a_end"
.pushsection .data.snippets, "aw"
a_table_end:
.popsection
a_end:    mov a_stack, %esp
          int $0x80
.data
.align 4
a_address: .long 0
a_stack:   .long 0
.text
)asm");
;
extern "C" volatile u32 a_address, a_stack;
extern "C" char a_end[];

struct Snippet {
  const char* name;
  const char* code;
};
extern "C" const Snippet a_table[], a_table_end[];
extern "C" char a_long[], a_ret[], a_lret[], a_iret[];

// A bit for each distance from an aligned address at which the snippet raises #AC; 'x' and the
// vector if anything else came but its end.
u32 faulting_distances(const Snippet& snippet, u32 flags) {
  u32 faulting = 0;
  for (u32 distance = 0; distance < 16; ++distance) {
    for (u32 i = 0; i < 128; ++i) buffer.words[i] = 0;
    a_address = buffer.address() + 0x100 + distance;
    u32 volatile* const frame = &memory_at(a_address);  // what a return would pop
    if (snippet.code == a_ret || snippet.code == a_lret || snippet.code == a_iret) {
      frame[0] = reinterpret_cast<u32>(a_end);
      frame[1] = user_code;
      frame[2] = flags;
    }
    const Trap trap = run_in_ring(3, snippet.code, flags);
    if (trap.frame.vector == 17 && trap.frame.error == 0) faulting |= 1u << distance;
    if (trap.frame.vector != 17 && trap.frame.vector != 0x80) {
      line(snippet.name, "+", distance, ": ", trap);
    }
  }
  return faulting;
}

// IOPL 3 as well as 0: a monitor may run the two in different ways.
void every_instruction() {
  for (const Snippet* one = a_table; one != a_table_end; ++one) {
    print(one->name, ":");
    for (const u32 iopl : {0u, iopl_3}) {
      const u32 flags = always_one | interrupt_flag | alignment_check | iopl;
      print(' ', hex(faulting_distances(*one, flags), 4));
    }
    put('\n');
  }
}

Trap load_at_1(unsigned cpl, u32 flags) {
  a_address = buffer.address() + 1;
  return run_in_ring(cpl, a_long, flags);
}

// Only ring 3, only with AC and AM. A kernel with AC set does what it likes.
void switches() {
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    print("at ", cpl, ':');
    for (const bool mask : {false, true}) {
      for (const u32 check : {0u, alignment_check}) {
        set_cr0(mask ? cr0() | cr0_am : cr0() & ~cr0_am);
        const Trap trap = load_at_1(cpl, always_one | check);
        print(' ', trap.frame.vector, trap.frame.eflags & alignment_check ? "+" : "-");
      }
    }
    put('\n');
  }
  set_cr0(cr0() | cr0_am);
}

// The checks come after the segment's and before the page's.
void priorities() {
  a_address = 0x40000001;
  line("where no page is: ", run_in_ring(3, a_long, always_one | alignment_check).frame.vector);
  line("handler's flags: ", hex(flags() & alignment_check, 5));
  const Trap trap = load_at_1(3, always_one | alignment_check);
  line("error ", hex(trap.frame.error), " RF ", hex(trap.frame.eflags & 0x10000, 5));
}

// The kernel's own accesses, with AC left set by the ring 3 program that it serves.
void kernel_with_ac() {
  asm volatile("pushf; orl %0, (%%esp); popf" : : "i"(alignment_check) : "cc", "memory");
  u32 sum = 0;
  for (u32 i = 0; i < 1000; ++i) {
    sum += *reinterpret_cast<volatile u32*>(buffer.address() + 1 + i % 7);
  }
  line("kernel with AC: ", sum == 0, ' ', hex(flags() & alignment_check, 5));
  asm volatile("pushf; andl %0, (%%esp); popf" : : "i"(~alignment_check) : "cc", "memory");
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  a_stack = ring_stack_top(3) - 0x100;
  set_cr0((cr0() | cr0_am) & ~(cr0_em | cr0_ts));
  asm volatile("fninit");
  kernel_with_ac();
  line("without AC: ", load_at_1(3, always_one).frame.vector);
  line("in the kernel: ", load_at_1(0, always_one | alignment_check).frame.vector);
  if (!option("limits")) return;
  switches();
  every_instruction();
  priorities();
}
