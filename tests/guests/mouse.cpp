// A PS/2 mouse at the 8042's auxiliary port: commands, replies, status, the knock that makes it one
// with a wheel, interrupts. Source: IBM PS/2 Hardware Interface Technical Reference, Mouse. It is
// not moved: nobody sits there.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/keyboard_controller.hpp"

using namespace guest;
using namespace guest::i8042;

const char* const test_name = "mouse";

namespace {

void to_mouse(u8 value) {
  command(0xd4);
  data(value);
}

void print_replies() {
  take_output([](u8 byte, bool of_mouse) { print(" ", hex(byte, 2), of_mouse ? "" : "k"); });
}
// One byte after another, each with its reply.
void ask(const char* what, std::initializer_list<u8> bytes) {
  print(what, ":");
  for (const u8 byte : bytes) {
    to_mouse(byte);
    print_replies();
  }
  line();
}

volatile u32 interrupts;
volatile u8 received[4];

void mouse_interrupt(TrapFrame&) {
  if (in8(status_port) & output_full) {
    if (interrupts < 4) received[interrupts] = in8(data_port);
    interrupts = interrupts + 1;
  }
  out8(0xa0, 0x20);
  out8(0x20, 0x20);
}

void test_interrupts() {
  initialise_8259s(1u << 12);
  set_handler(0x2c, mouse_interrupt);
  set_command_byte(0x12);
  asm volatile("sti");
  to_mouse(0xf2);
  for (unsigned i = 0; i < patience && interrupts < 2; ++i) in8(status_port);
  line("identify by IRQ 12: ", interrupts, ": ", hex(received[0], 2), " ", hex(received[1], 2));
  interrupts = 0;
  command(0xd3);
  data(0x3c);
  for (unsigned i = 0; i < patience && interrupts < 1; ++i) in8(status_port);
  line("loopback by IRQ 12: ", interrupts, ": ", hex(received[0], 2));
  asm volatile("cli");
}

}  // namespace

void test() {
  command(0xad);
  set_command_byte(0x10);
  empty();
  ask("reset", {0xff});
  ask("identify", {0xf2});
  ask("status", {0xe9});
  ask("scale, resolution, rate", {0xe7, 0xe8, 0x03, 0xf3, 0x28});
  ask("status", {0xe9});
  ask("enable", {0xf4});
  ask("status", {0xe9});
  ask("disable", {0xf5});
  ask("remote mode", {0xf0});
  ask("status", {0xe9});
  ask("data", {0xeb});
  ask("stream mode", {0xea});
  ask("wrap", {0xee, 0x12, 0xf2, 0xec});
  ask("defaults", {0xf6});
  ask("status", {0xe9});
  ask("knock", {0xf3, 200, 0xf3, 100, 0xf3, 80});
  ask("identify after it", {0xf2});
  ask("data with a wheel", {0xeb});
  ask("reset", {0xff});
  ask("identify", {0xf2});
  command(0xa7);
  command(0x20);
  print("disabled, command byte:");
  print_replies();
  line();
  ask("a byte for it enables it", {0xf2});
  test_interrupts();
}
