// User code that has IOPL 3 or runs with IF clear, in turns with user code that has neither: flags
// and interrupts that are its own, ports, code that it shares with the other and changes, address
// spaces that differ in it, and slots of linear space looked at by both. With the word "speed"
// a line tells what an instruction takes, which no twin run compares.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/paging.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "iopl_3";

namespace {

constexpr u32 all_ports = 0x3000 | interrupt_flag, own_flag = 0x3000, plain = interrupt_flag;
constexpr u32 slot_bytes = 0x400000, private_slot = 16;
constexpr u8 timer_line = 0x20;

Page user_stack, shared, own[2];
PageTable spaces[2], private_tables[2];
u32 ticks;

// EDX as given; ECX: how often.
asm(R"(
.text
i_sum:    xor %eax, %eax
1:        add %ecx, %eax
          dec %ecx
          jnz 1b
          int $0x80
i_call:   call 2f
          mov $2f, %ebx
          call *%ebx
          int $0x80
2:        inc %eax
          ret
i_flags:  stc
          pushf
          cli
          pushf
          pushl $0x3e47
          popf
          pushf
          pushl $0x47
          popf
          pushf
          sti
          pushf
          pop %eax
          pop %ebx
          pop %ecx
          pop %edx
          pop %esi
          int $0x80
i_wait:   sti
1:        cmpl $3, (%edx)
          jb 1b
          cli
          mov %edx, %esi
          mov (%esi), %ebx
          rdtsc
          mov %eax, %edi
2:        rdtsc
          sub %edi, %eax
          cmp $5000000, %eax  # more than a tick takes
          jb 2b
          mov %ebx, %eax
          sub (%esi), %eax
          int $0x80
i_port:   in $0x21, %al
          mov %eax, %ebx
          xor $2, %al
          out %al, $0x21
          in $0x21, %al
          xchg %eax, %ebx
          out %al, $0x21
          int $0x80
i_read:   mov (%edx), %eax
          int $0x80
i_push:   mov %edx, %esp
          push %edx
          int $0x80
i_patch:  incb 4f+1
4:        mov $0, %al
          int $0x80
// The registers, which enter_user does not set.
i_start:  mov given, %eax
          mov given+4, %ecx
          mov given+8, %edx
          jmp *given+12
.bss
given:    .skip 16
.text
)");
extern "C" char i_sum[], i_call[], i_flags[], i_wait[], i_port[], i_read[], i_push[], i_patch[],
    i_start[];
extern "C" u32 given[];

Trap run_at(u32 eip, u32 eflags, u32 edx = 0, u32 ecx = 0) {
  given[0] = 0;
  given[1] = ecx;
  given[2] = edx;
  given[3] = eip;
  UserState state;
  state.eip = reinterpret_cast<u32>(i_start);
  state.eflags = eflags | 2;
  state.esp = user_stack.address() + 0x800;
  return run_user(state);
}

Trap run(const char* code, u32 eflags, u32 edx = 0, u32 ecx = 0) {
  return run_at(reinterpret_cast<u32>(code), eflags, edx, ecx);
}

constexpr u32 resume_flag = 0x10000;  // TCG saves it clear for a fault (docs/equivalence.md)

void flags_and_ports() {
  for (const u32 eflags : {all_ports, plain, own_flag, 0u, plain, all_ports}) {
    const TrapFrame sum = run(i_sum, eflags, 0, 10000).frame;
    line("IOPL and IF ", hex(eflags, 4), ": sum ", sum.eax, " flags ", hex(sum.eflags), " calls ",
         run(i_call, eflags).frame.eax);
    const TrapFrame seen = run(i_flags, eflags).frame;
    line("vector ", seen.vector, ": ", hex(seen.esi), ' ', hex(seen.edx), ' ', hex(seen.ecx), ' ',
         hex(seen.ebx), ' ', hex(seen.eax), " and ", hex(seen.eflags & ~resume_flag));
    const Trap port = run(i_port, eflags);
    line("ports: ", port, " read ", hex(port.frame.eax & 0xff, 2), ' ',
         hex(port.frame.ebx & 0xff, 2));
  }
}

void tick(TrapFrame&) {
  ++ticks;
  out8(0x20, 0x20);
}

// User code that waits with its own IF set, and holds interrupts back by it.
void interrupts() {
  set_handler(timer_line, tick);
  out8(0x43, 0x34);
  out8(0x40, 0x00);
  out8(0x40, 0x10);
  initialise_8259s(1);
  const Trap end = run(i_wait, own_flag, reinterpret_cast<u32>(&ticks));
  line("three ticks: ", ticks >= 3, ", while IF was clear: ", 0u - end.frame.eax, " flags ",
       hex(end.frame.eflags & 0x3200, 4));
  out8(0x21, 0xff);
}

// The same instructions for both kinds, changed by each kind and by the kernel.
void changes() {
  for (const u32 eflags : {all_ports, plain, 0u, plain, plain, all_ports, all_ports}) {
    line("changed by itself: al ", run(i_patch, eflags).frame.eax & 0xff);
  }
  const u32 code = shared.address();
  for (u32 i = 1; i < 6; ++i) {
    shared.words[0] = 0x80cd00b0 | i << 8;  // mov al, i; int 80h
    line("by the kernel: ", run_at(code, i % 2 != 0 ? all_ports : plain).frame.eax & 0xff, ' ',
         run_at(code, i % 2 != 0 ? plain : all_ports).frame.eax & 0xff);
  }
}

void make_spaces() {
  for (u32 index = 0; index < 2; ++index) {
    for (u32 i = 0; i < low_tables; ++i) spaces[index].entries[i] = directory.entries[i];
    spaces[index].entries[private_slot] = private_tables[index].address() | all_rights;
    private_tables[index].entries[0] = own[index].address() | all_rights;
    own[index].words[0] = 0x80cd00b0 | (index + 7) << 8;  // mov al, index + 7; int 80h
  }
}

void address_spaces() {
  make_spaces();
  u32 sums[2] = {};
  for (u32 i = 0; i < 60; ++i) {
    const u32 index = i / 2 % 2;
    set_cr3(spaces[index].address());
    sums[index] +=
        run_at(private_slot * slot_bytes, i % 3 == 0 ? plain : all_ports).frame.eax & 0xff;
  }
  line("by turns: ", sums[0], ' ', sums[1]);
  set_cr3(directory.address());
  line("in neither: ", run_at(private_slot * slot_bytes, all_ports));
}

// Nothing is above low memory, for any of them. The last slots are those where the window may be.
void slots_above() {
  for (const u32 eflags : {all_ports, plain, own_flag}) {
    u32 faults = 0;
    for (u32 slot = low_tables; slot < 1024; slot += slot < 1000 ? 16 : 1) {
      for (const u32 offset : {0u, 0x130000u, 0x150000u, 0x200000u, 0x390000u}) {
        const u32 address = slot * slot_bytes + offset;
        const Trap read = run(i_read, eflags, address), push = run(i_push, eflags, address + 4);
        faults += read.frame.vector == 14 && read.frame.error == 4 && read.cr2 == address;
        faults += push.frame.vector == 14 && push.frame.error == 6 && push.cr2 == address;
      }
    }
    line("IOPL and IF ", hex(eflags, 4), ": faults ", faults);
  }
}

void tell(const char* what, u32 eflags) {
  const u64 start = time_stamp();
  run(i_sum, eflags, 0, 1000000);
  line("speed, ", what, ": ", static_cast<u32>(time_stamp() - start));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);
  flags_and_ports();
  interrupts();
  changes();
  address_spaces();
  slots_above();
  if (!option("speed")) return;
  tell("neither", plain);
  tell("IOPL 3", all_ports);
  tell("IF clear", 0);
}
