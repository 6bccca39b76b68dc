/* The first instructions. The loader has left us in flat 32-bit protected mode without paging, EAX and
   EBX as multiboot says. The image is linked at window offsets and stands at image_physical + offset,
   so segments with that base make every symbol right before paging is on. */
#define IMAGE_PHYSICAL 0x100000
#define MULTIBOOT1_MAGIC 0x1badb002
#define MULTIBOOT1_FLAGS 0x3        /* page-aligned modules, memory map */
#define MULTIBOOT2_MAGIC 0xe85250d6

.section .boot.headers, "ax"
.balign 8
multiboot2_header:
  .long MULTIBOOT2_MAGIC
  .long 0                           /* i386 */
  .long multiboot2_end - multiboot2_header
  .long -(MULTIBOOT2_MAGIC + (multiboot2_end - multiboot2_header))
  /* information request: command line, modules, memory map. Not asked for: EFI's boot services, so
     that they are over when the monitor starts. */
  .short 1, 0
  .long 20
  .long 1, 3, 6
  .balign 8
  /* A linear framebuffer, if the loader likes: where there is no text mode, or the menu asks for it */
  .short 5, 1
  .long 20
  .long 0, 0, 0
  .balign 8
  .short 6, 0                       /* modules page-aligned */
  .long 8
  .short 0, 0                       /* end */
  .long 8
multiboot2_end:
multiboot1_header:
  .long MULTIBOOT1_MAGIC
  .long MULTIBOOT1_FLAGS
  .long -(MULTIBOOT1_MAGIC + MULTIBOOT1_FLAGS)

.section .boot, "ax"
.globl boot_entry
boot_entry:
  cli
  cld
  lgdt boot_gdt_register + IMAGE_PHYSICAL
  ljmp $0x08, $1f
1:
  mov $0x10, %ecx
  mov %ecx, %ds
  mov %ecx, %es
  mov %ecx, %ss
  mov %eax, %esi
  mov $bss_start, %edi
  mov $bss_end, %ecx
  sub %edi, %ecx
  shr $2, %ecx
  xor %eax, %eax
  rep stosl
  mov $monitor_stack_top, %esp
  push $0                           /* EFLAGS: nothing set, NT above all */
  popf
  push %eax                         /* ends a back trace */
  push %eax
  mov %esp, %ebp
  call check_processor
  push %ebx
  push %esi
  call start

.balign 8
boot_gdt:
  .quad 0
  .quad 0x00cf9b100000ffff          /* code, base IMAGE_PHYSICAL, 4 GB */
  .quad 0x00cf93100000ffff          /* data */
boot_gdt_register:
  .short . - boot_gdt - 1
  .long boot_gdt + IMAGE_PHYSICAL

.section .note.GNU-stack, "", @progbits
