// A TSS with a bitmap for all 65536 ports, in pages of their own behind it, as microkernels have
// it: pages of the bitmap that are not there, which the kernel maps when user code's access faults;
// another bitmap after a switch of address spaces; bits that change; accesses of several ports, at
// the border of two pages and at the end; IOPL 3. With the word "speed" lines tell what an access
// takes, which no twin run compares.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "port_bitmap";

namespace {

// The TSS ends where the bitmap begins.
constexpr u32 bitmap_base = 0xefc00000, tss_base = bitmap_base - 0x100;
constexpr u32 bitmap_bytes = 0x2000, iopl_3 = 0x3000;
constexpr u32 slot_bytes = 0x400000;

PageTable tss_table, bitmap_tables[2], spaces[2];
Page tss_page, bitmaps[2][2], delimiter, user_stack;
u32 faults, last_fault, last_error;

// EDX: the port. EAX: what is written; ECX: how often.
asm(R"(
.text
b_in:    in %dx, %al
         int $0x80
b_in16:  in %dx, %ax
         int $0x80
b_in32:  in %dx, %eax
         int $0x80
b_out:   out %al, %dx
         int $0x80
b_read:  mov %edx, %edi
         mov $4, %ecx
         rep insb
         int $0x80
b_loop:  in %dx, %al
         dec %ecx
         jnz b_loop
         int $0x80
b_flags: pushf
         pop %eax
         cli
         pushf
         pop %ebx
         sti
         int $0x80
)");
extern "C" char b_in[], b_in16[], b_in32[], b_out[], b_read[], b_loop[], b_flags[];

// enter_user sets the registers: a few instructions of user code before the rest.
asm(R"(
b_start: mov registers_, %eax
         mov registers_+4, %ecx
         mov registers_+8, %edx
         jmp *%ss:registers_+12
.bss
registers_: .skip 16
.text
)");
extern "C" char b_start[];
extern "C" u32 registers_[];

Trap run(const char* code, u32 port, u32 value = 0, u32 count = 1, u32 eflags = 0x202) {
  registers_[0] = value;
  registers_[1] = count;
  registers_[2] = port;
  registers_[3] = reinterpret_cast<u32>(code);
  UserState state;
  state.eip = reinterpret_cast<u32>(b_start);
  state.eflags = eflags;
  state.esp = user_stack.address() + 0x800;
  return run_user(state);
}

// QEMU's machine reads zeros from an unclaimed port at an odd address.
void report(const char* what, const Trap& end, bool aligned = true) {
  print(what, ": ", end.frame.vector);
  if (end.frame.vector == 0x80 && aligned) print(" eax ", hex(end.frame.eax));
  if (end.frame.vector != 0x80) print(" error ", end.frame.error);
  if (faults != 0) print(" faults ", faults, " at ", hex(last_fault), " error ", last_error);
  put('\n');
  faults = 0;
}

void set_port(Page* bitmap, u32 port, bool refused) {
  volatile u32& word = bitmap[port / 0x8000].words[port % 0x8000 / 32];
  word = (word & ~(1u << port % 32)) | u32{refused} << port % 32;
}

// Maps what is missing of the bitmap; other faults end the attempt.
u32 current_space;
void map_bitmap(TrapFrame& frame) {
  const u32 address = cr2();
  ++faults;
  last_fault = address;
  last_error = frame.error;
  const u32 page = (address - bitmap_base) / page_bytes;
  const u32 missing = page == 2 ? delimiter.address() : bitmaps[current_space][page & 1].address();
  bitmap_tables[current_space].entries[page] = missing | present | writable;
}

void enter_space(u32 index) {
  current_space = index;
  set_cr3(spaces[index].address());
}

void make_spaces() {
  map_low_memory();
  for (u32 index = 0; index < 2; ++index) {
    for (u32 i = 0; i < low_tables; ++i) spaces[index].entries[i] = directory.entries[i];
    spaces[index].entries[tss_base / slot_bytes] = tss_table.address() | present | writable;
    spaces[index].entries[bitmap_base / slot_bytes] =
        bitmap_tables[index].address() | present | writable;
    for (Page& page : bitmaps[index]) {
      for (u32 i = 0; i < 1024; ++i) page.words[i] = ~0u;
    }
  }
  tss_table.entries[1023] = tss_page.address() | present | writable;
  delimiter.words[0] = 0xff;
  enter_space(0);
  set_cr0(cr0() | cr0_pg | cr0_wp);
  TaskState& task = *reinterpret_cast<TaskState*>(tss_base);
  task.esp0 = task_state().esp0;
  task.ss0 = kernel_data;
  task.io_map = 0x100;
  gdt()[first_free_descriptor] = make_segment(tss_base, 0x100 + bitmap_bytes, 0x89, 0);
  asm volatile("ltr %0" : : "r"(static_cast<u16>(first_free_descriptor * 8)));
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);
  set_handler(14, map_bitmap);
}

