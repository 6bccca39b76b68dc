// Interrupts: 8259 and 8254 as the tick of a kernel, HLT, the shadows of STI and MOV SS, IF through
// PUSHF, POPF and IRET, gates, priorities, nesting. Only counts and orders are printed, never
// times.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"

using namespace guest;

const char* const test_name = "interrupts";

namespace {

constexpr unsigned timer_vector = 0x20, serial_vector = 0x24;
constexpr u16 com1 = 0x3f8;
volatile u32 ticks, interrupted_eip, nested, seen_flags, seen_service;
volatile u32 order_count;
volatile u8 order[8];

void end_of_interrupt() { out8(0x20, 0x20); }

void count_tick(TrapFrame& frame) {
  ticks = ticks + 1;
  interrupted_eip = frame.eip;
  seen_flags = frame.eflags;
  order[order_count & 7] = 0;
  order_count = order_count + 1;
  end_of_interrupt();
}

void serial_interrupt(TrapFrame&) {
  const u8 cause = in8(com1 + 2);  // reading it takes THRE back
  out8(com1 + 1, 0);
  order[order_count & 7] = static_cast<u8>(0x40 | (cause & 0xf));
  order_count = order_count + 1;
  end_of_interrupt();
}

void unmask(u8 lines) { out8(0x21, static_cast<u8>(~lines)); }

void start_timer(u8 mode, u16 count) {
  out8(0x43, static_cast<u8>(0x30 | mode << 1));
  out8(0x40, static_cast<u8>(count));
  out8(0x40, static_cast<u8>(count >> 8));
}

u8 requested() {
  out8(0x20, 0x0a);
  return in8(0x20);
}

u8 in_service() {
  out8(0x20, 0x0b);
  return in8(0x20);
}

// Waits with IF = 0 until a single tick is requested of the 8259.
void make_tick_pending() {
  ticks = 0;
  start_timer(0, 1200);  // mode 0: once, after a millisecond
  while (!(requested() & 1)) {
  }
}

void periodic_ticks() {
  ticks = 0;
  start_timer(2, 11932);  // 100 Hz
  unmask(1);
  asm volatile("sti");
  u32 halts = 0;
  while (ticks < 10) {
    asm volatile("hlt" : : : "memory");
    ++halts;
  }
  asm volatile("cli");
  line("10 ticks wake from HLT: ", halts > 0 && halts <= 10);
  asm volatile("sti");
  while (ticks < 20) asm volatile("" : : : "memory");
  asm volatile("cli");
  line("20 ticks while spinning: ", ticks >= 20);
  out8(0x43, 0x00);  // latch: the counter must move
  u32 previous = in8(0x40);
  previous |= static_cast<u32>(in8(0x40)) << 8;
  bool moved = false;
  for (u32 i = 0; i < 100000 && !moved; ++i) {
    out8(0x43, 0x00);
    u32 now = in8(0x40);
    now |= static_cast<u32>(in8(0x40)) << 8;
    moved = now != previous;
  }
  line("the counter moves: ", moved);
}

// Each piece runs with a tick pending and IF = 0; it says after how many INCs the tick came, by the
// distance of the interrupted EIP from the piece's label.
#define SHADOW(name, code)                                                          \
  do {                                                                              \
    make_tick_pending();                                                            \
    u32 base;                                                                       \
    asm volatile("jmp 2f\n1: " code "\n cli\n jmp 3f\n 2: mov $1b, %0\n jmp 1b\n3:" \
                 : "=&r"(base)                                                      \
                 :                                                                  \
                 : "eax", "ecx", "memory", "cc");                                   \
    line(name, ": ticks ", ticks, " at +", ticks ? interrupted_eip - base : 0);     \
    if (!ticks) {                                                                   \
      asm volatile("sti; nop; cli");                                                \
      check(ticks == 1, "the tick stays pending");                                  \
    }                                                                               \
  } while (false)

void shadows() {
  SHADOW("sti, nop", "sti\n nop\n nop");
  SHADOW("sti, cli", "sti\n cli\n nop");
  SHADOW("sti, sti, nop", "sti\n sti\n nop\n nop");
  // Whether MOV SS holds an interrupt back again just behind STI is the processor's choice.
  SHADOW("sti, nop, mov ss", "mov %%ss, %%eax\n sti\n nop\n mov %%eax, %%ss\n nop");
  SHADOW("popf", "pushf\n orl $0x200, (%%esp)\n popf\n nop\n nop");
  SHADOW("popf, cli", "pushf\n orl $0x200, (%%esp)\n popf\n cli");
  SHADOW("iret", "pushf\n orl $0x200, (%%esp)\n push %%cs\n push $4f\n iret\n 4: nop\n nop");
  SHADOW("sti, hlt", "sti\n hlt\n nop");
  SHADOW("sti, jmp", "sti\n jmp 4f\n nop\n 4: nop\n nop");
}

void flags_are_kept() {
  line("IF after cli: ", hex(flags() & interrupt_flag, 3));
  asm volatile("sti; nop");
  line("IF after sti: ", hex(flags() & interrupt_flag, 3));
  asm volatile("pushf; cli; popf");
  line("IF after popf: ", hex(flags() & interrupt_flag, 3));
  set_handler(0x50, [](TrapFrame& frame) {
    seen_flags = frame.eflags;
    nested = flags();
  });
  asm volatile("int $0x50");
  line("interrupt gate: pushed ", hex(seen_flags & interrupt_flag, 3), " inside ",
       hex(nested & interrupt_flag, 3), " after ", hex(flags() & interrupt_flag, 3));
  set_gate(0x50, get_gate(0x50) | u64{1} << 40);  // a trap gate leaves IF alone
  asm volatile("int $0x50");
  line("trap gate: pushed ", hex(seen_flags & interrupt_flag, 3), " inside ",
       hex(nested & interrupt_flag, 3), " after ", hex(flags() & interrupt_flag, 3));
  asm volatile("cli; int $0x50");
  line("trap gate, IF clear: inside ", hex(nested & interrupt_flag, 3));
  set_handler(0x50, [](TrapFrame& frame) { frame.eflags |= interrupt_flag | 1; });
  asm volatile("clc; int $0x50");
  line("flags changed by the handler: ", hex(flags() & (interrupt_flag | 1), 3));
  asm volatile("cli");
}

void priorities() {
  set_handler(serial_vector, serial_interrupt);
  unmask(0x11);
  make_tick_pending();
  out8(com1 + 4, 0x0b);  // OUT2 lets the interrupt through
  out8(com1 + 1, 2);     // the transmitter is empty: requested at once
  while (!(requested() & 0x10)) {
  }
  // Nothing may be printed here: a character sent takes the request back.
  const u8 both = requested(), none = in_service();
  order_count = 0;
  asm volatile("sti; nop; nop; cli");
  line("both requested: ", hex(both, 2), " in service ", hex(none, 2));
  line("order: ", order_count, " interrupts, ", hex(order[0], 2), ' ', hex(order[1], 2));
  out8(com1 + 4, 3);

  // A handler that lets the timer in while the serial line is in service.
  set_handler(serial_vector, [](TrapFrame& frame) {
    make_tick_pending();
    const u32 before = ticks;
    asm volatile("sti; nop; nop; cli");
    nested = ticks - before;
    seen_service = in_service();
    serial_interrupt(frame);  // nothing may be printed before: that would ask for another one
  });
  out8(com1 + 4, 0x0b);
  out8(com1 + 1, 2);
  while (!(requested() & 0x10)) {
  }
  order_count = 0;
  asm volatile("sti; nop; nop; cli");
  line("nested: ", nested, " in service ", hex(seen_service, 2));
  line("outer after inner: ", hex(order[0], 2), ' ', hex(order[1], 2));
  out8(com1 + 4, 3);

  unmask(0);
  make_tick_pending();
  asm volatile("sti; nop; nop; cli");
  line("masked: ", ticks);
  unmask(1);
  asm volatile("sti; nop; nop; cli");
  line("unmasked: ", ticks);
  // Without an end of interrupt nothing of the same or a lower priority comes.
  set_handler(timer_vector, [](TrapFrame&) { ticks = ticks + 1; });
  make_tick_pending();
  asm volatile("sti; nop; nop; cli");
  start_timer(0, 1200);
  while (!(requested() & 1)) {
  }
  asm volatile("sti; nop; nop; cli");
  line("no end of interrupt: ", ticks, " in service ", hex(in_service(), 2));
  end_of_interrupt();
  asm volatile("sti; nop; nop; cli");
  line("after it: ", ticks);
  end_of_interrupt();
}

}  // namespace

void test() {
  initialise_8259s(0);
  set_handler(timer_vector, count_tick);
  periodic_ticks();
  shadows();
  flags_are_kept();
  priorities();
}
