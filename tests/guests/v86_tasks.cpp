// Virtual-8086 tasks with a monitor of their own inside the guest: what traps is emulated or
// reflected through the task's vector table, interrupts come in between, pages are given at the
// first touch, and tasks are switched by TSS in both directions. With the word "speed" only the
// time of three million instructions.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "v86_tasks";

namespace {

constexpr u32 code_base = 0x20000, data_base = 0x30000;
constexpr u32 vm_flag = 0x20000, iopl_3 = 0x3000, trap_flag = 0x100;

asm(R"(
.data
.code16
w_begin:
# A DOS-like program: its own handler for INT 21h, flags, ports, strings.
w_program:
            mov $0x3000, %ax
            mov %ax, %ds
            mov %ax, %es
            xor %di, %di
            mov $0x1234, %bx
            int $0x21
            mov %ax, 0
            pushf
            pop %ax
            mov %ax, 2
            cli
            pushf
            pop %ax
            mov %ax, 4
            sti
            pushfl
            pop %eax
            mov %eax, 8
            pushl $0x00240ed7
            popfl
            pushfl
            pop %eax
            mov %eax, 12
            cld
            in $0x61, %al
            mov $0x1f0, %dx
            outb %al, %dx
            mov $0x10, %di
            mov $5, %cx
            mov $'x', %al
            rep stosb
            xor %eax, %eax
            mov $0x12345678, %esi
            int $0x20
w_handler_21:
            push %bp
            mov %sp, %bp
            mov %bx, %ax
            not %ax
            xorb $1, 6(%bp)       # carry of the caller
            pop %bp
            iret
w_loop:     xor %eax, %eax
1:          inc %eax
            cmp %ebx, %eax
            jne 1b
            int $0x20
w_wait:     xor %ebx, %ebx
1:          inc %ebx
            cmpb $3, %fs:0
            jb 1b
            int $0x20
w_touch:    mov $0x5000, %ax
            mov %ax, %ds
            xor %bx, %bx
            mov $4, %cx
1:          mov %cx, (%bx)
            add $0x1000, %bx
            loop 1b
            mov %ds:0x0ffe, %dx
            add %ds:0, %dx
            add %ds:0x1000, %dx
            int $0x20
w_high:     mov $0xffff, %ax
            mov %ax, %ds
            mov %ds:0xfffe, %bx
            int $0x20
w_patch:    mov $3, %cx
1:          movb $0x40, %cs:w_patched - w_begin   # inc ax instead of dec ax
w_patched:  dec %ax
            loop 1b
            int $0x20
w_step:     mov $1, %ax
            inc %ax
            add %ax, %bx
            push %ax
            pop %cx
            int $0x20
w_iopl3:    cli
            pushf
            pop %ax
            sti
            pushf
            pop %bx
            pushw $0x0000
            popf
            pushf
            pop %cx
            pushw $0x4ed7
            popf
            pushf
            pop %dx
            cld
            pushf
            push %cs
            pushw $(1f - w_begin)
            iret
1:          hlt
w_task:     inc %eax
            mov %eax, %fs:8
            int $0x30
            cmp $5, %eax
            jne w_task
            hlt
w_int3:     int3
w_into:     mov $0x7fff, %ax
            add $1, %ax
            into
w_bound:    mov $0x3000, %ax
            mov %ax, %ds
            movl $0x00050002, 0
            mov $7, %ax
            bound %ax, 0
w_ins:      mov $0x3000, %ax
            mov %ax, %es
            xor %di, %di
            mov $2, %cx
            mov $0x80, %dx
            rep insb
w_lock:     .byte 0xf0, 0x90   # LOCK NOP
w_word:     mov 0xfffe, %ax
            mov 0xffff, %ax
w_stack_word:
            mov %ss:0xffff, %ax
w_stack:    mov $1, %sp
            push %ax
w_double:   fninit
            fldl 0xfffa
w_string:   mov $0xfffd, %si
            mov $2, %cx
            rep lodsw
w_beyond:   ljmpl $0x2000, $0x10000
w_end:
.code32
.text
.global w_enter
w_enter:    mov 4(%esp), %eax
            push 0x1c(%eax)       # gs
            push 0x18(%eax)       # fs
            push 0x14(%eax)       # ds
            push 0x10(%eax)       # es
            push $0x4000          # ss
            push $0xfffe          # esp
            push 4(%eax)          # eflags
            push $0x2000          # cs
            push (%eax)           # eip
            mov 8(%eax), %ebx
            xor %ecx, %ecx
            xor %edx, %edx
            xor %esi, %esi
            xor %edi, %edi
            xor %ebp, %ebp
            xor %eax, %eax
            iret
# The task behind INT 30h: counts, and goes back to whom it interrupted.
.global ring0_task
ring0_task: incl ring0_entries
            iret
            jmp ring0_task
)");
struct Start {
  u32 eip, eflags, ebx = 0, unused = 0, es = 0, ds = 0, fs = 0x3800, gs = 0;
};
extern "C" [[noreturn]] void w_enter(const Start*);
extern "C" void ring0_task();
extern "C" {
volatile u32 ring0_entries;
}
extern "C" char w_begin[], w_program[], w_handler_21[], w_loop[], w_wait[], w_touch[], w_high[],
    w_patch[], w_step[], w_iopl3[], w_task[], w_int3[], w_into[], w_bound[], w_ins[], w_lock[],
    w_word[], w_stack_word[], w_stack[], w_double[], w_string[], w_beyond[], w_end[];

constexpr u32 offset(const char* code) { return static_cast<u32>(code - w_begin); }

// The monitor: one task, whose IF is virtual.
struct Task {
  bool interrupt_flag = true;
  u32 emulated[256] = {};  // by opcode
  u32 reflected[256] = {};
  u32 faults = 0, ticks = 0, steps = 0;
} task;

volatile u16& word_at(u32 address) {
  asm("" : "+r"(address));  // the first page is not a null pointer here
  return *reinterpret_cast<volatile u16*>(address);
}
u8 byte_at(u32 address) { return *reinterpret_cast<volatile u8*>(address); }
u32 linear(u32 segment, u32 at) { return (segment & 0xffff) * 16 + (at & 0xffff); }

void push16(TrapFrame& f, u32 value) {
  f.esp = (f.esp - 2) & 0xffff;
  word_at(linear(f.ss, f.esp)) = static_cast<u16>(value);
}
u32 pop16(TrapFrame& f) {
  const u32 value = word_at(linear(f.ss, f.esp));
  f.esp = (f.esp + 2) & 0xffff;
  return value;
}
u32 virtual_flags(const TrapFrame& f) {
  return (f.eflags & ~(interrupt_flag | iopl_3)) | (task.interrupt_flag ? interrupt_flag : 0);
}
void set_flags(TrapFrame& f, u32 value, u32 which) {
  task.interrupt_flag = value & interrupt_flag;
  f.eflags = (f.eflags & ~which) | (value & which) | vm_flag | interrupt_flag;
}

void reflect(TrapFrame& f, unsigned vector) {
  ++task.reflected[vector];
  push16(f, virtual_flags(f));
  push16(f, f.cs);
  push16(f, f.eip);
  f.eip = word_at(vector * 4);
  f.cs = word_at(vector * 4 + 2);
  task.interrupt_flag = false;
}

// What a sensitive instruction does for the task. False: the task has ended.
bool emulate(TrapFrame& f) {
  constexpr u32 low_flags = 0x4dd5, wide_flags = 0x244dd5;
  u32 at = linear(f.cs, f.eip);
  const u32 first = at;
  const bool wide = byte_at(at) == 0x66;
  if (wide) ++at;
  const u8 opcode = byte_at(at++);
  ++task.emulated[opcode];
  u32 value;
  switch (opcode) {
    case 0xfa:
    case 0xfb:
      task.interrupt_flag = opcode == 0xfb;
      break;
    case 0x9c:
      if (wide) push16(f, virtual_flags(f) >> 16 & 0x24);
      push16(f, virtual_flags(f));
      break;
    case 0x9d:
      value = pop16(f);
      if (wide) value |= pop16(f) << 16;
      set_flags(f, value, wide ? wide_flags : low_flags);
      break;
    case 0xcf:
      f.eip = pop16(f);
      f.cs = pop16(f);
      set_flags(f, pop16(f), low_flags);
      return true;
    case 0xe4:
      f.eax = (f.eax & ~0xffu) | 0x5a;
      ++at;
      break;
    case 0xee:
      break;
    case 0xcd: {
      const u8 vector = byte_at(at++);
      f.eip += at - first;
      if (vector == 0x20) return false;
      reflect(f, vector);
      return true;
    }
    default:
      return false;
  }
  f.eip += at - first;
  return true;
}

TrapFrame ended;
extern "C" [[noreturn]] void guarded_escape();
[[noreturn]] void leave(TrapFrame& f) {
  ended = f;
  guarded_escape();
}

void general_protection(TrapFrame& f) {
  if (!(f.eflags & vm_flag) || !emulate(f)) leave(f);
}
void page_fault(TrapFrame& f) {
  const u32 address = cr2();
  ++task.faults;
  if (f.error != 4 && f.error != 6) leave(f);
  low[address >> 22].entries[address >> 12 & 0x3ff] = (address & ~0xfffu) | all_rights;
}
void tick(TrapFrame&) {
  ++task.ticks;
  *reinterpret_cast<volatile u8*>(0x38000) = static_cast<u8>(task.ticks);
  out8(0x20, 0x20);
}
void step(TrapFrame&) { ++task.steps; }

const TrapFrame& run(const char* code, u32 flags = interrupt_flag, u32 ebx = 0) {
  const Start start = {.eip = offset(code), .eflags = 2 | vm_flag | flags, .ebx = ebx};
  attempt([&] { w_enter(&start); });
  return ended;
}

void program() {
  word_at(0x21 * 4) = static_cast<u16>(offset(w_handler_21));
  word_at(0x21 * 4 + 2) = code_base >> 4;
  task = {};
  for (u32 i = 0; i < 0x18; i += 4) memory_at(data_base + i) = 0;
  const TrapFrame& f = run(w_program);
  line("program ends at ", hex(f.cs & 0xffff, 4), ":+", hex(f.eip - offset(w_program), 3), " eax ",
       hex(f.eax), " esi ", hex(f.esi), " sp ", hex(f.esp, 4), " di ", hex(f.edi, 4));
  print("memory:");
  for (u32 i = 0; i < 0x18; i += 4) print(' ', hex(memory_at(data_base + i)));
  put('\n');
  print("emulated:");
  for (unsigned i = 0; i < 256; ++i) {
    if (task.emulated[i]) print(' ', hex(i, 2), '=', task.emulated[i]);
  }
  line("; reflected 21: ", task.reflected[0x21]);
}

void loop() {
  const TrapFrame& f = run(w_loop, interrupt_flag, 30000);
  line("loop: ", f.eax);
}

u32 time_stamp() {
  u32 low;
  asm volatile("rdtsc" : "=a"(low) : : "edx");
  return low;
}

void speed() {
  const u32 start = time_stamp();
  run(w_loop, interrupt_flag, 1000000);
  line("time stamps: ", time_stamp() - start);
}

// Interrupts of the machine, while the task's IF is set and while it is not; it cannot hold back
// those that the guest's kernel wants.
void interrupts() {
  constexpr u8 master[4] = {0x11, 0x40, 4, 1};
  out8(0x20, master[0]);
  for (unsigned i = 1; i < 4; ++i) out8(0x21, master[i]);
  set_handler(0x40, tick);
  out8(0x43, 0x34);
  out8(0x40, 0x00);
  out8(0x40, 0x04);
  out8(0x21, 0xfe);
  task = {};
  memory_at(0x38000) = 0;
  run(w_wait);
  out8(0x21, 0xff);
  line("three ticks came: ", task.ticks >= 3);
  task = {};
  memory_at(0x38000) = 0;
  out8(0x21, 0xfe);
  const Start start = {.eip = offset(w_loop), .eflags = 2 | vm_flag, .ebx = 300000};
  attempt([&] { w_enter(&start); });
  line("with IF clear none: ", task.ticks == 0, ", eax ", ended.eax);
  out8(0x21, 0xff);
}

void pages() {
  for (u32 at = 0x50000; at < 0x54000; at += 4) memory_at(at) = 0;
  for (u32 page = 0x50; page < 0x54; ++page) low[0].entries[page] = 0;
  set_cr3(directory.address());
  task = {};
  const TrapFrame& f = run(w_touch);
  line("first touches: faults ", task.faults, " dx ", hex(f.edx, 4));
  const u32 expected = memory_at(0x10ffec) >> 16;
  line("above the megabyte: ", (run(w_high).ebx & 0xffff) == expected);
}

void code_changes() {
  const TrapFrame& f = run(w_patch);
  line("patched code: ax ", hex(f.eax, 4));
}

void stepping() {
  task = {};
  const TrapFrame& f = run(w_step, interrupt_flag | trap_flag);
  line("steps: ", task.steps, " ax ", f.eax, " cx ", f.ecx, " TF ", (f.eflags & trap_flag) != 0);
}

void high_privilege() {
  const TrapFrame& f = run(w_iopl3, interrupt_flag | iopl_3);
  line("IOPL 3: ", hex(f.eax & 0xffff, 4), ' ', hex(f.ebx & 0xffff, 4), ' ', hex(f.ecx & 0xffff, 4),
       ' ', hex(f.edx & 0xffff, 4), " vector ", f.vector, " flags ", hex(f.eflags & ~0x10000u));
}

void fault(const char* name, const char* code) {
  for (const u32 level : {u32{0}, iopl_3}) {
    const Start start = {.eip = offset(code), .eflags = 2 | vm_flag | level, .ds = data_base >> 4};
    const Trap trap = attempt([&] { w_enter(&start); });
    line(name, " at IOPL ", level >> 12, ": vector ", trap.frame.vector, " error ",
         hex(trap.frame.error, 4), " at +", hex(trap.frame.eip - offset(code), 2));
  }
}

// The guest's own view of each fault, without the monitor.
void other_faults() {
  set_handler(13, nullptr);
  fault("int3", w_int3);
  fault("into", w_into);
  fault("bound", w_bound);
  fault("ins", w_ins);
  fault("lock", w_lock);
  if (option("limits")) {  // offsets that reach beyond 64 KB
    fault("word", w_word);
    fault("word on the stack", w_stack_word);
    fault("push", w_stack);
    fault("double", w_double);
    fault("string", w_string);
    fault("jump beyond", w_beyond);
  }
  set_handler(13, general_protection);
}

struct Tss {
  u32 link, esp0, ss0, other_stacks[4], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi,
      es, cs, ss, ds, fs, gs, ldt, io_map;
};
Tss v86_task, inner_task;
alignas(16) u8 inner_stack[1024], v86_kernel_stack[4096];

// CALL to a TSS whose EFLAGS have VM; from there INT through a task gate and IRET back.
void task_switches() {
  constexpr unsigned v86_index = first_free_descriptor, inner_index = v86_index + 1;
  v86_task = {};
  v86_task.esp0 = reinterpret_cast<u32>(v86_kernel_stack + sizeof v86_kernel_stack);
  v86_task.ss0 = kernel_data;
  v86_task.cr3 = directory.address();
  v86_task.eip = offset(w_task);
  v86_task.eflags = 2 | vm_flag | iopl_3;
  v86_task.esp = 0xfffe;
  v86_task.cs = code_base >> 4;
  v86_task.ss = 0x4000;
  v86_task.fs = 0x3800;
  v86_task.io_map = 104 << 16;
  inner_task = v86_task;
  inner_task.eip = reinterpret_cast<u32>(ring0_task);
  inner_task.esp = reinterpret_cast<u32>(inner_stack + sizeof inner_stack);
  inner_task.eflags = 2;
  inner_task.cs = kernel_code;
  inner_task.ss = inner_task.ds = inner_task.es = inner_task.fs = inner_task.gs = kernel_data;
  gdt()[v86_index] = make_segment(reinterpret_cast<u32>(&v86_task), 103, 0x89, 0);
  gdt()[inner_index] = make_segment(reinterpret_cast<u32>(&inner_task), 103, 0x89, 0);
  set_gate(0x30, make_gate(inner_index * 8, 0, 0xe5));
  attempt([] { asm volatile("lcall %0, $0" : : "i"(v86_index * 8) : "memory"); });
  line("tasks: eax ", ended.eax, " counted ", memory_at(0x38008), " inner ", u32{ring0_entries},
       " ended by vector ", ended.vector, " at +", hex(ended.eip - offset(w_task), 2), " flags ",
       hex(ended.eflags & ~0x108d5u));
  line("busy: v86 ", hex(static_cast<u32>(gdt()[v86_index] >> 40) & 0xff, 2), " inner ",
       hex(static_cast<u32>(gdt()[inner_index] >> 40) & 0xff, 2), " ours ",
       hex(static_cast<u32>(gdt()[tss_selector / 8] >> 40) & 0xff, 2), " link ",
       hex(v86_task.link & 0xffff, 4), " saved flags ", hex(v86_task.eflags & ~0x8d5u));
  gdt()[tss_selector / 8] &= ~(u64{2} << 40);
  asm volatile("ltr %0" : : "r"(tss_selector));
}

}  // namespace

void test() {
  set_cr0(cr0() & ~(cr0_em | cr0_ts));
  const u32 bytes = static_cast<u32>(w_end - w_begin);
  for (u32 i = 0; i < bytes; ++i) *reinterpret_cast<volatile char*>(code_base + i) = w_begin[i];
  map_low_memory();
  enable_paging();
  set_handler(13, general_protection);
  set_handler(14, page_fault);
  set_handler(1, step);
  if (option("speed")) return speed();
  program();
  loop();
  interrupts();
  pages();
  code_changes();
  stepping();
  high_privilege();
  other_faults();
  task_switches();
}
