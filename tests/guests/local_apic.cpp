// The local APIC: its registers, interrupts by priority, interprocessor interrupts to oneself, the
// timer, the 8259 through LINT0 and without an APIC. With the word `exact` also what QEMU does not
// do: the error status register and the masks of an APIC that software has disabled.
#include <initializer_list>

#include "runtime/apic.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "local_apic";

namespace {

constexpr u32 msr_base = 0x1b, low_vector = 0x41, middle_vector = 0x53, high_vector = 0x62,
              timer_vector = 0x70, error_vector = 0x71, spurious_vector = 0xff,
              timer_line_vector = 0x20;

volatile u32 served_count;
volatile u8 served[8];
u32 (*look)();  // what the handler is to look at
volatile u32 seen;
volatile bool nests;
volatile u32 depth, deepest, nested_vector;

void send(u32 command, u32 destination = 0) {
  apic::write(apic::command_high, destination << 24);
  apic::write(apic::command, command);
}

void note(TrapFrame& frame) {
  depth = depth + 1;
  if (depth > deepest) deepest = depth;
  if (served_count < 8) served[served_count] = static_cast<u8>(frame.vector);
  served_count = served_count + 1;
  if (look) seen = look();
  if (nests && frame.vector == low_vector) {
    send(apic::to_self | nested_vector);
    asm volatile("sti; nop; nop; nop; cli" : : : "memory");
  }
  depth = depth - 1;
  apic::end_interrupt();
}

void open() { asm volatile("sti; nop; nop; nop; nop; nop; nop; cli" : : : "memory"); }

void print_served(const char* name) {
  print(name, ": ", served_count, " served");
  for (u32 i = 0; i < served_count && i < 8; ++i) print(' ', hex(served[i], 2));
  put('\n');
  served_count = 0;
}

u32 cpuid_features() {
  u32 eax = 1, ebx, ecx, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
  return edx;
}
u32 base_register() {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr_base));
  return low;
}

void registers() {
  line("base ", hex(base_register()), " cpuid ", (cpuid_features() >> 9 & 1) != 0);
  line("id ", hex(apic::read(apic::id)), " version ", hex(apic::read(apic::version)), " format ",
       hex(apic::read(apic::format)), " spurious ", hex(apic::read(apic::spurious)));
  const struct {
    const char* name;
    u32 offset, value;
  } rows[] = {{"task priority", apic::task_priority, 0xa5},
              {"logical id", apic::logical_id, 0x5a000000},
              {"format", apic::format, 0x0fffffff},
              {"command high", apic::command_high, 0x12000000},
              {"timer entry", apic::timer, 0x300ab},
              {"thermal entry", apic::thermal, 0x104cd},
              {"performance entry", apic::performance, 0x100ef},
              {"lint0 entry", apic::lint0, 0x1a077},
              {"lint1 entry", apic::lint1, 0x12478},
              {"error entry", apic::error_entry, 0x10079},
              {"initial count", apic::initial_count, 0},
              {"divide", apic::divide, 0xb}};
  for (const auto& row : rows) {
    const u32 before = apic::read(row.offset);
    apic::write(row.offset, row.value);
    const u32 after = apic::read(row.offset);
    apic::write(row.offset, before);
    line(row.name, ' ', hex(after));
  }
}

void one_interrupt() {
  send(apic::to_self | low_vector);
  line("requested ", apic::has(apic::requests, low_vector), " in service ",
       apic::has(apic::in_service, low_vector));
  look = [] {
    return apic::read(apic::processor_priority) << 8 |
           u32{apic::has(apic::requests, low_vector)} << 2 |
           u32{apic::has(apic::in_service, low_vector)} << 1 |
           u32{apic::has(apic::trigger_mode, low_vector)};
  };
  open();
  look = nullptr;
  line("in the handler ", hex(seen), ", after it in service ",
       apic::has(apic::in_service, low_vector), " priority ",
       hex(apic::read(apic::processor_priority)));
  print_served("one");
}

void request_three() {
  for (const u32 vector : {low_vector, high_vector, middle_vector}) send(apic::to_self | vector);
}

// A handler that lets others in is interrupted by a higher class only.
void nested(u32 second) {
  nests = true;
  deepest = 0;
  nested_vector = second;
  send(apic::to_self | low_vector);
  open();
  nests = false;
  line("deepest with ", hex(second, 2), ": ", deepest);
  print_served("nested");
}

void priorities() {
  request_three();
  open();
  print_served("three");
  for (const u32 priority : {0x40u, 0x4fu, 0x50u, 0x60u, 0xf0u}) {
    apic::write(apic::task_priority, priority);
    request_three();
    open();
    print("task priority ", hex(priority, 2));
    print_served("");
    apic::write(apic::task_priority, 0);
    open();
    print_served("then");
  }
  nested(high_vector);
  nested(low_vector + 1);
}

void destinations() {
  const struct {
    const char* name;
    u32 command, destination, format, logical_id;
  } rows[] = {{"all", apic::to_all, 0, ~0u, 0},
              {"others", apic::to_others, 0, ~0u, 0},
              {"physical 0", 0, 0, ~0u, 0},
              {"physical 1", 0, 1, ~0u, 0},
              {"physical all", 0, 0xff, ~0u, 0},
              {"flat, ours", apic::logical, 0x06, ~0u, 0x02000000},
              {"flat, not ours", apic::logical, 0x05, ~0u, 0x02000000},
              {"flat, nobody", apic::logical, 0xfe, ~0u, 0},
              {"cluster, ours", apic::logical, 0x25, 0x0fffffff, 0x24000000},
              {"cluster, another bit", apic::logical, 0x28, 0x0fffffff, 0x24000000},
              {"cluster, another", apic::logical, 0x34, 0x0fffffff, 0x24000000},
              {"lowest priority", apic::logical | 0x100, 0x06, ~0u, 0x02000000}};
  for (const auto& row : rows) {
    apic::write(apic::format, row.format);
    apic::write(apic::logical_id, row.logical_id);
    send(row.command | low_vector, row.destination);
    open();
    print_served(row.name);
  }
  apic::write(apic::format, ~0u);
}

