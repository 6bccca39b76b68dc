// The 8042 and its keyboard as a driver finds them: self tests, the command byte, loopbacks, the
// keyboard's commands and replies with and without translation, interrupts. Source: IBM PS/2
// Hardware Interface Technical Reference. No key is pressed: nobody sits there.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "keyboard";

namespace {

constexpr u16 data_port = 0x60, status_port = 0x64;
constexpr u8 output_full = 0x01, input_full = 0x02, from_mouse = 0x20;
constexpr u16 master = 0x20, slave = 0xa0;
constexpr unsigned patience = 5000;

bool has_output() { return in8(status_port) & output_full; }

void wait_for_room() {
  for (unsigned i = 0; i < patience && (in8(status_port) & input_full); ++i) {
  }
}
void command(u8 value) {
  wait_for_room();
  out8(status_port, value);
}
void data(u8 value) {
  wait_for_room();
  out8(data_port, value);
}

// All that comes, as it comes; a mouse's byte is marked.
void print_bytes() {
  for (unsigned quiet = 0; quiet < patience; ++quiet) {
    const u8 status = in8(status_port);
    if (!(status & output_full)) continue;
    print(status & from_mouse ? " m" : " ", hex(in8(data_port), 2));
    quiet = 0;
  }
}
void print_replies(const char* what) {
  print(what, ":");
  print_bytes();
  line();
}
u8 command_byte() {
  command(0x20);
  for (unsigned i = 0; i < patience && !has_output(); ++i) {
  }
  return in8(data_port);
}
void set_command_byte(u8 value) {
  command(0x60);
  data(value);
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

void empty() {
  while (has_output()) in8(data_port);
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
  for (unsigned i = 0; i < patience && !has_output(); ++i) {
  }
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
  out8(master, 0x20);
}

void remap(u8 mask) {
  const struct {
    u16 port;
    u8 value;
  } words[] = {{master, 0x11}, {master + 1, 0x20}, {master + 1, 4}, {master + 1, 1},
               {slave, 0x11},  {slave + 1, 0x28},  {slave + 1, 2},  {slave + 1, 1}};
  for (const auto& word : words) out8(word.port, word.value);
  out8(master + 1, mask);
  out8(slave + 1, 0xff);
}

void wait_for_interrupts(u32 count) {
  for (unsigned i = 0; i < patience && keyboard_interrupts < count; ++i) in8(status_port);
}

void test_interrupts() {
  remap(0xfd);
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
