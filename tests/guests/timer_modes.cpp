// The 8254: each mode of channel 2 with its gate and output (port 0x61), each mode of channel 0 by
// the interrupts that it gives, ways to write, latch and read a count, the status byte. Only what
// changes and what does not is printed, never how fast.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"

using namespace guest;

const char* const test_name = "timer_modes";

namespace {

constexpr u16 channel_0 = 0x40, channel_2 = 0x42, control = 0x43, port_b = 0x61;
constexpr u8 low_byte = 0x10, high_byte = 0x20, both_bytes = 0x30;
volatile u32 interrupts;

void gate(bool open) { out8(port_b, open ? 1 : 0); }
bool output() { return in8(port_b) & 0x20; }

void program(unsigned channel, unsigned mode, u8 access, u16 count) {
  out8(control, static_cast<u8>(channel << 6 | access | mode << 1));
  const u16 port = static_cast<u16>(channel_0 + channel);
  if (access & low_byte) out8(port, static_cast<u8>(count));
  if (access & high_byte) out8(port, static_cast<u8>(count >> 8));
}

u16 latched(unsigned channel) {
  out8(control, static_cast<u8>(channel << 6));
  const u16 port = static_cast<u16>(channel_0 + channel);
  const u8 low = in8(port);
  return static_cast<u16>(low | in8(port) << 8);
}

// Channel 0 runs freely and is the clock by which channel 2 is watched.
void wait() {
  constexpr u16 ticks = 300;
  const u16 start = latched(0);
  while (static_cast<u16>(start - latched(0)) < ticks) {
  }
}

bool counts() {
  const u16 before = latched(2);
  wait();
  return latched(2) != before;
}

// Whether the output gets there while one looks.
bool reaches(bool level) {
  for (u32 i = 0; i < 300000; ++i) {
    if (output() == level) return true;
  }
  return false;
}

// What one run through a mode shows; compared with the next run, since time may pass between any
// two steps of it.
struct Course {
  bool at_control, closed, counts_closed, opened, counts_open, closed_again, counts_again, reopened;
  bool operator==(const Course&) const = default;
};
Course run_through(unsigned mode) {
  Course c;
  gate(false);
  out8(control, static_cast<u8>(0x80 | both_bytes | mode << 1));
  c.at_control = output();
  out8(channel_2, 0x00);
  out8(channel_2, 0xc0);
  wait();
  c.closed = output();
  c.counts_closed = counts();
  gate(true);
  wait();
  c.opened = output();
  c.counts_open = counts();
  gate(false);
  wait();
  c.closed_again = output();
  c.counts_again = counts();
  gate(true);
  wait();
  c.reopened = output();
  return c;
}
Course settled(unsigned mode) {
  Course before = run_through(mode);
  for (unsigned tries = 0; tries < 10; ++tries) {
    const Course next = run_through(mode);
    if (next == before) break;
    before = next;
  }
  return before;
}

// QEMU counts with the gate closed and starts modes 1 and 5 without a trigger, gives the output of
// the mode before until there is a count, and that of modes 2, 4 and 5 upside down. Bochs counts in
// mode 2 with the gate closed from the start; before the first trigger of modes 1 and 5 it is
// undefined.
void modes_of_channel_2() {
  program(0, 2, both_bytes, 0);
  for (unsigned mode = 0; mode < 6; ++mode) {
    const Course c = settled(mode);
    print("mode ", mode, ": counts open ", c.counts_open);
    if (mode == 0) print(" output ", c.opened);
    if (option("limits")) {
      print(" output ", c.at_control, ' ', c.closed, ' ', c.opened, ' ', c.closed_again, ' ',
            c.reopened, " counts when closed again ", c.counts_again);
      if (mode != 1 && mode != 2 && mode != 5) print(" before ", c.counts_closed);
    }
    put('\n');
    if (mode == 0 || mode == 3 || (mode == 1 && option("limits"))) {
      program(2, mode, both_bytes, 2000);
      gate(false);
      gate(true);
      const bool low = mode == 0 || reaches(false);
      line("  low ", low, " then high ", reaches(true));
    }
  }
  gate(false);
}

void count_interrupt(TrapFrame&) {
  interrupts = interrupts + 1;
  out8(0x20, 0x20);
}

// The gate of channel 0 is always open, so that modes 1 and 5 never get their trigger. Channel 2
// tells how long to wait.
void interrupts_of_channel_0() {
  for (unsigned mode = 0; mode < 6; ++mode) {
    if ((mode == 1 || mode == 5) && !option("limits")) continue;
    program(0, mode, both_bytes, 0);  // 55 ms: nothing comes of it
    initialise_8259s(0);              // and what came of setting the mode is forgotten
    interrupts = 0;
    out8(0x21, 0xfe);
    program(0, mode, both_bytes, 2000);
    gate(false);
    program(2, 0, both_bytes, 60000);
    gate(true);
    asm volatile("sti");
    while (!output()) {
    }
    asm volatile("cli");
    out8(0x21, 0xff);
    const char* how_many = interrupts == 0 ? "none" : interrupts == 1 ? "one" : "many";
    line("interrupts in mode ", mode, ": ", how_many);
  }
  program(0, 2, both_bytes, 0);
}

void access_forms() {
  gate(true);
  program(2, 3, low_byte, 0x34);
  u8 highest = 0;
  for (u32 i = 0; i < 50; ++i) {
    const u8 now = in8(channel_2);
    if (now > highest) highest = now;
  }
  line("low byte only: in range ", highest <= 0x34);
  program(2, 2, high_byte, 0x8000);
  u8 lowest = 0xff;
  for (u32 i = 0; i < 50; ++i) {
    const u8 now = in8(channel_2);
    if (now < lowest) lowest = now;
  }
  line("high byte only: in range ", lowest <= 0x80);
  program(2, 2, both_bytes, 0xffff);
  out8(control, 0x80);
  wait();
  out8(control, 0x80);  // a second latch does not replace the first
  const u8 low = in8(channel_2);
  const u8 high = in8(channel_2);
  wait();
  const u16 later = latched(2);
  line("a latched count stays: ", (low | high << 8) > later + 100);
  const u16 first = latched(2);
  line(
      "mode 3 counts by two: ",
      [] {
        program(2, 3, both_bytes, 0x8000);
        u32 odd = 0;
        for (u32 i = 0; i < 20; ++i) odd += latched(2) & 1;
        return odd == 0;
      }(),
      ' ', first != 0);
  program(2, 2, both_bytes, 0x9999);
  out8(control, 0x80 | both_bytes | 2 << 1 | 1);  // decimal
  out8(channel_2, 0x00);
  out8(channel_2, 0x50);
  bool decimal = true;
  for (u32 i = 0; i < 50; ++i) {
    const u16 now = latched(2);
    for (unsigned digit = 0; digit < 4; ++digit) decimal = decimal && (now >> 4 * digit & 15) < 10;
    decimal = decimal && now <= 0x5000;
  }
  if (option("limits")) line("decimal digits: ", decimal);  // QEMU knows none
}

void status_bytes() {
  gate(false);
  for (unsigned mode = 0; mode < 6; ++mode) {
    for (const u8 access : {low_byte, high_byte, both_bytes}) {
      out8(control, static_cast<u8>(0x80 | access | mode << 1));
      out8(control, 0xe8);  // status of channel 2
      const u8 before = in8(channel_2);
      if (access & low_byte) out8(channel_2, 0);
      if (access & high_byte) out8(channel_2, 0x40);
      wait();
      out8(control, 0xe8);
      const u8 after = in8(channel_2);
      // Bit 6, that no count has been loaded, is always 0 in QEMU, and stays 1 in Bochs' mode 3
      // until the gate opens; bit 7 is the output.
      const u8 seen = !option("limits") ? 0x3f : mode == 3 ? 0xbf : 0xff;
      print(' ', hex(before & seen, 2), '/', hex(after & seen, 2));
    }
    put('\n');
  }
  // Status and count together: the status is read first.
  gate(true);
  program(2, 2, both_bytes, 0x1234);
  out8(control, 0xc8);
  const u8 status = in8(channel_2) & 0x3f;
  const u8 low = in8(channel_2), high = in8(channel_2);
  line("status, then count: ", hex(status, 2), ' ', (low | high << 8) <= 0x1234);
  gate(false);
}

}  // namespace

void test() {
  set_handler(0x20, count_interrupt);
  initialise_8259s(0);
  modes_of_channel_2();
  interrupts_of_channel_0();
  access_forms();
  status_bytes();
}
