// What microkernels do to the processor: every slot of the kernel's side of the address space is
// filled with large pages of memory, so that the window has to be on the user's side, and move
// there when a page is mapped in passing; SYSENTER with its stack pointer found through the TSS; FS
// and GS with new bases at each way out, by descriptors that are rewritten in place; address spaces
// that share the kernel. With the word "speed" lines tell what a call takes, which no twin run
// compares.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "microkernel";

namespace {

constexpr u32 slot_bytes = 0x400000, kernel_base = 0xe0000000, memory = 0x4000000;
constexpr u32 first_kernel_slot = kernel_base / slot_bytes, last_slot = 1023;
constexpr u32 user_base = 0x08000000, passing = kernel_base - slot_bytes;
constexpr u32 global = 0x100, cr4_pge = 0x80;
constexpr u32 kernel_rights = present | writable | large | global;
constexpr u16 thread_data = 9 * 8 + 3, message_data = 10 * 8 + 3;

PageTable spaces[2], user_tables[2], last_table;
Page user_text, user_pages[2];

// Registers of a thread as its way in pushes them, from the end; esp0 of the TSS points there.
struct Thread {
  u32 gs, fs, es, ds, edi, esi, ebp, ebx, eax, eip, eflags, esp;
};
// Below them is room for what the ways in by a gate push.
struct alignas(16) ThreadStack {
  u32 words[2048 - sizeof(Thread) / 4];
  Thread thread;
};
ThreadStack stacks[2];
u32 current;
u32 calls, calls_left;

// Position-independent user code; EBX says how often. It sums what it finds through GS and FS.
asm(R"(
.text
m_begin:
m_calls:    xor %esi, %esi
1:          mov $m_back - m_begin + 0x08000000, %edx
            mov %esp, %ecx
            sysenter
m_back:     add %gs:0, %esi
            add %fs:4, %esi
            dec %ebx
            jnz 1b
            int $0x80
m_gates:    xor %esi, %esi
1:          int $0x30
            add %gs:0, %esi
            dec %ebx
            jnz 1b
            int $0x80
m_touch:    mov (%ebx), %esi
            int $0x80
m_end:

.bss
.align 16
.skip 4096
m_stack_end:
.text
m_entry:    mov (%esp), %esp
            push %ecx
            pushf
            orl $0x200, (%esp)
            push %edx
            push %eax
            push %ebx
            push %ebp
            push %esi
            push %edi
            push %ds
            push %es
            push %fs
            push %gs
            mov $m_stack_end, %esp
            call m_service
            mov %eax, %esp
            pop %gs
            pop %fs
            add $8, %esp
            pop %edi
            pop %esi
            pop %ebp
            pop %ebx
            pop %eax
            pop %edx
            mov 4(%esp), %ecx
            andl $~0x200, (%esp)
            popf
            orl $0x200, -4(%esp)
            sti
            sysexit
)");
extern "C" char m_begin[], m_calls[], m_gates[], m_touch[], m_end[], m_entry[];

u32 placed(const char* label) { return user_base + static_cast<u32>(label - m_begin); }
u32 alias(u32 address) { return address + kernel_base; }
u32 slot_address(u32 slot) { return slot * slot_bytes; }

// In the parts that a descriptor has them in, as a compiler writes bit fields.
void rewrite_base(u16 segment, u32 base) {
  volatile u16* const words = reinterpret_cast<volatile u16*>(&gdt()[segment / 8]);
  volatile u8* const bytes = reinterpret_cast<volatile u8*>(&gdt()[segment / 8]);
  words[1] = static_cast<u16>(base);
  bytes[4] = static_cast<u8>(base >> 16);
  bytes[7] = static_cast<u8>(base >> 24);
}

void enter_space(u32 index) {
  current = index;
  set_cr3(spaces[index].address());
  task_state().esp0 = reinterpret_cast<u32>(&stacks[index] + 1);
}

void aim_segments() {
  rewrite_base(thread_data, user_base + page_bytes + 16 * (calls % 3));
  rewrite_base(message_data, user_base + page_bytes + 64);
}

// The other thread's turn, in its own address space, as long as calls are left.
extern "C" Thread* m_service() {
  ++calls;
  if (calls_left != 0) {
    --calls_left;
    enter_space(1 - current);
  }
  aim_segments();
  return &stacks[current].thread;
}

void make_spaces() {
  for (u32 index = 0; index < 2; ++index) {
    PageTable& space = spaces[index];
    space.entries[0] = kernel_rights;  // the image
    for (u32 slot = first_kernel_slot; slot < last_slot; ++slot) {
      const u32 frame = (slot - first_kernel_slot) * slot_bytes % memory;
      space.entries[slot] = frame | kernel_rights;
    }
    space.entries[last_slot] = last_table.address() | present | writable;
    space.entries[user_base / slot_bytes] = user_tables[index].address() | all_rights;
    user_tables[index].entries[0] = user_text.address() | present | user;
    user_tables[index].entries[1] = user_pages[index].address() | all_rights;
    for (u32 word = 0; word < 1024; ++word) user_pages[index].words[word] = 0;
    for (u32 i = 0; i < 3; ++i) user_pages[index].words[4 * i] = 0x10000 * (index + 1) + i;
    user_pages[index].words[17] = 0x1000000;
  }
  last_table.entries[0] = user_pages[0].address() | present | writable | global;
  last_table.entries[1] = 0xfee00000 | present | writable | global | 0x18;
  for (u32 i = 0; i * 4 < static_cast<u32>(m_end - m_begin); ++i) {
    user_text.words[i] = reinterpret_cast<const u32*>(m_begin)[i];
  }
  gdt()[thread_data / 8] = make_segment(0, 0xfffff, 0xf3, 0xc);
  gdt()[message_data / 8] = make_segment(0, 0xfffff, 0xf3, 0xc);
}

// Each slot of the kernel's side shows its memory, whatever else may want to be there.
void all_slots() {
  u32 wrong = 0;
  for (u32 slot = first_kernel_slot; slot < last_slot; ++slot) {
    volatile u32& here =
        memory_at(slot_address(slot) + (user_pages[1].address() & (slot_bytes - 1)));
    const bool same = slot_address(slot - first_kernel_slot) % memory == 0;
    const u32 before = here;
    here = slot;
    if (here != slot || (same && user_pages[1].words[0] != slot)) ++wrong;
    here = before;
    for (const u32 offset : {0x1000u, 0x130000u, 0x140000u, 0x181000u, 0x3ff000u}) {
      const u32 low = (slot - first_kernel_slot) % 16 == 0 ? offset : 0;
      if (low && memory_at(slot_address(slot) + low) != memory_at(low)) ++wrong;
    }
  }
  line("slots wrong: ", wrong);
  line("in the last table: ", hex(memory_at(0xffc00000)), " version ",
       hex(memory_at(0xffc01030) & 0xf0, 2));
}

// Code that runs high, with a return into low code.
u32 sum_high(u32 count) {
  u32 (*function)(u32);
  asm volatile(
      "lea 1f, %0; add %1, %0; jmp 2f\n"
      "1: mov 4(%%esp), %%ecx; xor %%eax, %%eax\n"
      "3: pushf; add %%ecx, %%eax; popf; dec %%ecx; jnz 3b; ret\n"
      "2:"
      : "=&r"(function)
      : "r"(kernel_base));
  return function(count);
}

// A slot on the user's side is used for a moment, to look at what lies elsewhere in memory.
void in_passing() {
  const u32 slot = passing / slot_bytes;
  for (u32 turn = 0; turn < 3; ++turn) {
    line("nothing there: ", attempt([] { load(passing); }));
    spaces[0].entries[slot] = kernel_rights;
    invlpg(passing);
    u32 wrong = 0;
    for (u32 address = 0xf0000; address < 0x100000; address += 16) {
      if (memory_at(passing + address) != memory_at(alias(address))) ++wrong;
    }
    memory_at(passing + user_pages[1].address() + 0x800) = turn + 77;
    line("seen in passing, wrong: ", wrong, " written: ", user_pages[1].words[0x200]);
    spaces[0].entries[slot] = 0;
    invlpg(passing);
  }
}

void prepare_thread(u32 index, const char* code, u32 count) {
  Thread& thread = stacks[index].thread;
  thread = {};
  thread.gs = thread_data;
  thread.fs = message_data;
  thread.ds = thread.es = user_data;
  thread.ebx = count;
  thread.eip = placed(code);
  thread.eflags = 2 | interrupt_flag;
  thread.esp = user_base + 2 * page_bytes;
}

// Threads end by INT 80h, whose frame is then on a stack of its own.
Trap run_thread(u32 index, const char* code, u32 count) {
  prepare_thread(0, code, count);
  prepare_thread(1, code, count);
  enter_space(index);
  aim_segments();
  return attempt([] {
    asm volatile(
        "mov %0, %%esp\n"
        "pop %%gs; pop %%fs; pop %%es; pop %%ds; pop %%edi; pop %%esi; pop %%ebp; pop %%ebx\n"
        "pop %%eax; pop %%edx; mov 4(%%esp), %%ecx\n"
        "sti; sysexit"
        :
        : "r"(&stacks[current].thread));
  });
}

void tell(const char* name, const Trap& end, u64 ticks, u32 count) {
  line(name, ": ", end.frame.vector, " sum ", hex(end.frame.esi), " calls ", calls);
  if (option("speed")) line("speed, ", name, ": ", static_cast<u32>(ticks) / count, " ticks");
  calls = 0;
}

void system_calls() {
  write_msr(0x174, kernel_code);
  write_msr(0x175, reinterpret_cast<u32>(&task_state().esp0));
  write_msr(0x176, alias(reinterpret_cast<u32>(m_entry)));
  set_gate(0x80, make_gate(kernel_code, 0, 0xee) | (get_gate(0x80) & 0xffff00000000ffff));
  set_gate(0x30, make_gate(kernel_code, 0, 0xee) | (get_gate(0x30) & 0xffff00000000ffff));
  set_handler(0x30, [](TrapFrame&) { ++calls; });
  constexpr u32 count = 300;
  u64 start = time_stamp();
  Trap end = run_thread(0, m_calls, count);
  tell("sysenter", end, time_stamp() - start, count);

  calls_left = 2 * count - 1;
  start = time_stamp();
  end = run_thread(0, m_calls, count);
  calls_left = 0;
  tell("sysenter to the other space", end, time_stamp() - start, 2 * count);

  start = time_stamp();
  end = run_thread(1, m_gates, count);
  tell("gate", end, time_stamp() - start, count);
}

// The user's pages may be where the window has gone to.
void user_slots() {
  u32 wrong = 0;
  for (u32 slot = first_kernel_slot - 1; slot > first_kernel_slot - 40; slot -= 3) {
    spaces[1].entries[slot] = user_tables[0].address() | all_rights;
    const Trap end = run_thread(1, m_touch, slot_address(slot) + page_bytes);
    if (end.frame.vector != 0x80 || end.frame.esi != user_pages[0].words[0]) ++wrong;
    const Trap beside = run_thread(1, m_touch, slot_address(slot - 1) + 2 * page_bytes);
    if (beside.frame.vector != 14 || beside.frame.error != 4) ++wrong;
  }
  line("user slots wrong: ", wrong);
  const Trap kernel = run_thread(1, m_touch, kernel_base + 0x100000);
  line("kernel from ring 3: ", kernel.frame.vector, " error ", kernel.frame.error, " cr2 ",
       hex(kernel.cr2));
}

}  // namespace

void test() {
  make_spaces();
  set_cr4(cr4() | cr4_pse | cr4_osfxsr);
  set_cr3(spaces[0].address());
  set_cr0(cr0() | cr0_pg | cr0_wp);
  set_cr4(cr4() | cr4_pge);
  all_slots();
  const u64 start = time_stamp();
  line("high: ", sum_high(2000));
  if (option("speed")) line("speed, high: ", static_cast<u32>(time_stamp() - start) / 2000);
  in_passing();
  system_calls();
  user_slots();
}
