// The I/O APIC: its entries, requests by edge of the 8254 and by level of the serial line's
// transmitter, Remote IRR, masks, destinations.
#include <initializer_list>

#include "runtime/apic.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "io_apic";

namespace {

constexpr u32 timer_pin = 2, serial_pin = 4, timer_vector = 0x50, serial_vector = 0x64;
constexpr u16 com1 = 0x3f8;

volatile u32 served_count;
volatile u32 served_vector;
void (*in_handler)();

void note(TrapFrame& frame) {
  served_vector = frame.vector;
  served_count = served_count + 1;
  if (in_handler) in_handler();
  apic::end_interrupt();
}

void open() { asm volatile("sti; nop; nop; nop; nop; nop; nop; cli" : : : "memory"); }

void registers() {
  line("pins ", (io_apic::read(1) >> 16 & 0xff) + 1);
  u32 open_entries = 0;
  for (u32 pin = 0; pin < io_apic::pins; ++pin)
    open_entries += !(io_apic::entry(pin) & apic::masked);
  line("open entries at first ", open_entries);
  io_apic::write(0, 0x05000000);
  line("id ", hex(io_apic::read(0)));
  io_apic::write(0, 0);
  for (const u32 pin : {0u, 11u, 23u}) {
    io_apic::set_entry(pin, 0x1a8ab, 0x5a000000);
    line("entry ", pin, ' ', hex(io_apic::read(0x11 + 2 * pin)), ' ', hex(io_apic::entry(pin)));
    io_apic::set_entry(pin, apic::masked);
  }
}

// One edge of the 8254, some time after.
void tick() {
  out8(0x43, 0x30);
  out8(0x40, 200);
  out8(0x40, 0);
}
bool tick_over() {
  out8(0x43, 0xe2);  // read back the status of channel 0
  return in8(0x40) & 0x80;
}
// An edge that nobody has taken so far is taken now, where a machine keeps such edges.
void take_what_is_kept() {
  io_apic::set_entry(timer_pin, timer_vector);
  open();
  open();
  io_apic::set_entry(timer_pin, apic::masked | timer_vector);
}
bool tick_comes(bool expected) {
  const auto served_one = [] {
    open();
    return served_count != 0;
  };
  served_count = 0;
  tick();
  return expected ? comes(served_one) : comes_soon(served_one);
}

void edges() {
  const struct {
    const char* name;
    u32 low, high;
    bool comes;
  } rows[] = {{"fixed", timer_vector, 0, true},
              {"another vector", timer_vector + 1, 0, true},
              {"lowest priority", apic::logical | 0x100 | timer_vector, 0x03000000, true},
              {"logical", apic::logical | timer_vector, 0x03000000, true},
              {"logical, others", apic::logical | timer_vector, 0x05000000, false},
              {"physical, others", timer_vector, 0x07000000, false},
              {"to everybody", timer_vector, 0xff000000, true},
              {"masked", apic::masked | timer_vector, 0, false}};
  for (const auto& row : rows) {
    take_what_is_kept();
    io_apic::set_entry(timer_pin, row.low, row.high);
    const bool came = tick_comes(row.comes);
    line(row.name, ": ", came, ' ', hex(came ? served_vector : 0, 2));
  }
  io_apic::set_entry(timer_pin, apic::masked | timer_vector);
  tick();
  const bool over = comes(tick_over);
  comes_within(200'000'000, [] { return false; });  // an emulator may tell of the edge later
  io_apic::set_entry(timer_pin, timer_vector);
  served_count = 0;
  open();
  line("an edge while masked ", over, ", interrupts later ", served_count != 0);
  io_apic::set_entry(timer_pin, apic::masked);
}

// Nothing may be printed while the transmitter requests: a character sent takes that back. Nor is
// there a request before the last one has been sent.
void request_serial() {
  comes([] { return (in8(com1 + 5) & 0x60) == 0x60; });
  out8(com1 + 4, 0x0b);
  out8(com1 + 1, 2);
}
void release_serial() {
  out8(com1 + 1, 0);
  out8(com1 + 4, 3);
}

volatile u32 entry_in_handler, again, level_in_handler;

void levels() {
  io_apic::set_entry(serial_pin, apic::level | serial_vector);
  // Twice while the line is high; the third handler releases it.
  in_handler = [] {
    entry_in_handler = io_apic::entry(serial_pin);
    level_in_handler = apic::has(apic::trigger_mode, serial_vector);
    if (served_count == 3) release_serial();
  };
  served_count = 0;
  request_serial();
  for (u32 i = 0; i < 8; ++i) open();
  line("level: ", served_count, " times ", hex(served_vector, 2), ", in the handler ",
       hex(entry_in_handler), " trigger mode ", level_in_handler, ", afterwards ",
       hex(io_apic::entry(serial_pin)));

  in_handler = nullptr;
  served_count = 0;
  io_apic::set_entry(serial_pin, apic::masked | apic::level | serial_vector);
  request_serial();
  for (u32 i = 0; i < 4; ++i) open();
  const u32 held = served_count;
  in_handler = release_serial;
  io_apic::set_entry(serial_pin, apic::level | serial_vector);
  for (u32 i = 0; i < 4; ++i) open();
  line("a level while masked: ", held, ", then ", served_count);

  // Remote IRR goes with the end, and when the entry becomes one by edge.
  in_handler = nullptr;
  request_serial();
  const u32 before = io_apic::entry(serial_pin);
  io_apic::set_entry(serial_pin, apic::masked | serial_vector);
  const u32 cleared = io_apic::entry(serial_pin);
  release_serial();
  served_count = 0;
  open();
  line("not ended ", hex(before), ", as an edge ", hex(cleared), ", served ", served_count);

  // The line falls before the interrupt is taken: it comes all the same, once.
  io_apic::set_entry(serial_pin, apic::level | serial_vector);
  served_count = 0;
  request_serial();
  release_serial();
  open();
  open();
  line("a level that fell: ", served_count, " times, entry ", hex(io_apic::entry(serial_pin)));
  io_apic::set_entry(serial_pin, apic::masked);
}

}  // namespace

void test() {
  for (const u32 vector : {timer_vector, timer_vector + 1, serial_vector})
    set_handler(vector, note);
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  apic::write(apic::logical_id, 0x02000000);
  registers();
  edges();
  levels();
}
