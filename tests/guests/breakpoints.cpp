// Debug registers: breakpoints on writes, on any access and on execution.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

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

}  // namespace

void test() { breakpoints(); }