void timer() {
  apic::write(apic::divide, 0xb);  // by 1
  apic::write(apic::timer, apic::masked | timer_vector);
  apic::write(apic::initial_count, ~0u);
  const u32 first = apic::read(apic::current_count);
  line("counts down ", comes([&] { return apic::read(apic::current_count) < first; }));
  apic::write(apic::timer, timer_vector);
  apic::write(apic::initial_count, 1000000);
  const bool once = comes([] {
    open();
    return served_count != 0;
  });
  line("interrupts ", once, ", then holds ", apic::read(apic::current_count), " of ",
       apic::read(apic::initial_count));
  print_served("one shot");
  apic::write(apic::timer, apic::periodic | timer_vector);
  apic::write(apic::initial_count, 5000000);
  line("again and again ", comes([] {
         open();
         return served_count >= 3;
       }));
  apic::write(apic::initial_count, 0);
  open();
  served_count = 0;
  line("stopped at ", apic::read(apic::current_count), ", interrupts ", comes_soon([] {
         open();
         return served_count != 0;
       }));
  apic::write(apic::timer, apic::masked | timer_vector);
  apic::write(apic::initial_count, 100000);
  const bool expired = comes([] { return apic::read(apic::current_count) == 0; });
  open();
  line("masked: runs out ", expired, ", interrupts ", served_count != 0, " requested ",
       apic::has(apic::requests, timer_vector));
}

u16 pit_count() {
  out8(0x43, 0);
  const u8 low = in8(0x40);
  return static_cast<u16>(low | in8(0x40) << 8);
}

// Ticks of the APIC's timer while the 8254 makes 2000 of its own.
u32 ticks(u32 divide) {
  apic::write(apic::divide, divide);
  apic::write(apic::initial_count, ~0u);
  const u16 start = pit_count();
  const u32 first = apic::read(apic::current_count);
  while (static_cast<u16>(start - pit_count()) < 2000) {
  }
  return first - apic::read(apic::current_count);
}

// Something else may have had the machine during a measurement; a wrong divisor is wrong each time.
bool divides(u32 code, u32 shift) {
  for (u32 i = 0; i < 40; ++i) {
    const u32 undivided = ticks(0xb), scaled = ticks(code) << shift;
    if (scaled > undivided / 4 * 3 && scaled / 4 * 3 < undivided) return true;
  }
  return false;
}

void divisors() {
  out8(0x43, 0x34);  // the 8254 goes round at its slowest
  out8(0x40, 0);
  out8(0x40, 0);
  const u32 codes[] = {0, 1, 2, 3, 8, 9, 10};
  for (u32 i = 0; i < 7; ++i) {
    line("divided by ", 2u << i, ": as it should ", divides(codes[i], i + 1));
  }
  apic::write(apic::initial_count, 0);
}

// A tick of the 8254, if it comes through.
bool tick_comes(bool expected = true) {
  served_count = 0;
  out8(0x43, 0x30);
  out8(0x40, 100);
  out8(0x40, 0);
  out8(0x21, 0xfe);
  const auto served_one = [] {
    open();
    return served_count != 0;
  };
  const bool came = expected ? comes(served_one) : comes_soon(served_one);
  out8(0x21, 0xff);
  out8(0x20, 0x20);
  return came;
}

void virtual_wire() {
  initialise_8259s(0);
  set_handler(timer_line_vector, [](TrapFrame&) {
    served_count = served_count + 1;
    out8(0x20, 0x20);
  });
  apic::write(apic::lint0, apic::external);
  line("8259 through LINT0: ", tick_comes());
  apic::write(apic::lint0, apic::masked | apic::external);
  line("LINT0 masked: ", tick_comes(false));
  apic::write(apic::lint0, apic::external);
  line("and open again: ", tick_comes());
}

void errors() {
  apic::write(apic::error_entry, error_vector);
  apic::write(apic::error, 0);
  const u32 before = apic::read(apic::error);
  send(apic::to_self | 5);
  const u32 unlatched = apic::read(apic::error);
  apic::write(apic::error, 0);
  line("errors ", hex(before), ' ', hex(unlatched), ' ', hex(apic::read(apic::error) & 0x40));
  open();
  print_served("error");
  apic::write(apic::error, 0);
  apic::write(apic::spurious, 0xff);
  const u32 off = apic::read(apic::timer);
  apic::write(apic::timer, timer_vector);
  line("disabled: timer entry ", hex(off), ", written ", hex(apic::read(apic::timer)));
  apic::write(apic::spurious, apic::enable | 0xff);
  line("enabled again: timer entry ", hex(apic::read(apic::timer)));
}

void switched_off() {
  write_msr(msr_base, base_register() & ~0x800u);
  line("switched off: base ", hex(base_register()), " cpuid ", (cpuid_features() >> 9 & 1) != 0,
       ", 8259 ", tick_comes());
}

}  // namespace

void test() {
  for (const u32 vector :
       {low_vector, low_vector + 1, middle_vector, high_vector, timer_vector, error_vector}) {
    set_handler(vector, note);
  }
  set_handler(spurious_vector, [](TrapFrame&) {});  // may come when a priority rises
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  registers();
  one_interrupt();
  priorities();
  destinations();
  timer();
  divisors();
  if (option("exact")) errors();
  virtual_wire();
  switched_off();
}
