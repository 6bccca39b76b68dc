// The high precision event timer, as far as its specification fixes what can be seen: capabilities,
// the counter, one-shot and periodic comparators by way of the I/O APIC, of the 8259 in place of
// the 8254, and by level.
#include <initializer_list>

#include "runtime/apic.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "hpet";

namespace {

constexpr u32 base = 0xfed00000, configuration = 0x10, status = 0x20, counter = 0xf0;
constexpr u32 by_level = 2, interrupts = 4, periodic = 8, value_set = 0x40, narrow = 0x100;
constexpr u32 timer_vector = 0x50, clock_vector = 0x58, line_vector = 0x20;

u32 read(u32 offset) { return *reinterpret_cast<volatile u32*>(base + offset); }
void write(u32 offset, u32 value) { *reinterpret_cast<volatile u32*>(base + offset) = value; }
u32 config_of(u32 timer) { return 0x100 + 0x20 * timer; }
u32 value_of(u32 timer) { return 0x108 + 0x20 * timer; }

volatile u32 served_count, status_seen;
u32 own_pin;  // of the I/O APIC, for timers that do not replace others

bool served(u32 count, u64 within = longest_wait) {
  return comes_within(within, [count] {
    asm volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
    return served_count >= count;
  });
}
// Whether one comes now; what had come before does not count, nor does this one afterwards.
bool served_soon() {
  served_count = 0;
  const bool came = comes_soon([] {
    asm volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
    return served_count != 0;
  });
  served_count = 0;
  return came;
}

// Ticks of so many microseconds.
u32 ticks(u32 microseconds) { return 1000000000 / (read(4) / 1000) * microseconds / 1000; }

void capabilities() {
  const u32 low = read(0), period = read(4);
  line("revision ", (low & 0xff) != 0, " timers enough ", (low >> 8 & 0x1f) >= 2, " 64 bits ",
       (low >> 13 & 1) != 0, " legacy ", (low >> 15 & 1) != 0, " period allowed ",
       period != 0 && period <= 0x05f5e100);
  line("timer 0 periodic ", (read(config_of(0)) >> 4 & 1) != 0);
}

// One that is offered to all timers: better not 2, which is the 8254's too. QEMU offers nothing
// else, and Bochs gives nothing there.
u32 offered_pin() {
  u32 offered = ~0u;
  for (u32 timer = 0; timer < 3; ++timer) offered &= read(config_of(timer) + 4);
  for (u32 pin = 3; pin < io_apic::pins; ++pin) {
    if (offered >> pin & 1) return pin;
  }
  return 2;
}

void the_counter() {
  write(configuration, 0);
  write(counter, 0xfffffff0);
  write(counter + 4, 5);
  const u32 first = read(counter), high = read(counter + 4);
  comes_soon([] { return false; });
  line("stands ", hex(high), ' ', hex(first), ", later ", hex(read(counter)));
  write(configuration, 1);
  const bool carries = comes([] { return read(counter + 4) == 6; });
  write(configuration, 0);
  line("runs and carries ", carries);
}

u16 pit_count() {
  out8(0x43, 0);
  const u8 low = in8(0x40);
  return static_cast<u16>(low | in8(0x40) << 8);
}

// By the 8254, 2000 of whose ticks are 1676 microseconds. Something else may have the machine
// during a measurement; a wrong period is wrong each time.
void speed() {
  out8(0x43, 0x34);
  out8(0x40, 0);
  out8(0x40, 0);
  write(configuration, 1);
  bool right = false;
  for (u32 i = 0; i < 40 && !right; ++i) {
    const u16 start = pit_count();
    const u32 first = read(counter);
    while (static_cast<u16>(start - pit_count()) < 2000) {
    }
    const u32 passed = read(counter) - first;
    right = passed > ticks(1300) && passed < ticks(2200);
  }
  write(configuration, 0);
  line("as fast as it says ", right);
}

// The 8254 gives one edge, some time after.
void edge_of_the_8254() {
  out8(0x43, 0x30);
  out8(0x40, 100);
  out8(0x40, 0);
}
// It has none to give any more, and its output is low: where the line is shared, a high one would
// hide the HPET's edges.
void quiet_the_8254() {
  edge_of_the_8254();
  comes_soon([] { return false; });
  out8(0x43, 0x30);
}

// From zero, with nothing left over: the 8254 may have an edge to give when it is back.
void restart(u32 flags) {
  write(configuration, 0);
  served_soon();
  write(counter, 0);
  write(counter + 4, 0);
  write(status, 7);
  served_count = 0;
  write(configuration, flags);
}

// The counter first, since Bochs leaves the line of a timer's own route high otherwise. Then the
// comparator far away: on QEMU the match of a timer that is off lowers line 0, which is the same
// pin of the I/O APIC as route 2, and takes a level there away.
void switch_off(u32 timer) {
  write(configuration, 0);
  write(config_of(timer), 0);
  write(value_of(timer), ~0u);
  restart(0);
}

void one_shot(const char* name, u32 timer, u32 config, u32 flags) {
  write(config_of(timer), config | interrupts | narrow);
  write(value_of(timer), ticks(300));
  restart(flags);
  const bool came = served(1);
  const bool again = served_soon();
  line(name, ": ", came, ", again ", again);
  switch_off(timer);
}

void periodic_timer() {
  write(config_of(0), periodic | value_set | interrupts | narrow);
  write(value_of(0), ticks(2000));
  write(value_of(0), ticks(5000));
  restart(3);
  const bool came = served(3);
  const u32 value = read(value_of(0));
  line("periodic ", came, ", next match by the period ",
       (value - ticks(2000)) % ticks(5000) == 0 && value != ticks(2000), ", value set is back ",
       (read(config_of(0)) & value_set) == 0);
  switch_off(0);
}

// The level stands until its status is cleared.
void level_timer() {
  io_apic::set_entry(own_pin, apic::level | timer_vector);
  write(config_of(1), by_level | interrupts | narrow | own_pin << 9);
  write(value_of(1), ticks(300));
  restart(1);
  const bool came = served(1) && served(3, 500'000'000);
  line("level: ", came, ", status ", hex(status_seen, 1), " then ", hex(read(status), 1));
  line("more ", served_soon());
  switch_off(1);
  io_apic::set_entry(own_pin, timer_vector);
}

void note_level(TrapFrame&) {
  served_count = served_count + 1;
  if (served_count == 3) {
    status_seen = read(status) & 2;
    write(status, 2);
  }
  apic::end_interrupt();
}

void instead_of_the_8254() {
  restart(2);
  edge_of_the_8254();
  line("the 8254 while it is replaced: ", served_soon());
  restart(0);
  edge_of_the_8254();
  line("and afterwards: ", served(1));
  quiet_the_8254();
}

void by_the_8259() {
  io_apic::set_entry(2, apic::masked);
  apic::write(apic::lint0, apic::external);
  initialise_8259s(1);
  one_shot("through the 8259", 0, 0, 3);
}

}  // namespace

void test() {
  for (const u32 vector : {timer_vector, clock_vector}) {
    set_handler(vector, [](TrapFrame&) {
      served_count = served_count + 1;
      apic::end_interrupt();
    });
  }
  set_handler(line_vector, [](TrapFrame&) {
    served_count = served_count + 1;
    out8(0x20, 0x20);
  });
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  capabilities();
  the_counter();
  speed();
  quiet_the_8254();
  io_apic::set_entry(2, timer_vector);
  io_apic::set_entry(8, clock_vector);
  one_shot("timer 0 for the 8254", 0, 0, 3);
  one_shot("timer 1 for the clock", 1, 0, 3);
  own_pin = offered_pin();
  io_apic::set_entry(own_pin, timer_vector);
  one_shot("timer 2 by its route", 2, own_pin << 9, 1);
  periodic_timer();
  instead_of_the_8254();
  set_handler(timer_vector, note_level);
  level_timer();
  by_the_8259();
}
