// Debug registers: breakpoints on writes, on any access and on execution.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "breakpoints";

namespace {

volatile u32 steps, debug_status, watched;

u32 dr6() {
  u32 value;
  asm volatile("mov %%dr6, %0" : "=r"(value));
  return value;
}
void set_dr6(u32 value) { asm volatile("mov %0, %%dr6" : : "r"(value)); }
void set_dr7(u32 value) { asm volatile("mov %0, %%dr7" : : "r"(value)); }
void set_dr0(u32 value) { asm volatile("mov %0, %%dr0" : : "r"(value)); }

asm(R"(
.text
b_code: nop
        ret
)");
extern "C" char b_code[];

void count_step(TrapFrame&) {
  steps = steps + 1;
  debug_status = debug_status | dr6();
  set_dr6(0xffff0ff0);
}

void breakpoints() {
  set_handler(1, count_step);
  steps = 0;
  debug_status = 0;
  set_dr0(reinterpret_cast<u32>(&watched));
  set_dr7(0x000d0402);  // 4 bytes, writes, global
  watched = 1;
  u32 copy = watched;
  watched = copy + 1;
  set_dr7(0x400);
  line("write breakpoint: ", steps, " dr6 ", hex(debug_status & 0xe00f, 4));
  steps = 0;
  debug_status = 0;
  set_dr7(0x000f0402);  // reads too
  watched = 1;
  copy = watched;
  watched = copy + 1;
  set_dr7(0x400);
  line("access breakpoint: ", steps);
  set_handler(1, nullptr);
  set_dr0(reinterpret_cast<u32>(b_code));
  set_dr7(0x402);
  const Trap trap = attempt([] {
    asm volatile("call *%0" : : "r"(b_code) : "eax", "ecx", "edx", "memory");
  });
  set_dr7(0x400);
  line("execution breakpoint: vector ", trap.frame.vector, " at +",
       trap.frame.eip - reinterpret_cast<u32>(b_code), " dr6 ", hex(dr6() & 0xe00f, 4));
  set_dr0(0x12345678);
  u32 value;
  asm volatile("mov %%dr0, %0" : "=r"(value));
  line("dr0: ", hex(value));
  asm volatile("mov %%dr7, %0" : "=r"(value));
  line("dr7: ", hex(value));
}

// CR4.DE: a breakpoint may mean ports, and DR4 and DR5 are no longer DR6 and DR7.
void port_breakpoints() {
  constexpr u32 debugging_extensions = 8;
  set_handler(1, count_step);
  u32 value;
  asm volatile("mov %%db5, %0" : "=r"(value));
  line("dr5 without DE: ", hex(value));
  set_cr4(cr4() | debugging_extensions);
  line("dr5 with DE: vector ", attempt([] {
                                 u32 ignored;
                                 asm volatile("mov %%db5, %0" : "=r"(ignored));
                               }).frame.vector);
  const auto count = [](const char* name, auto access) {
    steps = 0;
    debug_status = 0;
    set_dr7(0x00060402);  // two bytes, ports
    access();
    set_dr7(0x400);
    line(name, ": ", steps, " dr6 ", hex(debug_status & 0xf, 1));
  };
  set_dr0(0x80);
  count("out 80", [] { out8(0x80, 1); });
  count("in 81", [] { in8(0x81); });
  count("in 82", [] { in8(0x82); });
  count("inw 7f", [] { asm volatile("inw %%dx, %%ax" : : "d"(0x7f) : "eax"); });
  if (option("limits")) {  // once for each iteration, which TCG does not
    count("rep outsb", [] {
      asm volatile("mov $3, %%ecx; rep outsb" : : "S"(&watched), "d"(0x80) : "ecx");
    });
  }
  count("memory at 80", [] { asm volatile("movb 0x80, %%al" : : : "eax"); });
  set_cr4(cr4() & ~debugging_extensions);
}

// A breakpoint that MOV SS meets is held back until the next instruction is done.
void stack_switch() {
  set_handler(1, [](TrapFrame& frame) {
    watched = frame.eip;
    count_step(frame);
  });
  static u32 selector;
  asm volatile("mov %%ss, %0" : "=m"(selector));
  set_dr0(reinterpret_cast<u32>(&selector));
  steps = 0;
  debug_status = 0;
  set_dr7(0x000f0402);
  u32 base;
  asm volatile("mov $1f, %0; 1: mov %1, %%ss; nop; nop" : "=&r"(base) : "m"(selector));
  set_dr7(0x400);
  line("breakpoint of mov ss: ", steps, " at +", watched - base, " dr6 ",
       hex(debug_status & 0xf, 1));
}

// DR7.GD: an access to a debug register is a fault, told by DR6.BD; the handler finds GD clear.
void general_detect() {
  constexpr u32 detect = 0x2000;
  static volatile u32 seen_dr7;
  set_handler(1, [](TrapFrame& frame) {
    u32 value;
    asm volatile("mov %%dr7, %0" : "=r"(value));
    seen_dr7 = value;
    watched = frame.eip;
    count_step(frame);
  });
  steps = 0;
  debug_status = 0;
  u32 base;
  asm volatile("mov %1, %%eax; mov $1f, %0; mov %%eax, %%dr7; 1: mov %%dr6, %%eax; nop"
               : "=&r"(base)
               : "i"(0x400 | detect)
               : "eax");
  line("general detect: ", steps, " at +", watched - base, " dr6 ", hex(debug_status & 0xe00f, 4),
       " dr7 ", hex(seen_dr7, 4));
}

// RF in the flags that a handler returns with lets the instruction go on once.
void resume() {
  set_handler(1, [](TrapFrame& frame) {
    frame.eflags |= 0x10000;
    count_step(frame);
  });
  steps = 0;
  debug_status = 0;
  set_dr0(reinterpret_cast<u32>(b_code));
  set_dr7(0x402);
  for (u32 i = 0; i < 3; ++i) asm volatile("call b_code");
  set_dr7(0x400);
  line("with RF set by the handler: ", steps, " dr6 ", hex(debug_status & 0xe00f, 4));
}

// Four at once, of all lengths; the bytes that each of them covers.
void lengths() {
  static Page page;
  set_handler(1, count_step);
  const u32 at = page.address() + 0x100;
  asm volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2"
               :
               : "r"(at + 1), "r"(at + 2), "r"(at + 4));
  set_dr7(0x0d510400 | 0x2a);  // writes of one, two and four bytes
  print("covered:");
  for (u32 offset = 0; offset < 10; ++offset) {
    debug_status = 0;
    *reinterpret_cast<volatile u8*>(at + offset) = 1;
    print(' ', hex(debug_status & 0xf, 1));
  }
  put('\n');
  if (option("limits")) {  // TCG tells of one
    debug_status = 0;
    steps = 0;
    memory_at(at) = 0;
    line("two with one write: ", steps, " dr6 ", hex(debug_status & 0xf, 1));
  }
  set_dr7(0x400);
}

}  // namespace

void test() {
  breakpoints();
  port_breakpoints();
  lengths();
  if (!option("limits")) return;
  stack_switch();
  general_detect();
  resume();
}
