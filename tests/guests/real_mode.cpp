// From protected mode to real mode and back, again and again: 16-bit code, interrupts and
// exceptions through the vector table, where it is and how long it is; hidden descriptor caches
// that outlive protected mode; the A20 line. With the word "speed" only the time
// of three million instructions.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "real_mode";

namespace {

constexpr u32 code_base = 0x10000, data_base = 0x30000;
constexpr u16 code_16 = first_free_descriptor * 8, data_16 = code_16 + 8,
              code_32_low = code_16 + 16;

// Everything between r_begin and r_end runs at code_base.
asm(R"(
.set real_cs, 0x1000
.data
.balign 16
.code16
r_begin:
r_target:    .word 0
r_vector:    .long 0
r_frame_ip:  .word 0
r_frame_cs:  .word 0
r_frame_fl:  .word 0
r_idt:       .word 0x3ff
             .long 0
r_old_idt:   .word 0
             .long 0
r_registers: .fill 8, 4, 0
r_sregs:     .fill 3, 2, 0

# From protected mode, 16-bit: DS, ES and SS with 64 KB, FS flat.
r_protected: mov $0x48, %ax
             mov %ax, %ds
             mov %ax, %es
             mov %ax, %gs
             mov %ax, %ss
             mov $0x18, %ax
             mov %ax, %fs
             mov %cr0, %eax
             and $0xfe, %al
             mov %eax, %cr0
             ljmp $real_cs, $(r_real - r_begin)
r_real:      mov $0x3000, %ax
             mov %ax, %ds
             mov %ax, %es
             mov %ax, %gs
             mov $0x2000, %ax
             mov %ax, %ss
             mov $0xfff0, %sp
             lidtl %cs:r_idt - r_begin
             pushw $0
             popf
             xor %eax, %eax
             xor %ebx, %ebx
             xor %ecx, %ecx
             xor %edx, %edx
             xor %esi, %esi
             xor %edi, %edi
             xor %ebp, %ebp
             jmp *%cs:r_target - r_begin

# A vector without a handler of the test's: what it found, and the end.
r_stubs:
.set vector, 0
.rept 32
             .balign 8
             pushw $vector
             jmp r_trap
.set vector, vector + 1
.endr
r_trap:      popw %cs:r_vector - r_begin
             popw %cs:r_frame_ip - r_begin
             popw %cs:r_frame_cs - r_begin
             popw %cs:r_frame_fl - r_begin
r_done:      cli
             mov %eax, %cs:r_registers - r_begin
             mov %ecx, %cs:r_registers - r_begin + 4
             mov %edx, %cs:r_registers - r_begin + 8
             mov %ebx, %cs:r_registers - r_begin + 12
             mov %esp, %cs:r_registers - r_begin + 16
             mov %ebp, %cs:r_registers - r_begin + 20
             mov %esi, %cs:r_registers - r_begin + 24
             mov %edi, %cs:r_registers - r_begin + 28
             mov %ds, %cs:r_sregs - r_begin
             mov %es, %cs:r_sregs - r_begin + 2
             mov %fs, %cs:r_sregs - r_begin + 4
             mov %cr0, %eax
             or $1, %al
             mov %eax, %cr0
             ljmpl $0x10, $r_back

# The tests.
t_modes:     smsw %ax
             and $1, %ax
             mov %cs, %bx
             mov %ss, %cx
             mov %sp, %dx
             jmp r_done
t_flags:     sti
             pushf
             cli
             pushf
             pushw $0x7ed7
             popf
             pushf
             pop %ax
             cli
             cld
             pushl $0x00247ad7
             popfl
             pushfl
             pop %ebx
             pop %cx
             pop %dx
             pushw $0
             popf
             lahf
             jmp r_done
t_interrupt: mov $0x1111, %bx
             stc
             sti
             int $0x60
r_behind:    pushf
             pop %cx
             cli
             jmp r_done
h_interrupt: push %bp
             mov %sp, %bp
             mov 2(%bp), %ax       # IP
             mov 4(%bp), %bx       # CS
             mov 6(%bp), %dx       # flags
             pushf
             pop %si
             andw $0xfffe, 6(%bp)
             pop %bp
             iret
t_divide:    mov $7, %ax
             xor %cx, %cx
             div %cl
             jmp r_done
t_aam:       mov $7, %ax
             aam $0
t_ud2:       ud2
t_bound:     movl $0x00050002, 0
             mov $7, %ax
             bound %ax, 0
t_into:      mov $0x7fff, %ax
             add $1, %ax
             into
t_int3:      int3
t_lar:       lar %ax, %bx
t_verr:      verr %ax
t_sldt:      sldt %ax
t_str:       str %ax
t_lldt:      lldt %ax
t_ltr:       ltr %ax
t_arpl:      .byte 0x63, 0xc3
t_lock:      .byte 0xf0, 0x90
t_wide_int:  .byte 0x66          # operand size: the frame is 16-bit all the same
             int $0x60
             jmp r_done
t_no_fpu:    mov %cr0, %eax
             or $4, %al
             mov %eax, %cr0
             fninit
t_word:      mov 0xfffe, %ax      # the last one, then one beyond
             mov 0xffff, %ax
t_stack_word:
             mov %ss:0xffff, %ax
t_double:    fninit
             flds 0xfffc
             fldl 0xfffa
t_string:    mov $0xfffd, %si
             mov $2, %cx
             rep lodsw
t_beyond:    ljmpl $real_cs, $0x10000
t_step:      pushw $0x100
             popf
             inc %cx
             add %cx, %bx
             pushw $0
             popf
             mov %cs:r_vector - r_begin, %eax
             jmp r_done
h_step:      incl %cs:r_vector - r_begin
             iret
t_vector_90: int $0x90
t_unreal:    mov $0x200000, %esi
             movl $0x13579bdf, %fs:(%esi)
             mov %fs:2(%esi), %ax
             mov $0x3000, %dx
             mov %dx, %fs         # the base moves, the limit stays
             mov $0x1d0000, %edi
             mov %fs:(%edi), %ebx
             mov %fs:4, %cx
             jmp r_done
t_addresses: mov $0x3000, %eax
             mov $0x10, %ebx
             movl $0xa0b0c0d0, (%ebx, %ebx)
             mov 0x20, %ecx
             lea 4(%ebx, %ebx, 8), %edx
             mov $0x10002, %ecx
             xor %esi, %esi
1:           inc %esi
             addr32 loop 1b
             mov $0x12340003, %ecx
2:           inc %esi
             loop 2b
             jmp r_done
t_strings:   mov $0xfff0, %di
             mov $16, %cx
             mov $0x5aa5, %ax
             rep stosw
             mov $0xfffc, %si
             mov $0x100, %di
             mov $4, %cx
             rep movsw
             mov $0x200, %edi
             mov $3, %ecx
             mov $0x11223344, %eax
             addr32 rep stosl
             xor %di, %di
             mov $0x1000, %cx
             mov $0x44, %al
             repne scasb
             jmp r_done
t_stack:     mov %sp, %bx
             push %sp
             pop %ax
             pusha
             mov %sp, %cx
             popa
             pushl $0x12345678
             pop %dx
             pop %si
             enter $8, $2
             mov %sp, %di
             leave
             mov $0, %sp
             pushw $0x7777
             mov %sp, %bp
             mov %ss:0xfffe, %ax
             mov $0xfff0, %sp
             jmp r_done
t_far:       lcall $real_cs + 1, $(f_inner - r_begin - 16)
             mov %cs, %cx
             movw $(f_inner - r_begin - 32), 0x40
             movw $(real_cs + 2), 0x42
             lcall *0x40
             push %cs
             pushw $(1f - r_begin)
             lret
1:           pushw $3
             pushw $4
             push %cs
             call f_release
             mov %sp, %dx
             jmp r_done
f_inner:     mov %cs, %ax
             add %ax, %bx
             lret
f_release:   lret $4
t_fpu:       fninit
             movl $1234, 0x50
             fildl 0x50
             fildl 0x50
             fmulp
             fistpl 0x54
             mov 0x54, %eax
             movups 0x50, %xmm0
             movups %xmm0, 0x61
             mov 0x65, %ebx
             movq 0x50, %mm0
             movd %mm0, %ecx
             emms
             jmp r_done
t_lmsw:      smsw %ax
             or $1, %ax
             lmsw %ax
             ljmp $0x40, $(1f - r_begin)
1:           mov $0x18, %ax
             mov %ax, %es
             mov $0x200000, %edi
             mov %es:(%edi), %edx
             mov %cr0, %eax
             and $0xfe, %al
             mov %eax, %cr0
             ljmp $real_cs, $(2f - r_begin)
2:           mov %es, %cx
             smsw %bx
             and $1, %bx
             and $0x9fffffff, %eax # CD and NW are as the firmware left them
             mov %es:(%edi), %esi  # the cache is protected mode's
             jmp r_done
t_halt:      sti
1:           hlt
             cmpb $3, 0x70
             jb 1b
             cli
             jmp r_done
h_tick:      push %ax
             incb %ds:0x70
             mov $0x20, %al
             out %al, $0x20
             pop %ax
             iret
t_patch:     mov $3, %cx
1:           movb $0x40, %cs:t_patched - r_begin
t_patched:   dec %ax
             loop 1b
             jmp r_done
t_a20:       mov $0xffff, %ax
             mov %ax, %gs
             mov %gs:0x510, %dx
             in $0x92, %al
             and $0xfc, %al
             out %al, $0x92
             mov $0xdd, %ah
             call f_keyboard
             movw $0x7531, %gs:0x510
             mov %gs:0x510, %bx
             mov $0x300500, %esi
             mov %fs:(%esi), %edi
             in $0x92, %al
             and $0xfe, %al
             or $2, %al
             out %al, $0x92
             mov $0xdf, %ah
             call f_keyboard
             mov %gs:0x510, %cx
             xor %esi, %esi
             mov %fs:0x500, %si
             sub %cx, %dx
             xor %ax, %ax
             jmp r_done
f_keyboard:  in $0x64, %al
             test $2, %al
             jnz f_keyboard
             mov %ah, %al
             out %al, $0x64
1:           in $0x64, %al
             test $2, %al
             jnz 1b
             ret
t_loop:      mov $1000000, %ecx
1:           add $1, %eax
             dec %ecx
             jnz 1b
             jmp r_done

# Real mode entered without a jump: CS keeps its D bit.
.code32
t_wide:      mov $0x48, %eax
             mov %eax, %ds
             mov %cr0, %eax
             and $0xfe, %al
             mov %eax, %cr0
             mov $0x12345678, %ebx
             lea 0x1000(%ebx, %ebx), %ecx
             call 1f
             jmp 2f
1:           mov %esp, %edx
             ret
2:           mov %cr0, %eax
             or $1, %al
             mov %eax, %cr0
             ljmp $0x10, $r_wide_back
r_end:

.text
# void enter_real(u32 offset)
.global enter_real
enter_real:  pusha
             pushf
             cli
             mov %esp, saved_esp
             mov 40(%esp), %eax
             mov %ax, 0x10000
             sidt 0x10000 + r_old_idt - r_begin
             ljmp $0x40, $(r_protected - r_begin)
.global enter_wide
enter_wide:  pusha
             pushf
             cli
             mov %esp, saved_esp
             sidt 0x10000 + r_old_idt - r_begin
             ljmp $0x50, $(t_wide - r_begin)
r_wide_back: mov $0x18, %eax
             mov %eax, %ds
             mov %ebx, 0x10000 + r_registers - r_begin + 12
             mov %ecx, 0x10000 + r_registers - r_begin + 4
             sub saved_esp, %edx
             mov %edx, 0x10000 + r_registers - r_begin + 8
r_back:      mov $0x18, %eax
             mov %eax, %ds
             mov %eax, %es
             mov %eax, %fs
             mov %eax, %gs
             mov %eax, %ss
             mov saved_esp, %esp
             lidt 0x10000 + r_old_idt - r_begin
             popf
             popa
             ret
.bss
saved_esp:   .long 0
.text
)");
extern "C" void enter_real(u32 offset);
extern "C" void enter_wide();
extern "C" char r_begin[], r_end[], r_vector[], r_frame_ip[], r_frame_cs[], r_frame_fl[], r_idt[],
    r_registers[], r_sregs[], r_stubs[], r_behind[], t_modes[], t_flags[], t_interrupt[],
    h_interrupt[], t_divide[], t_aam[], t_ud2[], t_bound[], t_into[], t_int3[], t_lar[], t_verr[],
    t_sldt[], t_str[], t_lldt[], t_ltr[], t_arpl[], t_lock[], t_wide_int[], t_no_fpu[], t_step[],
    h_step[], t_word[], t_stack_word[], t_double[], t_string[], t_beyond[], t_vector_90[],
    t_unreal[], t_addresses[], t_strings[], t_stack[], t_far[], t_fpu[], t_lmsw[], t_halt[],
    h_tick[], t_patch[], t_a20[], t_loop[];

u32 offset(const char* label) { return static_cast<u32>(label - r_begin); }

template <class T>
volatile T& at(u32 address) {
  asm("" : "+r"(address));  // the first page is not a null pointer here
  return *reinterpret_cast<volatile T*>(address);
}
template <class T>
volatile T& in_copy(const char* label) {
  return at<T>(code_base + offset(label));
}

void set_vector(u32 table, unsigned vector, const char* handler) {
  at<u32>(table + vector * 4) = code_base / 16 << 16 | offset(handler);
}
void fill_vectors(u32 table) {
  for (unsigned vector = 0; vector < 32; ++vector) set_vector(table, vector, r_stubs + 8 * vector);
  set_vector(table, 0x60, h_interrupt);
}
void set_idt(u32 base, u16 limit) {
  in_copy<u16>(r_idt) = limit;
  at<u32>(code_base + offset(r_idt) + 2) = base;
}

constexpr u32 no_vector = 0xffff;

void run(const char* code) {
  in_copy<u32>(r_vector) = no_vector;
  enter_real(offset(code));
}
u32 result(unsigned number) { return at<u32>(code_base + offset(r_registers) + 4 * number); }

void report(const char* name, const char* code) {
  run(code);
  line(name, ": eax ", hex(result(0)), " ecx ", hex(result(1)), " edx ", hex(result(2)), " ebx ",
       hex(result(3)), " esp ", hex(result(4)), " esi ", hex(result(6)), " edi ", hex(result(7)));
}

void fault(const char* name, const char* code) {
  run(code);
  line(name, ": vector ", u32{in_copy<u16>(r_vector)}, " at ", hex(in_copy<u16>(r_frame_cs), 4),
       ":+", hex(in_copy<u16>(r_frame_ip) - offset(code), 2), " flags ",
       hex(in_copy<u16>(r_frame_fl) & ~0x8d5u, 4), " sp ", hex(result(4), 4));
}

void exceptions() {
  const struct {
    const char* name;
    const char* code;
  } rows[] = {{"div", t_divide}, {"aam", t_aam},   {"ud2", t_ud2},      {"bound", t_bound},
              {"into", t_into},  {"int3", t_int3}, {"lar", t_lar},      {"verr", t_verr},
              {"sldt", t_sldt},  {"str", t_str},   {"lldt", t_lldt},    {"ltr", t_ltr},
              {"arpl", t_arpl},  {"lock", t_lock}, {"no fpu", t_no_fpu}};
  for (const auto& row : rows) fault(row.name, row.code);
  set_cr0(cr0() & ~cr0_em);
}

// Offsets that reach beyond 64 KB.
void limits() {
  fault("word", t_word);
  fault("word on the stack", t_stack_word);
  fault("double", t_double);
  fault("string", t_string);
  line("  cx ", hex(result(1) & 0xffff, 4), " si ", hex(result(6) & 0xffff, 4));
  fault("jump beyond", t_beyond);
}

void interrupts() {
  report("int 60", t_interrupt);
  line("  returns to +", hex((result(0) & 0xffff) - offset(r_behind), 2));
  report("wide int", t_wide_int);
  in_copy<u32>(r_vector) = 0;
  set_vector(0, 1, h_step);
  enter_real(offset(t_step));
  line("steps: ", result(0));
  set_vector(0, 1, r_stubs + 8);
  // Elsewhere, and cut.
  constexpr u32 elsewhere = 0x34000;
  fill_vectors(elsewhere);
  set_vector(elsewhere, 3, r_stubs + 8 * 17);
  set_idt(elsewhere, 0x3ff);
  fault("int3 by another table", t_int3);
  set_idt(elsewhere, 0x7f);
  fault("int 90 behind the limit", t_vector_90);
  set_idt(0, 0x3ff);
}

void timer() {
  constexpr u8 master[4] = {0x11, 0x70, 4, 1};
  out8(0x20, master[0]);
  for (unsigned i = 1; i < 4; ++i) out8(0x21, master[i]);
  set_vector(0, 0x70, h_tick);
  out8(0x43, 0x34);
  out8(0x40, 0x00);
  out8(0x40, 0x10);
  at<u8>(data_base + 0x70) = 0;
  out8(0x21, 0xfe);
  run(t_halt);
  out8(0x21, 0xff);
  line("ticks: ", at<u8>(data_base + 0x70) >= 3);
}

void caches() {
  at<u32>(0x200000) = 0;
  at<u32>(data_base + 4) = 0xdeadbeef;
  report("unreal", t_unreal);
  line("  ", hex(at<u32>(0x200000)));
  report("back by lmsw", t_lmsw);
  enter_wide();
  line("32-bit code: ebx ", hex(result(3)), " ecx ", hex(result(1)), " stack ", hex(result(2)));
}

u32 time_stamp() {
  u32 low;
  asm volatile("rdtsc" : "=a"(low) : : "edx");
  return low;
}

void speed() {
  const u32 start = time_stamp();
  run(t_loop);
  line("time stamps: ", time_stamp() - start);
}

void a20() {
  at<u32>(0x500) = 0x11111111;
  at<u32>(0x200500) = 0x24681357;
  at<u32>(0x300500) = 0x33333333;
  report("a20", t_a20);
  line("  ", hex(at<u32>(0x500)), ' ', hex(at<u32>(0x300500)));
}

}  // namespace

