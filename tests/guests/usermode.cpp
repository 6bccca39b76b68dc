// Ring 3: system calls by INT 80h and SYSENTER, privileged instructions, flags, ports and I/O
// bitmap, exceptions of ring 3, a call gate with parameters.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "usermode";

namespace {

Page user_stack;
constexpr u32 sysenter_cs = 0x174, sysenter_esp = 0x175, sysenter_eip = 0x176;
constexpr u32 iopl_3 = 0x3000, trap_flag = 0x100;
constexpr u8 call_gate = 0xec;

asm(R"(
.text
u_syscall:   int $0x80
u_sum:       mov $1000, %ecx
             xor %eax, %eax
1:           add %ecx, %eax
             loop 1b
             int $0x80
u_sysenter:  mov $0x12340000, %edx
             mov %esp, %ecx
             sysenter
u_cli:       cli
             int $0x80
u_sti:       sti
             int $0x80
u_hlt:       hlt
u_lgdt:      lgdt (%esp)
u_lidt:      lidt (%esp)
u_lldt:      lldt %ax
u_ltr:       ltr %ax
u_lmsw:      lmsw %ax
u_clts:      clts
u_to_cr0:    mov %eax, %cr0
u_from_cr0:  mov %cr0, %eax
u_from_cr3:  mov %cr3, %eax
u_to_cr4:    mov %eax, %cr4
u_from_dr7:  mov %dr7, %eax
u_to_dr0:    mov %eax, %dr0
u_invlpg:    invlpg (%esp)
u_invd:      invd
u_wbinvd:    wbinvd
u_rdmsr:     rdmsr
u_wrmsr:     wrmsr
u_in:        in $0x80, %al
             int $0x80
u_out:       out %al, $0x80
             int $0x80
u_outw:      out %ax, $0x80
             int $0x80
u_rep_outs:  push %ds
             mov %esp, %esi
             mov $1, %ecx
             mov $0x80, %edx
             rep outsb
             int $0x80
u_int_21:    int $0x21
u_int3:      int3
u_into:      mov $0x7fffffff, %eax
             add $1, %eax
             into
             int $0x80
u_bound:     movl $5, (%esp)
             movl $9, 4(%esp)
             mov $10, %eax
             bound %eax, (%esp)
             int $0x80
u_ud2:       ud2
u_divide:    xor %ecx, %ecx
             div %ecx
u_popf:      pushl $0x3ed7
             popf
             pushf
             pop %eax
             int $0x80
u_step:      inc %eax
             inc %eax
             int $0x80
u_ds_kernel: mov $0x18, %eax
             mov %eax, %ds
u_ss_kernel: mov $0x18, %eax
             mov %eax, %ss
u_jump:      ljmp $0x10, $0
u_lar:       xor %eax, %eax
             mov $0x10, %ecx
             lar %ecx, %eax
             setz %bl
             mov $0x23, %ecx
             lar %ecx, %edx
             setz %bh
             int $0x80
u_verr:      xor %eax, %eax
             mov $0x18, %ecx
             verr %cx
             setz %al
             mov $0x2b, %ecx
             verw %cx
             setz %ah
             int $0x80
u_touch:     mov (%eax), %eax
             int $0x80
u_gate:      pushl $0x11110000
             pushl $0x22220000
             lcall $0x40, $0
             int $0x80
u_iret:      pushf
             push %cs
             pushl $u_syscall
             iret
u_iret_up:   pushf
             pushl $0x10
             pushl $u_syscall
             iret

// The other end of the call gate, in ring 0: adds its two parameters.
gate_entry:  mov 8(%esp), %eax
             add 12(%esp), %eax
             mov %cs, %ebx
             lret $8
// SYSEXIT back to ring 3.
sysexit_now: mov $u_syscall, %edx
             mov $0x1234, %ecx
             sysexit
)");

extern "C" char u_syscall[], u_sum[], u_sysenter[], u_cli[], u_sti[], u_hlt[], u_lgdt[], u_lidt[],
    u_lldt[], u_ltr[], u_lmsw[], u_clts[], u_to_cr0[], u_from_cr0[], u_from_cr3[], u_to_cr4[],
    u_from_dr7[], u_to_dr0[], u_invlpg[], u_invd[], u_wbinvd[], u_rdmsr[], u_wrmsr[], u_in[],
    u_out[], u_outw[], u_rep_outs[], u_int_21[], u_int3[], u_into[], u_bound[], u_ud2[], u_divide[],
    u_popf[], u_step[], u_ds_kernel[], u_ss_kernel[], u_jump[], u_lar[], u_verr[], u_touch[],
    u_gate[], u_iret[], u_iret_up[], gate_entry[], sysexit_now[];

extern "C" char sysenter_entry[];

Trap user_run(const char* code, u32 eflags = 2) {
  UserState state;
  state.eip = reinterpret_cast<u32>(code);
  state.eflags = eflags;
  state.esp = user_stack.address() + 0x800;
  return run_user(state);
}

void registers(const Trap& trap) {
  const TrapFrame& f = trap.frame;
  line("  eax ", hex(f.eax), " ebx ", hex(f.ebx), " ecx ", hex(f.ecx), " edx ", hex(f.edx));
  line("  esi ", hex(f.esi), " edi ", hex(f.edi), " ebp ", hex(f.ebp), " stack ",
       hex(f.ss & 0xffff, 4), ":+", hex(f.esp - user_stack.address(), 3));
  line("  ds ", hex(f.ds & 0xffff, 4), " es ", hex(f.es & 0xffff, 4), " fs ", hex(f.fs & 0xffff, 4),
       " gs ", hex(f.gs & 0xffff, 4), " flags ", hex(f.eflags));
}

void system_calls() {
  Trap trap = user_run(u_syscall);
  line("int 80: ", trap);
  registers(trap);
  trap = user_run(u_sum);
  line("sum in ring 3: ", trap.frame.eax, " ", trap);
  write_msr(sysenter_cs, kernel_code);
  write_msr(sysenter_esp, task_state().esp0);
  write_msr(sysenter_eip, reinterpret_cast<u32>(sysenter_entry));
  trap = user_run(u_sysenter, 2 | interrupt_flag);
  line("sysenter: ", trap, " flags ", hex(trap.frame.eflags));
  trap = attempt([] { asm volatile("jmp sysexit_now"); });
  line("sysexit: ", trap, " stack ", hex(trap.frame.ss & 0xffff, 4), ':', hex(trap.frame.esp));
  write_msr(sysenter_cs, 0);
  line("sysenter without a selector: ", user_run(u_sysenter));
  u32 traps = 0;
  for (u32 i = 0; i < 500; ++i) traps += user_run(u_syscall).frame.vector;
  line("500 calls: ", traps);
}

void privileged_instructions() {
  struct Case {
    const char* name;
    const char* code;
  };
  const Case cases[] = {
      {"cli", u_cli},
      {"sti", u_sti},
      {"hlt", u_hlt},
      {"lgdt", u_lgdt},
      {"lidt", u_lidt},
      {"lldt", u_lldt},
      {"ltr", u_ltr},
      {"lmsw", u_lmsw},
      {"clts", u_clts},
      {"to cr0", u_to_cr0},
      {"from cr0", u_from_cr0},
      {"from cr3", u_from_cr3},
      {"to cr4", u_to_cr4},
      {"from dr7", u_from_dr7},
      {"to dr0", u_to_dr0},
      {"invlpg", u_invlpg},
      {"invd", u_invd},
      {"wbinvd", u_wbinvd},
      {"rdmsr", u_rdmsr},
      {"wrmsr", u_wrmsr},
      {"in", u_in},
      {"out", u_out},
      {"outw", u_outw},
      {"rep outsb", u_rep_outs},
      {"int 21", u_int_21},
      {"int3", u_int3},
      {"into", u_into},
      {"bound", u_bound},
      {"ud2", u_ud2},
      {"div", u_divide},
      {"ds kernel", u_ds_kernel},
      {"ss kernel", u_ss_kernel},
      {"jump to ring 0", u_jump},
      {"iret", u_iret},
      {"iret to ring 0", u_iret_up},
  };
  for (const Case& one : cases) {
    const Trap trap = user_run(one.code);
    line(one.name, ": vector ", trap.frame.vector, " error ", hex(trap.frame.error), " at +",
         hex(trap.frame.eip - reinterpret_cast<u32>(one.code), 3));
  }
}

void flags_and_ports() {
  Trap trap = user_run(u_popf);
  line("popf, IOPL 0: ", hex(trap.frame.eax & ~0x8d5u));
  trap = user_run(u_popf, 2 | iopl_3);
  line("popf, IOPL 3: ", hex(trap.frame.eax & ~0x8d5u));
  trap = user_run(u_popf, 2 | interrupt_flag);
  line("popf, IOPL 0, IF: ", hex(trap.frame.eax & ~0x8d5u));
  for (const char* code : {u_cli, u_sti, u_in, u_out}) {
    trap = user_run(code, 2 | iopl_3 | interrupt_flag);
    line("IOPL 3: vector ", trap.frame.vector, " flags ", hex(trap.frame.eflags & 0x3200, 4));
  }
  // The I/O bitmap, once the TSS is long enough to hold it.
  gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), 104 + 32, 0x89, 0);
  asm volatile("ltr %0" : : "r"(tss_selector));
  line("bitmap closed: vector ", user_run(u_out).frame.vector);
  task_state().io_bitmap[16] = 0xfe;  // port 80h only
  line("port open: vector ", user_run(u_out).frame.vector, " in ", user_run(u_in).frame.vector,
       " two ports ", user_run(u_outw).frame.vector, " string ", user_run(u_rep_outs).frame.vector);
  task_state().io_bitmap[16] = 0xfc;
  line("both open: vector ", user_run(u_outw).frame.vector);
  task_state().io_bitmap[16] = 0xff;
  line("closed again: vector ", user_run(u_out).frame.vector);
  trap = user_run(u_step, 2 | trap_flag);
  line("single step: ", trap, " +", trap.frame.eip - reinterpret_cast<u32>(u_step), " flags ",
       hex(trap.frame.eflags & 0x300, 4));
}

