// Exceptions of kernel code: every vector that ring 0 can raise by itself, gates that are missing
// or wrong, double faults, single steps, flags and stack that a handler sees.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "exceptions";

namespace {

constexpr u32 trap_flag = 0x100;
volatile u32 steps, first_step, last_step, step_flags, debug_status;

u32 dr6() {
  u32 value;
  asm volatile("mov %%dr6, %0" : "=r"(value));
  return value;
}
void set_dr6(u32 value) { asm volatile("mov %0, %%dr6" : : "r"(value)); }

asm(R"(
.text
e_divide:    xor %ecx, %ecx
             div %ecx
             ret
e_overflow:  mov $0x80000000, %eax
             cdq
             mov $-1, %ecx
             idiv %ecx
             ret
e_int3:      int3
             ret
e_into:      mov $0x7fffffff, %eax
             inc %eax
             into
             ret
e_bound:     pushl $9
             pushl $5
             mov $4, %eax
             bound %eax, (%esp)
             ret
e_ud2:       ud2
e_lock:      .byte 0xf0, 0x90
             ret
e_int_99:    int $0x99
             ret
e_cr8:       .byte 0x0f, 0x20, 0xc8     # mov %cr1, %eax
e_long:      .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66
             .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
             ret
e_flags:     stc
             std
             ud2
# Ten steps between the two POPFs, a string instruction of three iterations among them.
step_begin:  pushf
             orl $0x100, (%esp)
             popf
             nop
             mov $3, %ecx
             mov $step_end, %esi
             rep lodsb
             xor %eax, %eax
             jz 1f
             nop
1:           call 2f
             pushf
             andl $~0x100, (%esp)
             popf
step_end:    ret
2:           ret
.fill 16, 1, 0x90
)");
extern "C" char e_divide[], e_overflow[], e_int3[], e_into[], e_bound[], e_ud2[], e_lock[],
    e_int_99[], e_cr8[], e_long[], e_flags[], step_begin[];

Trap run(const char* code) {
  return attempt([=] { asm volatile("call *%0" : : "r"(code) : "eax", "ecx", "edx", "memory"); });
}
void report(const char* name, const char* code) {
  const Trap trap = run(code);
  line(name, ": vector ", trap.frame.vector, " error ", hex(trap.frame.error, 4), " at +",
       trap.frame.eip - reinterpret_cast<u32>(code));
}

void every_vector() {
  report("divide by zero", e_divide);
  report("quotient overflow", e_overflow);
  report("int3", e_int3);
  report("into", e_into);
  report("bound", e_bound);
  report("ud2", e_ud2);
  report("lock nop", e_lock);
  report("int 99", e_int_99);
  report("control register 1", e_cr8);
  report("16 bytes long", e_long);
  const Trap trap = run(e_flags);
  line("flags seen: ", hex(trap.frame.eflags & 0x401, 4), " mine: ", hex(flags() & 0x400, 4));
}

void wrong_gates() {
  const u64 saved = get_gate(0x99);
  const auto with = [&](const char* name, u64 gate) {
    set_gate(0x99, gate);
    report(name, e_int_99);
  };
  with("gate empty", 0);
  with("gate not present", saved & ~(u64{0x80} << 40));
  with("gate of a data segment", make_gate(kernel_data, 0, 0x8e));
  with("gate of nothing", make_gate(0, 0, 0x8e));
  with("gate beyond the table", make_gate(0x7f8, 0, 0x8e));
  with("call gate", make_gate(kernel_code, 0, 0x8c));
  with("gate of ring 3 code", make_gate(user_code, 0, 0x8e));
  set_gate(0x99, saved);
}

void double_faults() {
  const u64 protection = get_gate(13), page = get_gate(14), undefined = get_gate(6);
  set_gate(13, 0);
  set_gate(0x99, 0);
  const Trap trap = run(e_int_99);
  line("#GP in #GP: ", trap.frame.vector, " error ", hex(trap.frame.error, 4));
  set_gate(13, protection);
  set_gate(6, 0);
  line("#UD without a gate: ", run(e_ud2).frame.vector);  // #UD is benign: #GP or #NP follows
  set_gate(6, undefined);
  set_gate(14, 0);
  line("#PF without a gate: ", attempt([] { load(0x40000000); }).frame.vector);
  set_gate(14, page);
}

void count_step(TrapFrame& frame) {
  if (steps == 0) first_step = frame.eip;
  last_step = frame.eip;
  step_flags = frame.eflags;
  steps = steps + 1;
  debug_status = debug_status | dr6();
  set_dr6(0xffff0ff0);
}

void single_steps() {
  set_handler(1, count_step);
  asm volatile("call step_begin" : : : "eax", "ecx", "edx", "esi", "memory", "cc");
  const u32 base = reinterpret_cast<u32>(step_begin);
  line("steps: ", steps, " from +", first_step - base, " to +", last_step - base, " flags ",
       hex(step_flags & 0x300, 4), " dr6 ", hex(debug_status & 0xe00f, 4));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  every_vector();
  wrong_gates();
  double_faults();
  single_steps();
}
