// The nonmaskable interrupt: sent by the local APIC to itself and by the I/O APIC for the timer,
// taken whatever IF says, held back from its delivery to the next IRET. With the word `exact` also
// that an IRET which faults lets the next one in, which QEMU does not do.
#include <initializer_list>

#include "runtime/apic.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "nmi";

namespace {

constexpr u32 timer_pin = 2;

volatile u32 count, depth, deepest, wanted;
volatile u32 flags_seen, selector_seen, count_inside;

void send_nmi() {
  apic::write(apic::command_high, 0);
  apic::write(apic::command, apic::nmi);
}

void note(TrapFrame& frame) {
  count = count + 1;
  depth = depth + 1;
  if (depth > deepest) deepest = depth;
  flags_seen = frame.eflags;
  selector_seen = frame.cs;
  if (wanted != 0) {
    wanted = wanted - 1;
    send_nmi();
    send_nmi();  // there is no queue
    asm volatile("nop; nop; nop" : : : "memory");
  }
  count_inside = count;
  depth = depth - 1;
}

void print_count(const char* name) {
  line(name, ": ", count, ", deepest ", deepest, ", IF ", (flags_seen & interrupt_flag) != 0,
       " cs ", hex(selector_seen, 4));
  count = 0;
  deepest = 0;
}

void in_the_kernel() {
  asm volatile("cli" : : : "memory");
  send_nmi();
  asm volatile("nop; nop" : : : "memory");
  print_count("with IF clear");
  asm volatile("sti" : : : "memory");
  send_nmi();
  asm volatile("nop; jmp 1f; 1: nop; cli" : : : "memory");  // QEMU looks at a jump
  print_count("with IF set");
  for (const u32 more : {1u, 3u}) {
    wanted = more;
    send_nmi();
    asm volatile("nop; nop; nop; nop" : : : "memory");
    print_count("sent again in the handler");
  }
}

// Again and again, so that no tick can come too early.
void by_the_timer() {
  io_apic::set_entry(timer_pin, apic::nmi);
  out8(0x43, 0x34);
  out8(0x40, 0);
  out8(0x40, 0);
  asm volatile("hlt" : : : "memory");
  io_apic::set_entry(timer_pin, apic::masked);
  line("wakes a processor that is halted with IF clear: ", count != 0);
  count = 0;
  deepest = 0;
}

alignas(16) u8 user_stack[256];

// Ring 3 reaches the APIC's page here. It waits for the count to change, then asks for the end.
void in_user_code(u32 user_flags) {
  UserState state;
  state.esp = reinterpret_cast<u32>(user_stack + sizeof user_stack);
  state.eflags = user_flags;
  apic::write(apic::command_high, 0);
  asm volatile(
      "mov $1f, %0; jmp 3f;"
      "1: movl %2, 0xfee00300; 2: mov %1, %%eax; test %%eax, %%eax; jz 2b; int $0x40; 3:"
      : "=r"(state.eip)
      : "m"(count), "i"(apic::nmi));
  const Trap trap = run_user(state);
  line("user code ended by vector ", trap.frame.vector);
  print_count("in user code");
}

// An IRET to a null selector within the handler.
void faulting_return() {
  set_handler(2, [](TrapFrame&) {
    count = count + 1;
    if (count != 1) return;
    const Trap trap = attempt([] { asm volatile("pushf; push $0; push $0; iret" : : : "memory"); });
    send_nmi();
    asm volatile("nop; nop" : : : "memory");
    count_inside = count + trap.frame.vector * 0x100;
  });
  count = 0;
  send_nmi();
  asm volatile("nop; nop" : : : "memory");
  line("after a return that faults: ", hex(count_inside), " in all ", count);
}

}  // namespace

void test() {
  set_handler(2, note);
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  in_the_kernel();
  by_the_timer();
  in_user_code(2);
  in_user_code(2 | interrupt_flag);
  if (option("exact")) faulting_return();
}
