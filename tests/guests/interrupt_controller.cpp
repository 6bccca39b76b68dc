// The 8259 pair as a kernel can drive it: initialisation, masks, priorities and their rotation, the
// ways to end an interrupt, special mask mode, the cascade. Requests come of two lines that a
// program can raise, the timer (0) and the serial line's transmitter (4), and of the clock chip
// (8). Polling and the rotation that goes with an automatic end are unit tests: Bochs does neither.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "interrupt_controller";

namespace {

constexpr u16 master = 0x20, slave = 0xa0, com1 = 0x3f8, timer = 0x40, clock_chip = 0x70;
constexpr u8 base = 0x20, slave_base = 0x28;
constexpr u8 timer_line = 0, serial_line = 4, clock_line = 8;

// Lines in the order in which they were served.
volatile u32 served_count;
volatile u8 served[8];
void (*in_handler)();

void note(TrapFrame& frame) {
  if (served_count < 8) served[served_count] = static_cast<u8>(frame.vector);
  served_count = served_count + 1;
  if (frame.vector == slave_base) {  // register C takes the clock chip's request back
    out8(clock_chip, 0x0c);
    in8(clock_chip + 1);
  }
  if (in_handler) in_handler();
}

u8 requests(u16 chip) {
  out8(chip, 0x0a);
  return in8(chip);
}
u8 in_service(u16 chip) {
  out8(chip, 0x0b);
  return in8(chip);
}

void initialise(u8 icw4_master, u8 icw4_slave) {
  const struct {
    u16 port;
    u8 value;
  } words[] = {{master, 0x11}, {master + 1, base},      {master + 1, 4}, {master + 1, icw4_master},
               {slave, 0x11},  {slave + 1, slave_base}, {slave + 1, 2},  {slave + 1, icw4_slave}};
  for (const auto& word : words) out8(word.port, word.value);
  out8(master + 1, 0xff);
  out8(slave + 1, 0xff);
}

// Nothing may be printed while the transmitter requests: a character sent takes that back.
void request_serial() {
  out8(com1 + 4, 0x0b);
  out8(com1 + 1, 2);
  while (!(requests(master) & 1 << serial_line)) {
  }
}
void release_serial() {
  out8(com1 + 1, 0);
  out8(com1 + 4, 3);
}
void request_timer() {
  out8(0x43, 0x30);  // mode 0
  out8(timer, 100);
  out8(timer, 0);
  while (!(requests(master) & 1 << timer_line)) {
  }
}
void request_clock() {  // the update-ended interrupt would take a second: the periodic one, 8192 Hz
  out8(clock_chip, 0x0a);
  out8(clock_chip + 1, 0x23);
  out8(clock_chip, 0x0b);
  out8(clock_chip + 1, 0x42);
  while (!(requests(slave) & 1)) {
  }
}
void release_clock() {
  out8(clock_chip, 0x0b);
  out8(clock_chip + 1, 2);
  out8(clock_chip, 0x0c);
  in8(clock_chip + 1);
}

void end_both() {
  out8(slave, 0x20);
  out8(master, 0x20);
}

// Lets interrupts in for a while, with `handler` at the end of each.
void open(void (*handler)()) {
  in_handler = handler;
  served_count = 0;
  asm volatile("sti; nop; nop; nop; nop; nop; nop; cli" : : : "memory");
}

void print_served(const char* name) {
  print(name, ": ", served_count, " served");
  for (u32 i = 0; i < served_count && i < 8; ++i) print(' ', hex(served[i], 2));
  put('\n');
}

void initialisation() {
  initialise(1, 1);
  out8(master + 1, 0x5a);
  out8(slave + 1, 0xa5);
  line("masks ", hex(in8(master + 1), 2), ' ', hex(in8(slave + 1), 2));
  request_timer();
  const u8 before = requests(master);
  initialise(1, 1);
  const u8 after = requests(master);
  line("a request ", hex(before & 1, 2), ", after ICW1 ", hex(after & 1, 2), " in service ",
       hex(in_service(master), 2));
  out8(master + 1, 0xfe);
  open(nullptr);
  print_served("forgotten with it");
}

void masks() {
  initialise(1, 1);
  request_timer();
  open(end_both);
  const u32 masked = served_count;
  out8(master + 1, 0xfe);
  open(end_both);
  line("masked ", masked, " unmasked ", served_count, " requests left ",
       hex(requests(master) & 1, 2));
}

// Which of two comes first, by the line of lowest priority.
void rotation() {
  for (u8 lowest = 0; lowest < 8; ++lowest) {
    initialise(1, 1);
    out8(master, static_cast<u8>(0xc0 | lowest));
    request_timer();
    request_serial();
    out8(master + 1, 0xee);
    open([] { out8(master, 0x20); });
    out8(master + 1, 0xff);
    release_serial();
    print("lowest ", lowest, ", ");
    print_served("both requested");
  }
}

// Ends by each command of OCW2 with the timer and the serial line in service.
void ends() {
  struct Command {
    const char* name;
    u8 value;
  };
  for (const Command& command :
       {Command{"not specific", 0x20}, Command{"specific 0", 0x60}, Command{"specific 4", 0x64},
        Command{"specific 3", 0x63}, Command{"rotate", 0xa0}, Command{"rotate 4", 0xe4},
        Command{"no operation", 0x40}, Command{"set priority", 0xc3}}) {
    initialise(1, 1);
    request_serial();
    out8(master + 1, 0xee);
    open(nullptr);  // the serial line's is in service now
    release_serial();
    request_timer();
    open(nullptr);  // and the timer's above it
    const u8 before = in_service(master);
    out8(master, command.value);
    const u8 after = in_service(master);
    out8(master + 1, 0xff);
    line(command.name, ": in service ", hex(before, 2), " then ", hex(after, 2));
  }
}

void automatic_end() {
  initialise(3, 1);
  request_timer();
  out8(master + 1, 0xee);
  open(nullptr);
  const u8 isr = in_service(master);
  request_timer();
  request_serial();
  open(nullptr);
  release_serial();
  print("automatic end: in service ", hex(isr, 2), ", ");
  print_served("both requested");
}

void special_mask() {
  initialise(1, 1);
  request_timer();
  out8(master + 1, 0xfe);
  open(nullptr);  // the timer is in service
  request_serial();
  out8(master + 1, 0xef);
  open(nullptr);
  const u32 held = served_count;
  out8(master, 0x68);      // special mask mode: masked levels no longer hold back
  out8(master + 1, 0xef);  // QEMU looks again at a change of the mask only
  open([] { out8(master, 0x64); });
  const u32 let = served_count;
  release_serial();
  out8(master, 0x48);
  line("special mask: before ", held, " in it ", let, " in service ", hex(in_service(master), 2));
}

void cascade() {
  initialise(1, 1);
  request_clock();
  out8(master + 1, 0xfb);
  open(nullptr);
  const bool masked = served_count == 0;
  out8(slave + 1, 0xfe);
  open(nullptr);
  const u8 both = in_service(master), inner = in_service(slave);
  const u32 first = served_count;
  const u8 vector = served[0];
  out8(slave, 0x20);
  const u8 still = in_service(master), ended = in_service(slave);
  out8(master, 0x20);
  release_clock();
  line("slave masked ", masked, ", unmasked ", first, ' ', hex(vector, 2), " in service ",
       hex(both, 2), ' ', hex(inner, 2), ", ended ", hex(still, 2), ' ', hex(ended, 2));

  // Lines of the slave stand between 1 and 3 of the master.
  initialise(1, 1);
  request_clock();
  request_serial();
  out8(slave + 1, 0xfe);
  out8(master + 1, 0xeb);
  open([] {
    release_clock();
    release_serial();
    end_both();
  });
  const u8 winner = served[0];
  initialise(1, 1);
  request_clock();
  request_timer();
  out8(slave + 1, 0xfe);
  out8(master + 1, 0xfa);
  open([] {
    release_clock();
    end_both();
  });
  release_clock();
  line("before line 4 ", winner == slave_base, ", after line 0 ", served[0] == base);
}

}  // namespace

void test() {
  for (unsigned vector = base; vector < base + 16u; ++vector) set_handler(vector, note);
  initialisation();
  masks();
  rotation();
  ends();
  automatic_end();
  special_mask();
  cascade();
}
