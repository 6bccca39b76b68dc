// Into a sequence and out of it by whatever exception ends it. The way out uses no stack before all
// registers are saved: the sequence may have left any. The debug registers lend the first room.

.set kernel_data, 0x18
.set kernel_code, 0x10

// struct State (sequence.hpp)
.set state_vector, 0x00
.set state_general, 0x04
.set state_es, 0x24
.set state_cs, 0x28
.set state_ss, 0x2c
.set state_ds, 0x30
.set state_fs, 0x34
.set state_gs, 0x38
.set state_cr0, 0x3c
.set state_cr2, 0x40
.set state_by_task, 0x44
// struct Entry
.set entry_general, 0x00
.set entry_es, 0x20
.set entry_cs, 0x24
.set entry_ss, 0x28
.set entry_ds, 0x2c
.set entry_fs, 0x30
.set entry_gs, 0x34
.set entry_eip, 0x38
.set entry_eflags, 0x3c
.set entry_target, 0x40
.set entry_stack, 0x48

.text
.global enter_sequence
enter_sequence:
  push %ebp
  push %ebx
  push %esi
  push %edi
  mov %esp, kernel_stack_pointer
  mov $sequence_entry, %ebp
  testb $2, entry_eflags + 2(%ebp)
  jnz 4f
  testb $3, entry_cs(%ebp)
  jz 1f
  pushl entry_ss(%ebp)
  pushl entry_general + 16(%ebp)
  pushl entry_eflags(%ebp)
  pushl entry_cs(%ebp)
  pushl entry_eip(%ebp)
  jmp 2f
1:pushl entry_eflags(%ebp)
2:mov entry_es(%ebp), %es
  mov entry_fs(%ebp), %fs
  mov entry_gs(%ebp), %gs
  mov entry_general + 0(%ebp), %eax
  mov entry_general + 4(%ebp), %ecx
  mov entry_general + 8(%ebp), %edx
  mov entry_general + 12(%ebp), %ebx
  mov entry_general + 24(%ebp), %esi
  mov entry_general + 28(%ebp), %edi
  testb $3, entry_cs(%ebp)
  mov entry_ds(%ebp), %ds
  mov %cs:sequence_entry + entry_general + 20, %ebp
  jz 3f
  iret
3:popf
  lss %cs:sequence_entry + entry_stack, %esp
  ljmp *%cs:sequence_entry + entry_target
4:pushl entry_gs(%ebp)
  pushl entry_fs(%ebp)
  pushl entry_ds(%ebp)
  pushl entry_es(%ebp)
  pushl entry_ss(%ebp)
  pushl entry_general + 16(%ebp)
  pushl entry_eflags(%ebp)
  pushl entry_cs(%ebp)
  pushl entry_eip(%ebp)
  mov entry_general + 0(%ebp), %eax
  mov entry_general + 4(%ebp), %ecx
  mov entry_general + 8(%ebp), %edx
  mov entry_general + 12(%ebp), %ebx
  mov entry_general + 24(%ebp), %esi
  mov entry_general + 28(%ebp), %edi
  mov entry_general + 20(%ebp), %ebp
  iret

// One stub of 16 bytes for each vector.
.global sequence_stubs
.align 16
sequence_stubs:
.set vector, 0
.rept 256
  .align 16
  mov %eax, %dr0
  mov $vector, %eax
  jmp save_state
  .set vector, vector + 1
.endr

save_state:
  mov %ecx, %dr1
  mov %ds, %ecx
  mov %ecx, %dr2
  mov $kernel_data, %ecx
  mov %ecx, %ds
  mov %eax, sequence_state + state_vector
  mov %dr0, %eax
  mov %eax, sequence_state + state_general + 0
  mov %dr1, %eax
  mov %eax, sequence_state + state_general + 4
  mov %edx, sequence_state + state_general + 8
  mov %ebx, sequence_state + state_general + 12
  mov %esp, sequence_state + state_general + 16
  mov %ebp, sequence_state + state_general + 20
  mov %esi, sequence_state + state_general + 24
  mov %edi, sequence_state + state_general + 28
  mov %dr2, %eax
  mov %eax, sequence_state + state_ds
  mov %es, %eax
  mov %eax, sequence_state + state_es
  mov %ss, %eax
  mov %eax, sequence_state + state_ss
  mov %fs, %eax
  mov %eax, sequence_state + state_fs
  mov %gs, %eax
  mov %eax, sequence_state + state_gs
  movl $0, sequence_state + state_by_task
leave:
  mov %cr2, %eax
  mov %eax, sequence_state + state_cr2
  mov %cr0, %eax
  mov %eax, sequence_state + state_cr0
  mov $kernel_data, %eax
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov %eax, %ss
  mov kernel_stack_pointer, %esp
  pushl $2
  popf
  pop %edi
  pop %esi
  pop %ebx
  pop %ebp
  ret

// The task of vector 8; its stack has the error code.
.global double_fault_entry
double_fault_entry:
  movl $8, sequence_state + state_vector
  movl $1, sequence_state + state_by_task
  jmp leave

.bss
.align 4
kernel_stack_pointer: .long 0

.section .note.GNU-stack, "", @progbits