void allowed_and_refused() {
  report("refused", run(b_in, 0x3fb));
  set_port(bitmaps[0], 0x3fb, false);
  report("allowed", run(b_in, 0x3fb));
  report("two of which one is refused", run(b_in16, 0x3fb));
  set_port(bitmaps[0], 0x3fc, false);
  set_port(bitmaps[0], 0x21, false);
  report("written", run(b_out, 0x21, 0xfb));
  line("mask: ", hex(in8(0x21), 2));
  out8(0x21, 0xff);
  report("a string", run(b_read, 0x1234));
  set_port(bitmaps[0], 0x21, true);
  report("refused again", run(b_out, 0x21, 0));
}

void borders() {
  for (const u32 port : {0x7ffeu, 0x7fffu, 0x8000u, 0xfffcu, 0xfffeu, 0xffffu}) {
    for (u32 i = port; i < port + 4 && i < 0x10000; ++i) set_port(bitmaps[0], i, false);
    for (u32 page = 0; page < 3; ++page) bitmap_tables[0].entries[page] = 0;
    set_cr3(spaces[0].address());
    line("port ", hex(port, 4));
    report("byte", run(b_in, port));
    report("word", run(b_in16, port), port % 2 == 0);
    report("double word", run(b_in32, port), port % 4 == 0);
  }
}

void other_space() {
  set_port(bitmaps[1], 0x3fb, true);
  set_port(bitmaps[1], 0x21, false);
  enter_space(1);
  report("there refused", run(b_in, 0x3fb));
  report("there allowed", run(b_in, 0x21));
  enter_space(0);
  report("here allowed", run(b_in, 0x3fb));
  report("here refused", run(b_in, 0x21));
  reinterpret_cast<TaskState*>(tss_base)->io_map = 0x8000;
  report("no bitmap", run(b_in, 0x3fb));
  reinterpret_cast<TaskState*>(tss_base)->io_map = 0x100;
}

void all_privileges() {
  report("by IOPL", run(b_in, 0x21, 0, 1, 0x202 | iopl_3));
  const Trap end = run(b_flags, 0, 0, 1, 0x202 | iopl_3);
  line("flags: ", hex(end.frame.eax & 0x3200), ' ', hex(end.frame.ebx & 0x3200));
}

void tell(const char* what, u32 port, u32 eflags) {
  constexpr u32 count = 2000;
  const u64 start = time_stamp();
  run(b_loop, port, 0, count, eflags);
  const u64 end = time_stamp();
  if (option("speed")) line("speed, ", what, ": ", static_cast<u32>(end - start) / count);
}

}  // namespace

void test() {
  make_spaces();
  allowed_and_refused();
  borders();
  other_space();
  all_privileges();
  set_port(bitmaps[0], 0x61, false);
  set_port(bitmaps[0], 0x3fd, false);
  tell("time port", 0x61, 0x202);
  tell("serial line", 0x3fd, 0x202);
  tell("serial line, IOPL 3", 0x3fd, 0x202 | iopl_3);
}
