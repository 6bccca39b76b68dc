#include "bios.hpp"

#include "boot.hpp"

namespace guest::bios {
namespace {

constexpr u16 code_16 = first_free_descriptor * 8, data_16 = code_16 + 8;

// Everything between b_begin and b_end runs at code_base.
asm(R"(
.data
.balign 16
.code16
b_begin:
b_registers: .fill 7, 4, 0
b_ds:        .word 0
b_es:        .word 0
b_flags:     .word 0
b_wraps:     .word 0
b_idt:       .word 0x3ff
             .long 0
b_old_idt:   .word 0
             .long 0

b_protected: mov $0x48, %ax
             mov %ax, %ds
             mov %ax, %es
             mov %ax, %fs
             mov %ax, %gs
             mov %ax, %ss
             mov %cr0, %eax
             and $0xfe, %al
             mov %eax, %cr0
             ljmp $0x1000, $(b_real - b_begin)
b_real:      mov $0x2000, %ax
             mov %ax, %ss
             mov $0xfff0, %esp
             lidtl %cs:b_idt - b_begin
             xor %ax, %ax
             mov %ax, %fs
             mov %ax, %gs
             mov %cs:b_registers - b_begin, %eax
             mov %cs:b_registers - b_begin + 4, %ebx
             mov %cs:b_registers - b_begin + 8, %ecx
             mov %cs:b_registers - b_begin + 12, %edx
             mov %cs:b_registers - b_begin + 16, %esi
             mov %cs:b_registers - b_begin + 20, %edi
             mov %cs:b_registers - b_begin + 24, %ebp
             mov %cs:b_ds - b_begin, %ds
             mov %cs:b_es - b_begin, %es
             sti
b_action:    .byte 0xcd, 0          # int n, or hlt and nop
             pushf
             cli
             mov %eax, %cs:b_registers - b_begin
             mov %ebx, %cs:b_registers - b_begin + 4
             mov %ecx, %cs:b_registers - b_begin + 8
             mov %edx, %cs:b_registers - b_begin + 12
             mov %esi, %cs:b_registers - b_begin + 16
             mov %edi, %cs:b_registers - b_begin + 20
             mov %ebp, %cs:b_registers - b_begin + 24
             mov %ds, %cs:b_ds - b_begin
             mov %es, %cs:b_es - b_begin
             popw %cs:b_flags - b_begin
             mov $0xffff, %ax
             mov %ax, %gs
             inc %ax
             mov %ax, %fs
             mov %ax, %fs:0x500
             not %ax
             mov %ax, %gs:0x510
             cmp %ax, %fs:0x500
             sete %cs:b_wraps - b_begin
             in $0x92, %al          # protected mode needs the line high
             and $0xfe, %al
             or $2, %al
             out %al, $0x92
             lgdtl %cs:b_gdt - b_begin
             mov %cr0, %eax
             or $1, %al
             mov %eax, %cr0
             ljmpl $0x10, $b_back
b_gdt:       .word 0
             .long 0
b_end:

.code32
.text
bios_enter:  pusha
             pushf
             cli
             mov %esp, bios_saved_esp
             sidt 0x10000 + b_old_idt - b_begin
             sgdt 0x10000 + b_gdt - b_begin
             ljmp $0x40, $(b_protected - b_begin)
b_back:      mov $0x18, %eax
             mov %eax, %ds
             mov %eax, %es
             mov %eax, %fs
             mov %eax, %gs
             mov %eax, %ss
             mov bios_saved_esp, %esp
             lidt 0x10000 + b_old_idt - b_begin
             popf
             popa
             ret
.bss
bios_saved_esp: .long 0
.text
)");
extern "C" void bios_enter();
extern "C" char b_begin[], b_end[], b_action[], b_registers[];

u32 place(const char* label) { return code_base + static_cast<u32>(label - b_begin); }

void act(u8 first, u8 second) {
  *reinterpret_cast<volatile u8*>(place(b_action)) = first;
  *reinterpret_cast<volatile u8*>(place(b_action) + 1) = second;
  bios_enter();
}

}  // namespace

void prepare() {
  for (u32 i = 0; i < static_cast<u32>(b_end - b_begin); ++i) {
    *reinterpret_cast<volatile char*>(code_base + i) = b_begin[i];
  }
  gdt()[code_16 / 8] = make_segment(code_base, 0xffff, 0x9b, 0);
  gdt()[data_16 / 8] = make_segment(0, 0xffff, 0x93, 0);
}

Registers call(u8 interrupt, Registers registers) {
  auto& shared = *reinterpret_cast<volatile Registers*>(place(b_registers));
  const_cast<Registers&>(shared) = registers;
  act(0xcd, interrupt);
  return const_cast<const Registers&>(shared);
}

void halt() { act(0xf4, 0x90); }

}  // namespace guest::bios
