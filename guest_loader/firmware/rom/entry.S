/* Where the processor enters the guest's BIOS: the reset vector, IBM's entry points, the way into the
   services in C and back, and what must be done in assembler: the tick, hardware interrupts that
   nobody wants, the block move through protected mode. */
.code16

/* IBM PS/2 and PC BIOS Interface Technical Reference; software has been known to jump there. */
.macro at address
  .section .at_\address, "ax"
.endm

/* An interrupt's vector: cmake/bios_rom.py finds it by its symbol. A service in C gets the caller's
   registers. */
.macro service number, function
  .global vector_\number
vector_\number:
  jmp 8f
  .text
8: pushl $\function
  jmp serve
.endm

.text
serve:
  pushal
  push %ds
  push %es
  push %fs
  push %gs
  mov %ss, %ax
  mov %ax, %ds
  mov %ax, %es
  xor %ax, %ax
  mov %ax, %fs
  push %cs
  pop %gs
  movzwl %sp, %esp
  cld
  mov %esp, %eax
  calll *40(%esp)
  movl 20(%esp), %eax          /* the caller's ESP has an upper half too */
  movw %sp, %ax
  movl %eax, %esp
  pop %gs
  pop %fs
  pop %es
  pop %ds
  popal
  addw $4, %sp
  iret

at e05b
  .global power_on
power_on:                      /* resets as port 0xcf9 does, and if not, as the keyboard controller */
  mov $6, %al
  mov $0xcf9, %dx
  out %al, %dx
  mov $0xfe, %al
  out %al, $0x64
1: hlt
  jmp 1b

at e3fe
  service 13, disk_service
at e6f2
  .global boot_disk
boot_disk:
  service 19, boot_service
.text
  service 18, no_boot_service
at e6f5
  .global configuration        /* INT 15h, C0h: an AT with a real-time clock and a second 8259 */
configuration:
  .word 8
  .byte 0xfc, 0x00, 0x01, 0x74, 0x40, 0, 0, 0
at e82e
  service 16, keyboard_service
at e987
  service 09, key_interrupt
at efc7
  .global diskette_parameters  /* 512 bytes a sector, 18 a track, and the timing of a 1.44 MB drive */
diskette_parameters:
  .byte 0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08
at f065
  .global video
video:
  service 10, video_service
at f841
  .global vector_12
vector_12:                     /* memory size */
  push %ds
  xor %ax, %ax
  mov %ax, %ds
  mov 0x413, %ax
  pop %ds
  iret
at f84d
  .global vector_11
vector_11:                     /* equipment */
  push %ds
  xor %ax, %ax
  mov %ax, %ds
  mov 0x410, %ax
  pop %ds
  iret
at f859
  service 15, system_service
at fe6e
  service 1a, time_service
at fea5
  .global vector_08
vector_08:                     /* IRQ 0: counts the ticks of the day, notes midnight, tells INT 1Ch */
  push %eax
  push %ds
  xor %eax, %eax
  mov %ax, %ds
  incl 0x46c
  cmpl $0x1800b0, 0x46c
  jb 1f
  mov %eax, 0x46c
  movb $1, 0x470
1: int $0x1c
  mov $0x20, %al
  out %al, $0x20
  pop %ds
  pop %eax
  iret
at ff53
  .global nothing
nothing:
  iret
at fff0
  ljmp $0xf000, $power_on

.text
/* IRQ 2 to 7: end of interrupt. */
.global vector_0a, vector_0b, vector_0c, vector_0d, vector_0e, vector_0f
vector_0a: vector_0b: vector_0c: vector_0d: vector_0e: vector_0f:
  push %ax
  jmp end_master

/* IRQ 8 to 15: the same at both controllers. The clock's cause and the mouse's byte are read, since
   each would hold its line; so is the coprocessor's latch cleared. */
.global vector_70, vector_71, vector_72, vector_73, vector_74, vector_75, vector_76, vector_77
vector_70:
  push %ax
  mov $0x0c, %al
  out %al, $0x70
  in $0x71, %al
  jmp end_both
vector_74:
  push %ax
  in $0x60, %al
  jmp end_both
vector_75:
  push %ax
  out %al, $0xf0
  jmp end_both
vector_71: vector_72: vector_73: vector_76: vector_77:
  push %ax
end_both:
  mov $0x20, %al
  out %al, $0xa0
end_master:
  mov $0x20, %al
  out %al, $0x20
  pop %ax
  iret

/* void move_block(u32 gdt, u32 words), in EAX and EDX: INT 15h, 87h. The caller's table has the
   source at 0x10 and the destination at 0x18; its limit is that of eight descriptors. With interrupts
   off from beginning to end. */
.global move_block
move_block:
  push %esi
  push %edi
  push %ebx
  mov %edx, %ecx
  sub $8, %esp
  movw $0x3f, (%esp)
  mov %eax, 2(%esp)
  lgdtl (%esp)
  add $8, %esp
  mov %cr0, %ebx
  lea 1(%ebx), %eax
  mov %eax, %cr0
  jmp 1f
1: mov $0x10, %ax
  mov %ax, %ds
  mov $0x18, %ax
  mov %ax, %es
  xor %si, %si
  xor %di, %di
  rep movsw
  mov $0x20, %ax               /* a segment of 64 KB: real mode keeps the limit */
  mov %ax, %ds
  mov %ax, %es
  mov %ebx, %cr0
  ljmp $0xf000, $2f
2: mov %ss, %ax
  mov %ax, %ds
  mov %ax, %es
  pop %ebx
  pop %edi
  pop %esi
  retl

.section .facts, "a"
.global facts
facts: .fill 8 * 12 + 8 + 4 * 8, 1, 0

.section .note.GNU-stack, "", @progbits
