// x87, MMX and SSE where a monitor has to help: in each ring, in 16-bit code, in virtual-8086 mode,
// single-stepped, through each segment register; on device memory, memory that is not there, ROM
// and page tables in use; with operands that fault half way.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "fpu_anywhere";

namespace {

constexpr u32 v86_code = 0x20000, v86_data = 0x30000;
constexpr u32 iopl_3 = 0x3000, trap_flag = 0x100;

// One of everything on a block of data, whose other words it fills. Ends by INT 80h.
asm(R"(
.macro exercise base, seg=
  fninit
  fildl \seg\()(\base)
  fildl \seg\()4(\base)
  fmulp
  fistl \seg\()8(\base)
  fstpl \seg\()16(\base)
  fldl \seg\()16(\base)
  fistps \seg\()24(\base)
  fildll \seg\()16(\base)
  fbstp \seg\()32(\base)
  fld1
  fldpi
  fcomi %st(1)
  fcmovnbe %st(1), %st
  fstpt \seg\()48(\base)
  fstps \seg\()28(\base)
  movq \seg\()16(\base), %mm0
  paddd \seg\()(\base), %mm0
  movq %mm0, \seg\()64(\base)
  movd %mm0, %ecx
  movd \seg\()4(\base), %mm1
  pmovmskb %mm0, %edx
  pinsrw $2, \seg\()8(\base), %mm1
  movntq %mm1, \seg\()72(\base)
  emms
  cvtsi2ss \seg\()(\base), %xmm0
  addss \seg\()28(\base), %xmm0
  movss %xmm0, \seg\()80(\base)
  movups \seg\()64(\base), %xmm1
  shufps $0x1b, \seg\()(\base), %xmm1
  movaps %xmm1, \seg\()96(\base)
  movlps %xmm1, \seg\()112(\base)
  movhps \seg\()112(\base), %xmm1
  ucomiss \seg\()28(\base), %xmm0
  setc \seg\()120(\base)
  cvttss2si \seg\()80(\base), %esi
  stmxcsr \seg\()84(\base)
  ldmxcsr \seg\()84(\base)
  fnstcw \seg\()88(\base)
  fldcw \seg\()88(\base)
  fnstsw \seg\()90(\base)
  fnstsw %ax
  int $0x80
.endm
.data
.code32
flat_exercise:
  mov $block, %ebx
  exercise %ebx
fs_exercise:
  mov $block, %ebx
  exercise %ebx, %fs:
gs_exercise:
  mov $block, %ebx
  exercise %ebx, %gs:
cs_exercise:
  mov $block, %ebx
  fninit
  fildl %cs:(%ebx)
  fimull %cs:4(%ebx)
  fistl 8(%ebx)
  movq %cs:(%ebx), %mm0
  movq %mm0, 64(%ebx)
  emms
  int $0x80
.code16
small_exercise:
  mov $block, %ebx
  exercise %ebx
v86_exercise:
  mov $0x3000, %bx
  mov %bx, %ds
  xor %bx, %bx
  exercise %bx
v86_exercise_end:
.code32
user_masked:
  mov $block, %edi
  movq (%edi), %mm0
  movq 8(%edi), %mm1
  add $17, %edi
  maskmovq %mm1, %mm0
  emms
  int $0x80
.text
.global enter_v86
enter_v86:
  push $0               # gs
  push $0               # fs
  push $0               # ds
  push $0               # es
  push $0x4000          # ss
  push $0xfffe          # esp
  push $0x20002         # eflags
  push $0x2000          # cs
  push $0               # eip
  iret
)");
extern "C" [[noreturn]] void enter_v86();
extern "C" char flat_exercise[], fs_exercise[], gs_exercise[], cs_exercise[], small_exercise[],
    v86_exercise[], v86_exercise_end[], user_masked[];

constexpr unsigned words = 32;
extern "C" {
alignas(64) u32 block[words];
}
alignas(4096) unsigned char user_stack[4096];
u32 steps;

void prepare(volatile u32* data) {
  for (unsigned i = 0; i < words; ++i) data[i] = 0xa5a5a500 + i;
  data[0] = 1234;
  data[1] = 5678;
}

void report(const char* name, const Trap& trap, const volatile u32* data) {
  line(name, ": vector ", trap.frame.vector, " error ", hex(trap.frame.error), " eax ",
       hex(trap.frame.eax, 4), " ecx ", hex(trap.frame.ecx), " edx ", hex(trap.frame.edx, 2),
       " esi ", hex(trap.frame.esi));
  for (unsigned row = 0; row < words; row += 8) {
    print("  ");
    for (unsigned i = row; i < row + 8; ++i) print(' ', hex(data[i]));
    put('\n');
  }
}

UserState ring(unsigned level, const char* code, u16 code_selector, u16 data_selector) {
  UserState state;
  const u16 rpl = static_cast<u16>(level);
  state.ds = state.es = state.fs = state.gs = state.ss = data_selector | rpl;
  state.cs = code_selector | rpl;
  state.eip = reinterpret_cast<u32>(code);
  state.esp = reinterpret_cast<u32>(user_stack + sizeof user_stack);
  return state;
}

void each_ring() {
  constexpr unsigned first = first_free_descriptor;
  for (unsigned level = 0; level < 4; ++level) {
    const unsigned at = first + 3 * level;
    const u8 dpl = static_cast<u8>(level << 5);
    gdt()[at] = make_segment(0, 0xfffff, 0x9b | dpl, 0xc);
    gdt()[at + 1] = make_segment(0, 0xfffff, 0x93 | dpl, 0xc);
    gdt()[at + 2] = make_segment(0, 0xfffff, 0x9b | dpl, 0x8);  // 16-bit
    const auto selector = [at](unsigned n) { return static_cast<u16>((at + n) * 8); };
    UserState state = ring(level, flat_exercise, selector(0), selector(1));
    struct {
      const char* name;
      const char* code;
      u16 cs;
      u32 flags;
    } const rows[] = {
        {"flat", flat_exercise, selector(0), interrupt_flag},
        {"IF clear", flat_exercise, selector(0), 0},
        {"IOPL 3", flat_exercise, selector(0), iopl_3},
        {"fs", fs_exercise, selector(0), interrupt_flag},
        {"gs", gs_exercise, selector(0), interrupt_flag},
        {"cs", cs_exercise, selector(0), interrupt_flag},
        {"16-bit", small_exercise, selector(2), interrupt_flag},
        {"stepped", flat_exercise, selector(0), interrupt_flag | trap_flag},
    };
    for (const auto& row : rows) {
      prepare(block);
      steps = 0;
      state.eip = reinterpret_cast<u32>(row.code);
      state.cs = row.cs | level;
      state.eflags = 2 | row.flags;
      line("ring ", level);
      report(row.name, run_user(state), block);
      if (row.flags & trap_flag) line("steps: ", steps);
    }
  }
}

void virtual_8086() {
  for (const char* at = v86_exercise; at < v86_exercise_end; ++at) {
    *reinterpret_cast<volatile char*>(v86_code + (at - v86_exercise)) = *at;
  }
  volatile u32* const data = &memory_at(v86_data);
  prepare(data);
  report("virtual-8086", attempt([] { enter_v86(); }), data);
}

void masked_moves() {
  UserState state = ring(3, user_masked, user_code, user_data);
  state.eflags = 2 | iopl_3;
  prepare(block);
  block[2] = 0x80017f80;
  block[3] = 0x00ff8000;
  report("maskmovq", run_user(state), block);
}

// Text memory at 0xb8000, whatever mode the boot loader has left.
void set_text_mode() {
  const auto out16 = [](u16 port, u16 value) {
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
  };
  out16(0x1ce, 4);  // the display interface of Bochs and QEMU: off
  out16(0x1cf, 0);
  out16(0x3c4, 0x0302);  // planes 0 and 1
  out16(0x3c4, 0x0204);  // by odd and even addresses
  out16(0x3ce, 0x0004);
  out16(0x3ce, 0x1005);
  out16(0x3ce, 0x0e06);
  out16(0x3ce, 0xff08);
}

// With paging off: what stands at an address decides.
void odd_memory() {
  set_text_mode();
  volatile u32* const screen = &memory_at(0xb8000);
  for (unsigned i = 0; i < 16; ++i) screen[i] = 0x07200720;
  asm volatile("fninit; fldpi; fstl 0xb8000; fldl 0xb8000; fstpl 0xb8010; fstpl 0xb8018" ::
                   : "memory");
  asm volatile("fnsave 0xb8100; frstor 0xb8100" ::: "memory");
  line("screen: ", hex(screen[0]), ' ', hex(screen[1]), ' ', hex(screen[4]), ' ', hex(screen[5]),
       " saved control ", hex(screen[0x40] & 0xffff, 4));
  asm volatile("movups 0xb8000, %%xmm0; movaps %%xmm0, 0xb8020" : : : "memory");
  line("  ", hex(screen[8]), ' ', hex(screen[9]), ' ', hex(screen[10]), ' ', hex(screen[11]));
  const u32 rom = memory_at(0xf8000);
  asm volatile("fninit; fld1; fstps 0xf8000" ::: "memory");
  u16 top;
  asm volatile("fnstsw %0" : "=m"(top));
  line("ROM is as it was: ", memory_at(0xf8000) == rom, ", stack ", hex(top, 4));
  asm volatile("fninit; fld1; fstpt 0x8000000; fildl 0x8000000; fistpl %0" : "=m"(block[0]));
  asm volatile("fnstsw %0" : "=m"(top));
  line("nothing there: stack ", hex(top, 4));
}

// Operands in tables that the processor is using.
void page_tables() {
  map_low_memory();
  enable_paging();
  static Page target;
  target.words[0] = 0x3f800000;
  const u32 entries[2] = {target.address() | all_rights, 0};
  asm volatile("fninit; fildll %1; fistpll %0"
               : "=m"(*const_cast<u32*>(&low[3].entries[0x3f0]))
               : "m"(entries));
  line("entry of a table: ", hex(memory_at(0xff0000)));
  const u32 table[2] = {low[3].address() | all_rights, 0};
  asm volatile("movq %1, %%mm0; movq %%mm0, %0; emms"
               : "=m"(*const_cast<u32*>(&directory.entries[0x200]))
               : "m"(table));
  line("entry of the directory: ", hex(memory_at(0x803f0000)));
  asm volatile("fxsave %0" : "=m"(*const_cast<u32*>(&directory.entries[0x300])));
  line("saved into it: control ", hex(directory.entries[0x300] & 0xffff, 4));
}

void unit_state(const char* name, const Trap& trap) {
  u16 status;
  asm volatile("fnstsw %0" : "=m"(status));
  line(name, ": ", trap, " stack ", hex(status, 4));
}

// The page behind 0x6fffff is not there, nor is the one at 0x800000 writable.
void half_way() {
  low[1].entries[0x300] = 0;
  low[2].entries[0] = 0x800000 | present | user;
  set_cr3(directory.address());
  set_cr0(cr0() | cr0_wp);
  asm volatile("fninit; fldpi; fld1");
  unit_state("fstpt", attempt([] { asm volatile("fstpt 0x6ffff8" ::: "memory"); }));
  unit_state("fldt", attempt([] { asm volatile("fldt 0x6ffff8"); }));
  unit_state("fistpll, read-only", attempt([] { asm volatile("fistpll 0x7ffffc" ::: "memory"); }));
  unit_state("fnsave", attempt([] { asm volatile("fnsave 0x6fffc0" ::: "memory"); }));
  unit_state("fnstenv", attempt([] { asm volatile("fnstenv 0x6ffff0" ::: "memory"); }));
  unit_state("frstor", attempt([] { asm volatile("frstor 0x6fffc0"); }));
  unit_state("movups", attempt([] { asm volatile("movups %%xmm0, 0x6ffffc" ::: "memory"); }));
  unit_state("fxsave", attempt([] { asm volatile("fxsave 0x6fff00" ::: "memory"); }));
  low[1].entries[0x300] = 0x700000 | all_rights;
  invlpg(0x700000);
  unit_state("fstpt", attempt([] { asm volatile("fstpt 0x6ffff8" ::: "memory"); }));
  line("  ", hex(memory_at(0x6ffff8)), ' ', hex(memory_at(0x6ffffc)), ' ',
       hex(memory_at(0x700000) & 0xffff, 4), " dirty ", low[1].entries[0x2ff] >> 6 & 1,
       low[1].entries[0x300] >> 6 & 1);
}

}  // namespace

void test() {
  set_cr0((cr0() & ~(cr0_em | cr0_ts)) | cr0_mp | 0x20);
  set_cr4(cr4() | cr4_osfxsr);
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);  // DPL 3
  set_handler(1, [](TrapFrame&) { ++steps; });
  each_ring();
  virtual_8086();
  masked_moves();
  odd_memory();
  page_tables();
  half_way();
}