void descriptors_and_memory() {
  Trap trap = user_run(u_lar);
  line("lar: kernel ", hex(trap.frame.ebx & 1, 1), " user ", hex(trap.frame.ebx >> 8 & 1, 1), ' ',
       hex(trap.frame.edx & 0xf0ff00));  // the limit's bits are undefined
  trap = user_run(u_verr);
  line("verr kernel, verw user: ", hex(trap.frame.eax, 4));
  trap = user_run(u_touch);  // EAX is 11111111h: nothing is there
  line("touch nothing: ", trap);
  volatile u32& entry = low[0].entries[user_stack.address() / page_bytes];
  entry = entry & ~user;
  set_cr3(directory.address());
  line("pushf on a kernel page: ", user_run(u_iret));
  entry = entry | user;
  set_cr3(directory.address());

  gdt()[8] = make_gate(kernel_code, reinterpret_cast<u32>(gate_entry), call_gate, 2);
  trap = user_run(u_gate);
  line("call gate: ", trap);
  registers(trap);
  gdt()[8] = make_gate(kernel_code, reinterpret_cast<u32>(gate_entry), 0x8c, 2);
  line("gate of ring 0: ", user_run(u_gate));
  gdt()[8] = make_gate(kernel_code, reinterpret_cast<u32>(gate_entry), 0x6c, 2);
  line("gate not present: ", user_run(u_gate));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  for (const unsigned vector : {3u, 4u, 0x80u}) {
    set_gate(vector, get_gate(vector) | u64{0x60} << 40);  // DPL 3
  }
  system_calls();
  privileged_instructions();
  flags_and_ports();
  descriptors_and_memory();
}