void test() {
  set_cr0((cr0() & ~(cr0_em | cr0_ts)) | cr0_mp | 0x20);
  set_cr4(cr4() | cr4_osfxsr);
  // Asked now: what the boot loader told may lie where the code goes.
  const bool with_limits = option("limits"), timed = option("speed");
  for (u32 i = 0; i < offset(r_end); ++i) at<char>(code_base + i) = r_begin[i];
  for (u32 i = 0; i < 0x10000; i += 4) at<u32>(data_base + i) = 0;
  gdt()[code_16 / 8] = make_segment(code_base, 0xffff, 0x9b, 0);
  gdt()[data_16 / 8] = make_segment(0, 0xffff, 0x93, 0);
  gdt()[code_32_low / 8] = make_segment(code_base, 0xfffff, 0x9b, 0xc);
  fill_vectors(0);
  if (timed) return speed();
  report("modes", t_modes);
  report("flags", t_flags);
  interrupts();
  exceptions();
  if (with_limits) limits();
  report("addresses", t_addresses);
  report("strings", t_strings);
  line("  ", hex(at<u32>(data_base)), ' ', hex(at<u32>(data_base + 0x100)), ' ',
       hex(at<u32>(data_base + 0x208)));
  report("stack", t_stack);
  report("far", t_far);
  report("fpu", t_fpu);
  report("patch", t_patch);
  caches();
  timer();
  a20();
  for (unsigned i = 0; i < 500; ++i) run(t_modes);
  report("500 times", t_modes);
}
