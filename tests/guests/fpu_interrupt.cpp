// An x87 error with CR0.NE clear goes by FERR# and IRQ 13 to the 8259; with NE set it is #MF.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"

using namespace guest;

const char* const test_name = "fpu_interrupt";

namespace {

constexpr u32 cr0_ne = 0x20;
constexpr unsigned fpu_vector = 0x70 + 5;
constexpr u16 busy_latch = 0xf0;
volatile u32 interrupts;
volatile u16 status_word;

void fpu_interrupt(TrapFrame&) {
  u16 status;
  asm volatile("fnstsw %0" : "=a"(status));
  status_word = status;
  out8(busy_latch, 0);
  asm volatile("fnclex");
  out8(0xa0, 0x20);
  out8(0x20, 0x20);
  interrupts = interrupts + 1;
}

// 1 / 0 with the error unmasked; the error waits for the next x87 instruction.
void divide_by_zero() {
  constexpr u16 unmasked = 0x037b;
  asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp" : : "m"(unmasked));
}

void outside() {
  set_cr0(cr0() & ~(cr0_ne | cr0_em | cr0_ts));
  for (u32 i = 0; i < 3; ++i) {
    divide_by_zero();
    asm volatile("sti; nop; nop");
    const u32 before = interrupts;
    asm volatile("fwait; nop; nop; nop; cli" : : : "memory");
    line("error ", i, ": before the next instruction ", before - i, " after ", interrupts - i,
         " status ", hex(status_word & 0xff, 2));
  }
  u16 status;
  asm volatile("fnstsw %0" : "=a"(status));
  line("status afterwards ", hex(status & 0xff, 2));
  // Instructions that do not wait find the error, and make none of it.
  divide_by_zero();
  asm volatile("sti; fnstsw %%ax; fnclex; fwait; nop; nop; cli" : : : "eax", "memory");
  line("cleared in time: ", interrupts);
}

void inside() {
  set_cr0(cr0() | cr0_ne);
  const Trap trap = attempt([] {
    divide_by_zero();
    asm volatile("fwait");
  });
  asm volatile("fnclex");
  line("with NE: vector ", trap.frame.vector, ", ", interrupts, " interrupts");
}

}  // namespace

void test() {
  initialise_8259s(1u << 13, 0x70);
  set_handler(fpu_vector, fpu_interrupt);
  if (option("limits")) outside();  // QEMU 7.2 aborts
  inside();
}
