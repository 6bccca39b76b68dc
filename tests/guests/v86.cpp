// Virtual-8086 mode: 16-bit code with real-mode segments under paging, what traps by IOPL, ports by
// the I/O bitmap alone, software interrupts, faults.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "v86";

namespace {

constexpr u32 code_base = 0x20000, data_base = 0x30000, stack_base = 0x40000;
constexpr u32 vm_flag = 0x20000, iopl_3 = 0x3000;

asm(R"(
.data
.code16
v_begin:
v_done:     int $0x80
v_sum:      xor %ax, %ax
            mov $100, %cx
1:          add %cx, %ax
            loop 1b
            int $0x80
v_segments: mov $0x3000, %ax
            mov %ax, %ds
            mov $0x3001, %ax
            mov %ax, %es
            movw $0x1234, 0x10
            movw %es:0, %bx
            mov %ds, %cx
            push %es
            pop %dx
            int $0x80
v_wide:     mov $0x12345678, %eax
            rol $8, %eax
            mov %eax, %ebx
            movl $0x30000, %esi
            int $0x80
v_strings:  mov $0x3000, %ax
            mov %ax, %es
            mov $0x5aa5, %ax
            mov $0xfff0, %di
            mov $16, %cx
            rep stosw
            int $0x80
v_far:      lcall $0x2010, $(v_far_target - v_begin - 0x100)
            int $0x80
v_cli:      cli
            int $0x80
v_sti:      sti
            int $0x80
v_pushf:    pushf
            pop %ax
            int $0x80
v_popf:     pushw $0x0ad7
            popf
            pushf
            pop %ax
            int $0x80
v_iret:     pushf
            push %cs
            pushw $(v_done - v_begin)
            iret
v_int_21:   int $0x21
v_int3:     int3
v_in:       in $0x80, %al
            int $0x80
v_out:      out %al, $0x80
            int $0x80
v_hlt:      hlt
v_lgdt:     lgdtl 0
v_lldt:     lldt %ax
v_sldt:     sldt %ax
v_lar:      lar %ax, %bx
v_cr0:      mov %cr0, %eax
v_clts:     clts
v_smsw:     smsw %ax
            and $1, %ax
            int $0x80
v_ud2:      ud2
v_divide:   xor %cx, %cx
            div %cx
v_absent:   mov $0x5000, %ax
            mov %ax, %ds
            mov 0x123, %al
            int $0x80
v_limit:    mov $0xfffe, %bx
            mov $0x3000, %ax
            mov %ax, %ds
            incw (%bx)
            int $0x80
            .balign 16
            .fill 0x200 - (. - v_begin), 1, 0x90
v_far_target:
            mov %cs, %bx
            mov %sp, %si
            lret
v_end:
.code32
.text
.global enter_v86
enter_v86:  mov 4(%esp), %eax
            push $0               # gs
            push $0               # fs
            push $0               # ds
            push $0               # es
            push $0x4000          # ss
            push $0xfffe          # esp
            push 4(%eax)          # eflags
            push $0x2000          # cs
            push (%eax)           # eip
            xor %eax, %eax
            xor %ebx, %ebx
            xor %ecx, %ecx
            xor %edx, %edx
            xor %esi, %esi
            xor %edi, %edi
            xor %ebp, %ebp
            iret
)");
struct V86State {
  u32 eip, eflags;
};
extern "C" [[noreturn]] void enter_v86(const V86State*);

extern "C" char v_begin[], v_done[], v_sum[], v_segments[], v_wide[], v_strings[], v_far[], v_cli[],
    v_sti[], v_pushf[], v_popf[], v_iret[], v_int_21[], v_int3[], v_in[], v_out[], v_hlt[],
    v_lgdt[], v_lldt[], v_sldt[], v_lar[], v_cr0[], v_clts[], v_smsw[], v_ud2[], v_divide[],
    v_absent[], v_limit[], v_end[];

Trap run(const char* code, u32 flags_set) {
  const V86State state = {static_cast<u32>(code - v_begin), 2 | vm_flag | flags_set};
  return attempt([&] { enter_v86(&state); });
}

void report(const char* name, const char* code, u32 flags_set = 0) {
  const Trap trap = run(code, flags_set);
  const TrapFrame& f = trap.frame;
  print(name, ": vector ", f.vector, " error ", hex(f.error, 4), " at ", hex(f.cs & 0xffff, 4),
        ":+", hex(f.eip - static_cast<u32>(code - v_begin), 3), " flags ",
        hex(f.eflags & ~0x108d5u));  // RF: not on every emulated processor
  if (f.vector == 14) print(" cr2 ", hex(trap.cr2));
  put('\n');
}

void plain_code() {
  Trap trap = run(v_sum, 0);
  line("sum: ", trap.frame.eax, ", ss:sp ", hex(trap.frame.ss & 0xffff, 4), ':',
       hex(trap.frame.esp, 4));
  trap = run(v_segments, 0);
  line("segments: bx ", hex(trap.frame.ebx, 4), " cx ", hex(trap.frame.ecx, 4), " dx ",
       hex(trap.frame.edx, 4), " saved es ", hex(trap.frame.v86_es, 4), " ds ",
       hex(trap.frame.v86_ds, 4), " fs ", hex(trap.frame.v86_fs, 4));
  trap = run(v_wide, 0);
  line("32-bit registers: ", hex(trap.frame.ebx), ' ', hex(trap.frame.esi));
  trap = run(v_strings, 0);
  line("strings wrap: di ", hex(trap.frame.edi, 4), ' ', hex(memory_at(data_base + 0xfffc)), ' ',
       hex(memory_at(data_base)));
  trap = run(v_far, 0);
  line("far call: cs ", hex(trap.frame.ebx, 4), " sp ", hex(trap.frame.esi, 4));
  u32 sum = 0;
  for (u32 i = 0; i < 300; ++i) sum += run(v_done, 0).frame.vector;
  line("300 entries: ", sum);
}

void sensitive_code() {
  for (const u32 level : {u32{0}, iopl_3}) {
    line("IOPL ", level >> 12);
    report("cli", v_cli, level | interrupt_flag);
    report("sti", v_sti, level);
    report("pushf", v_pushf, level);
    report("popf", v_popf, level);
    report("iret", v_iret, level);
    report("int 21", v_int_21, level);
    report("int3", v_int3, level);
    report("in", v_in, level);
    report("out", v_out, level);
    report("hlt", v_hlt, level);
  }
  line("pushf sees ", hex(run(v_pushf, iopl_3 | interrupt_flag).frame.eax & 0xf200, 4));
  report("lgdt", v_lgdt);
  report("lldt", v_lldt);
  report("sldt", v_sldt);
  report("lar", v_lar);
  report("mov from cr0", v_cr0);
  report("clts", v_clts);
  line("smsw: ", run(v_smsw, 0).frame.eax);
  report("ud2", v_ud2);
  report("div", v_divide);
}

void ports_and_pages() {
  gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), 104 + 32, 0x89, 0);
  asm volatile("ltr %0" : : "r"(tss_selector));
  report("bitmap closed, IOPL 3", v_out, iopl_3);
  task_state().io_bitmap[16] = 0xfe;
  report("port open, IOPL 0", v_out);
  report("port read", v_in);
  low[0].entries[0x50] = 0;
  set_cr3(directory.address());
  report("page not present", v_absent);
  low[0].entries[0x50] = 0x50000 | all_rights;
  memory_at(0x50120) = 0x7f000000;
  report("page present", v_absent);
  low[0].entries[0x3f] = 0x3f000 | present | user;
  set_cr3(directory.address());
  report("read-only page", v_limit);
}

}  // namespace

void test() {
  const u32 bytes = static_cast<u32>(v_end - v_begin);
  for (u32 i = 0; i < bytes; ++i) *reinterpret_cast<volatile u8*>(code_base + i) = v_begin[i];
  map_low_memory();
  enable_paging();
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);  // DPL 3
  set_gate(3, get_gate(3) | u64{0x60} << 40);
  plain_code();
  sensitive_code();
  ports_and_pages();
}
