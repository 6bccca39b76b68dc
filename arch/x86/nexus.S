/* The nexus: into the guest, and back by a trap.

   A trap from the guest lands in the GuestContext itself: ESP0 of the TSS points just above the place
   of the context's SS (or V86 GS), the stub stores the rest below, and the stack that enter_guest was
   called on is taken up again. An NMI that comes while ESP is there uses the context's nmi_frame.

   On the way in, the guest's selectors are loaded on the monitor's stack; a fault there goes through
   the fixup table and enter_guest returns as if the guest had trapped. */
#include "selectors.inc"

/* The next instruction may fault: go on at `entry_failed` then. */
.macro may_fault instruction:vararg
8:
  \instruction
  .pushsection .fixup_table, "a"
  .long 8b, entry_failed
  .popsection
.endm

.text
/* void enter_guest(GuestContext*) */
.globl enter_guest
.type enter_guest, @function
enter_guest:
  push %ebp
  mov %esp, %ebp
  push %ebx
  push %esi
  push %edi
  mov 8(%ebp), %eax
  mov %esp, nexus_monitor_esp
  mov %eax, nexus_context
  testb $EFLAGS_VM_IN_BYTE, CONTEXT_EFLAGS + EFLAGS_VM_BYTE(%eax)
  jnz enter_v86

  lea CONTEXT_V86_ES(%eax), %edx
  mov %edx, monitor_task + 4
  pushl CONTEXT_SS(%eax)
  pushl CONTEXT_ESP(%eax)
  pushl CONTEXT_EFLAGS(%eax)
  pushl CONTEXT_CS(%eax)
  pushl CONTEXT_EIP(%eax)
  pushl CONTEXT_DS(%eax)
  pushl CONTEXT_ES(%eax)
  mov CONTEXT_FS(%eax), %ecx
  mov CONTEXT_GS(%eax), %edx
  may_fault mov %ecx, %fs
  may_fault mov %edx, %gs
  mov CONTEXT_EDI(%eax), %edi
  mov CONTEXT_ESI(%eax), %esi
  mov CONTEXT_EBP(%eax), %ebp
  mov CONTEXT_EBX(%eax), %ebx
  mov CONTEXT_EDX(%eax), %edx
  mov CONTEXT_ECX(%eax), %ecx
  may_fault pop %es
  may_fault pop %ds
  mov %ss:CONTEXT_EAX(%eax), %eax
  may_fault iret

/* IRET loads all segment registers (SDM volume 2, RETURN-TO-VIRTUAL-8086-MODE). */
enter_v86:
  lea CONTEXT_FAULT_ADDRESS(%eax), %edx
  mov %edx, monitor_task + 4
  pushl CONTEXT_V86_GS(%eax)
  pushl CONTEXT_V86_FS(%eax)
  pushl CONTEXT_V86_DS(%eax)
  pushl CONTEXT_V86_ES(%eax)
  pushl CONTEXT_SS(%eax)
  pushl CONTEXT_ESP(%eax)
  pushl CONTEXT_EFLAGS(%eax)
  pushl CONTEXT_CS(%eax)
  pushl CONTEXT_EIP(%eax)
  mov CONTEXT_EDI(%eax), %edi
  mov CONTEXT_ESI(%eax), %esi
  mov CONTEXT_EBP(%eax), %ebp
  mov CONTEXT_EBX(%eax), %ebx
  mov CONTEXT_EDX(%eax), %edx
  mov CONTEXT_ECX(%eax), %ecx
  mov CONTEXT_EAX(%eax), %eax
  may_fault iret

/* The monitor's trap handler has put vector and error code into the context. */
entry_failed:
  mov $MONITOR_DATA, %eax
  mov %eax, %ds
  mov %eax, %es
leave_guest:
  mov nexus_monitor_esp, %esp
  cld
  pop %edi
  pop %esi
  pop %ebx
  pop %ebp
  ret

/* One stub for each vector, 16 bytes apart. Vectors 8, 10 to 14, 17 and 21 push an error code. */
.balign 16
.globl trap_stubs
trap_stubs:
.set vector, 0
.rept 256
  .balign 16
  .if vector == 2
    incl %ss:nmi_count
    iret
  .else
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
      push $0
    .endif
    push $vector
    jmp trap
  .endif
  .set vector, vector + 1
.endr
.balign 16

/* Stores the rest of the registers; offsets from ESP are those of the context less CONTEXT_GS.
   Selectors are moved rather than pushed: a push leaves the upper half as it was. */
trap:
  pusha
  sub $16, %esp
  mov %ds, %eax
  mov %eax, 12(%esp)
  mov %es, %eax
  mov %eax, 8(%esp)
  mov %fs, %eax
  mov %eax, 4(%esp)
  mov %gs, %eax
  mov %eax, (%esp)
  mov $MONITOR_DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  testb $EFLAGS_VM_IN_BYTE, CONTEXT_EFLAGS - CONTEXT_GS + EFLAGS_VM_BYTE(%esp)
  jnz 1f
  testb $3, CONTEXT_CS - CONTEXT_GS(%esp)
  jz trap_in_monitor
1:
  cmpl $14, CONTEXT_VECTOR - CONTEXT_GS(%esp)
  jne leave_guest
  mov %cr2, %eax
  mov %eax, CONTEXT_FAULT_ADDRESS - CONTEXT_GS(%esp)
  jmp leave_guest

/* The handler may change the frame's EIP (fix-up). FS and GS are nobody's in the monitor. */
trap_in_monitor:
  cld
  mov %esp, %eax
  push %eax
  call handle_monitor_trap
  add $4, %esp
  add $8, %esp
  pop %es
  pop %ds
  popa
  add $8, %esp
  iret

/* Entered by the task gate of vector 8, on its own stack; the error code is on it. The frame pointer
   is 0 so that a back trace ends. */
.globl double_fault_entry
double_fault_entry:
  xor %ebp, %ebp
  call report_double_fault

.bss
.balign 4
.globl nexus_context, nmi_count
nexus_monitor_esp: .long 0
nexus_context: .long 0
nmi_count: .long 0

.section .note.GNU-stack, "", @progbits
