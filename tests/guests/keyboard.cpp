// The 8042 and its keyboard as a driver finds them: self tests, the command byte, loopbacks, the
// keyboard's commands and replies with and without translation, interrupts. Source: IBM PS/2
// Hardware Interface Technical Reference. No key is pressed: nobody sits there.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/keyboard_controller.hpp"

using namespace guest;
using namespace guest::i8042;

const char* const test_name = "keyboard";

namespace {

// All that comes, as it comes; a mouse's byte is marked.
void print_bytes() {
  take_output([](u8 byte, bool of_mouse) { print(of_mouse ? " m" : " ", hex(byte, 2)); });
}
void print_replies(const char* what) {
  print(what, ":");
  print_bytes();
  line();
}
u8 command_byte() {
  command(0x20);
  wait_for_output();
  return in8(data_port);
}
// One byte after another, each with its reply.
void ask(const char* what, std::initializer_list<u8> bytes) {
  print(what, ":");
  for (const u8 byte : bytes) {
    data(byte);
    print_bytes();
  }
  line();
}

void test_controller() {
  command(0xad);
  command(0xa7);
  empty();
  command(0xaa);
  print_replies("self test");
  check(in8(status_port) & 0x04, "the system flag is set");
  command(0xab);
  print_replies("keyboard line");
  command(0xa9);
  print_replies("mouse line");
  for (const u8 value : {0x30, 0x74, 0x00, 0x47}) {
    set_command_byte(value);
    line("command byte ", hex(value, 2), " reads ", hex(command_byte(), 2));
  }
  set_command_byte(0x00);
  command(0xad);
  line("keyboard disabled: ", hex(command_byte(), 2));
  command(0xa7);
  line("both disabled: ", hex(command_byte(), 2));
  command(0xae);
  command(0xa8);
  line("both enabled: ", hex(command_byte(), 2));
  set_command_byte(0x30);
  command(0xd2);
  data(0x5a);
  print_replies("keyboard loopback");
  command(0xd3);
  data(0xa5);
  print_replies("mouse loopback");
  command(0xd0);
  wait_for_output();
  line("output port: ", hex(in8(data_port) & 0x03, 2));
}

void test_commands() {
  ask("reset", {0xff});
  ask("identify", {0xf2});
  ask("echo", {0xee});
  ask("lights", {0xed, 0x07});
  ask("lights off", {0xed, 0x00});
  ask("typematic", {0xf3, 0x20});
  ask("disable", {0xf5});
  ask("enable", {0xf4});
  ask("defaults", {0xf6});
  ask("scan code set 1", {0xf0, 0x01});
  ask("which set", {0xf0, 0x00});
  ask("scan code set 2", {0xf0, 0x02});
  ask("which set", {0xf0, 0x00});
}

volatile u32 keyboard_interrupts;
volatile u8 received[8];

void keyboard_interrupt(TrapFrame&) {
  if (in8(status_port) & output_full) {  // Bochs interrupts before the byte is there
    if (keyboard_interrupts < 8) received[keyboard_interrupts] = in8(data_port);
    keyboard_interrupts = keyboard_interrupts + 1;
  }
  out8(0x20, 0x20);
}

void wait_for_interrupts(u32 count) {
  for (unsigned i = 0; i < patience && keyboard_interrupts < count; ++i) in8(status_port);
}

void test_interrupts() {
  initialise_8259s(1u << 1);
  set_handler(0x21, keyboard_interrupt);
  set_command_byte(0x21);
  empty();
  asm volatile("sti");
  data(0xf2);
  wait_for_interrupts(3);
  line("identify by interrupts: ", keyboard_interrupts, ": ", hex(received[0], 2), " ",
       hex(received[1], 2), " ", hex(received[2], 2));
  keyboard_interrupts = 0;
  command(0xd2);
  data(0x77);
  wait_for_interrupts(1);
  line("loopback by interrupt: ", keyboard_interrupts, ": ", hex(received[0], 2));
  keyboard_interrupts = 0;
  set_command_byte(0x20);
  data(0xee);
  for (unsigned i = 0; i < 1000; ++i) in8(status_port);
  line("interrupts while they are off: ", keyboard_interrupts);
  asm volatile("cli");
  print_replies("and what waited");
}

}  // namespace

void test() {
  test_controller();
  set_command_byte(0x20);
  line("without translation");
  test_commands();
  set_command_byte(0x60);
  line("translated");
  ask("identify", {0xf2});
  test_interrupts();
  command(0xfe ^ 0x01);  // no line is pulsed that resets
  line("still here");
}
