// Entry of a test kernel, interrupt entry, and calls that survive a trap. Everything here runs in
// ring 0 with flat segments; the selectors are those of cpu.hpp.

.set kernel_code, 0x10
.set kernel_data, 0x18

.section .multiboot, "a"
.align 4
  .long 0x1badb002
  .long 3                         // modules on pages, memory map
  .long -(0x1badb002 + 3)

.text
.global start
start:
  mov $kernel_stack_end, %esp
  pushl $0
  popf
  sub $8, %esp                    // the ABI wants the stack aligned to 16 at the call
  push %ebx                       // boot information
  push %eax                       // magic
  call kernel_start
  ud2

// void load_tables(const TableRegister* gdt, const TableRegister* idt)
.global load_tables
load_tables:
  mov 4(%esp), %eax
  lgdt (%eax)
  mov 8(%esp), %eax
  lidt (%eax)
  ljmp $kernel_code, $1f
1:call load_kernel_segments
  ret

load_kernel_segments:
  mov $kernel_data, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %fs
  mov %ax, %gs
  mov %ax, %ss
  ret

// bool guarded_call(void (*function)(void*), void* argument): false if it trapped. What it did to
// flags and stack is undone then; segment registers are the kernel's afterwards in any case. Calls may be nested.
.global guarded_call
guarded_call:
  push %ebp
  push %ebx
  push %esi
  push %edi
  pushf
  pushl guard_stack
  mov %esp, guard_stack
  mov 28(%esp), %eax
  push 32(%esp)
  call *%eax
  mov $1, %ecx
guarded_leave:
  mov %ss:guard_stack, %esp       // the function may have left any DS
  call load_kernel_segments
  mov %ecx, %eax
  popl guard_stack
  popf
  pop %edi
  pop %esi
  pop %ebx
  pop %ebp
  ret

// Ends the innermost guarded_call from within a trap.
.global guarded_escape
guarded_escape:
  cld
  ljmp $kernel_code, $1f
1:mov $kernel_data, %ax
  mov %ax, %ss                    // the trap may have come on another stack segment
  xor %ecx, %ecx
  jmp guarded_leave

// void enter_user(const UserState*): IRET to ring 3; comes back by a trap only.
.global enter_user
enter_user:
  mov 4(%esp), %esi
  mov %ss:0x00(%esi), %eax
  mov %eax, %ds
  mov %ss:0x04(%esi), %eax
  mov %eax, %es
  mov %ss:0x08(%esi), %eax
  mov %eax, %fs
  mov %ss:0x0c(%esi), %eax
  mov %eax, %gs
  pushl %ss:0x20(%esi)            // ss
  pushl %ss:0x1c(%esi)            // esp
  pushl %ss:0x18(%esi)            // eflags
  pushl %ss:0x14(%esi)            // cs
  pushl %ss:0x10(%esi)            // eip
  mov $0x11111111, %eax
  mov $0x22222222, %ebx
  mov $0x33333333, %ecx
  mov $0x44444444, %edx
  mov $0x55555555, %esi
  mov $0x66666666, %edi
  mov $0x77777777, %ebp
  iret

// SYSENTER comes here with ESP = SYSENTER_ESP and nothing saved: recorded as vector 0x100.
.global sysenter_entry
sysenter_entry:
  pushl $0x2b                     // ss
  push %ecx                       // esp, by the convention of the tests
  pushf
  pushl $0x23                     // cs
  push %edx                       // eip, likewise
  pushl $0
  pushl $0x100
  jmp trap_common

// One stub of 16 bytes for each vector.
.global trap_stubs
.align 16
trap_stubs:
.set vector, 0
.rept 256
  .align 16
  .if vector != 8 && (vector < 10 || vector > 14) && vector != 17
  pushl $0
  .endif
  pushl $vector
  jmp trap_common
  .set vector, vector + 1
.endr

trap_common:
  pusha
  push %ds
  push %es
  push %fs
  push %gs
  cld
  mov $kernel_data, %ax
  mov %ax, %ds
  mov %ax, %es
  push %esp
  call trap_dispatch
  add $4, %esp
  pop %gs
  pop %fs
  pop %es
  pop %ds
  popa
  add $8, %esp
  iret

.bss
.align 4096
.skip 16384
.global kernel_stack_end
kernel_stack_end:
.skip 8192
.global trap_stack_end
trap_stack_end:
.skip 16                          // a frame without the V86 part is copied with what lies above
.global guard_stack
guard_stack: .long 0

.section .note.GNU-stack, "", @progbits
