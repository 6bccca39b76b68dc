/* One function for each instruction of instructions.hpp; cdecl. */
#include "selectors.inc"

.macro function name
  .globl \name
  .type \name, @function
\name:
.endm

.text
function port_in_8
  mov 4(%esp), %edx
  xor %eax, %eax
  in %dx, %al
  ret
function port_in_16
  mov 4(%esp), %edx
  xor %eax, %eax
  in %dx, %ax
  ret
function port_in_32
  mov 4(%esp), %edx
  in %dx, %eax
  ret
function port_out_8
  mov 4(%esp), %edx
  mov 8(%esp), %eax
  out %al, %dx
  ret
function port_out_16
  mov 4(%esp), %edx
  mov 8(%esp), %eax
  out %ax, %dx
  ret
function port_out_32
  mov 4(%esp), %edx
  mov 8(%esp), %eax
  out %eax, %dx
  ret

function read_time_stamp
  rdtsc
  ret
// 0xffff0ff0: what DR6 is after reset.
function take_dr6
  mov %dr6, %eax
  mov $0xffff0ff0, %edx
  mov %edx, %dr6
  ret
function read_random
  rdrand %eax
  jc 1f
  xor %eax, %eax
1:
  ret
function read_cpuid
  push %ebx
  push %edi
  mov 12(%esp), %eax
  mov 16(%esp), %ecx
  cpuid
  mov 20(%esp), %edi
  mov %eax, (%edi)
  mov %ebx, 4(%edi)
  mov %ecx, 8(%edi)
  mov %edx, 12(%edi)
  pop %edi
  pop %ebx
  ret
function read_msr
  mov 4(%esp), %ecx
  rdmsr
  ret
function read_msr_or_zero
  mov 4(%esp), %ecx
8:
  rdmsr
  ret
9:
  xor %eax, %eax
  xor %edx, %edx
  ret
  .pushsection .fixup_table, "a"
  .long 8b, 9b
  .popsection
function write_msr
  mov 4(%esp), %ecx
  mov 8(%esp), %eax
  mov 12(%esp), %edx
  wrmsr
  ret

function read_cr0
  mov %cr0, %eax
  ret
function read_cr2
  mov %cr2, %eax
  ret
function read_cr3
  mov %cr3, %eax
  ret
function read_cr4
  mov %cr4, %eax
  ret
function write_cr0
  mov 4(%esp), %eax
  mov %eax, %cr0
  ret
function write_cr3
  mov 4(%esp), %eax
  mov %eax, %cr3
  ret
function write_cr4
  mov 4(%esp), %eax
  mov %eax, %cr4
  ret

function can_toggle_flags
  pushf
  mov (%esp), %eax
  mov %eax, %ecx
  xor 8(%esp), %eax
  push %eax
  popf
  pushf
  pop %eax
  popf
  xor %ecx, %eax
  and 4(%esp), %eax
  cmp 4(%esp), %eax
  sete %al
  movzbl %al, %eax
  ret

function invalidate_offset
  mov 4(%esp), %eax
  invlpg (%eax)
  ret
/* FS is the guest's between traps and nobody's in the monitor. */
function invalidate_linear
  mov $MONITOR_FLAT, %eax
  mov %eax, %fs
  mov 4(%esp), %eax
  invlpg %fs:(%eax)
  ret

/* The pseudo-descriptor is the arguments themselves, moved together: limit in the upper half of the
   first. */
function load_descriptor_table
  shll $16, 4(%esp)
  lgdt 6(%esp)
  ljmp $MONITOR_CODE, $1f
1:
  mov $MONITOR_DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  ret
function load_interrupt_table
  shll $16, 4(%esp)
  lidt 6(%esp)
  ret
function load_local_table
  lldt 4(%esp)
  ret
function load_task_register
  ltr 4(%esp)
  ret

function halt_until_interrupt
  sti
  hlt
  cli
  ret
function allow_interrupts
  sti
  nop
  cli
  ret
function halt_for_ever
  cli
1:
  hlt
  jmp 1b

.section .note.GNU-stack, "", @progbits
