#include "keyboard_controller.hpp"

#include "scan_codes.hpp"

namespace undercroft {
namespace {

constexpr std::uint8_t status_auxiliary = 0x20;
constexpr std::uint8_t status_unlocked = 0x10;
constexpr std::uint8_t status_command = 0x08;
constexpr std::uint8_t status_system = 0x04;
constexpr std::uint8_t status_output_full = 0x01;

constexpr std::uint8_t byte_translate = 0x40;
constexpr std::uint8_t byte_disable_auxiliary = 0x20;
constexpr std::uint8_t byte_disable_keyboard = 0x10;
constexpr std::uint8_t byte_system = 0x04;
constexpr std::uint8_t byte_auxiliary_interrupt = 0x02;
constexpr std::uint8_t byte_keyboard_interrupt = 0x01;

constexpr std::uint8_t port_auxiliary_full = 0x20;  // output port: IRQ 12
constexpr std::uint8_t port_output_full = 0x10;     // IRQ 1
constexpr std::uint8_t port_a20 = 0x02;
constexpr std::uint8_t port_reset_inactive = 0x01;

enum Command : std::uint8_t {
  read_command_byte = 0x20,
  write_command_byte = 0x60,
  disable_auxiliary = 0xa7,
  enable_auxiliary = 0xa8,
  test_auxiliary = 0xa9,
  self_test = 0xaa,
  test_keyboard = 0xab,
  disable_keyboard = 0xad,
  enable_keyboard = 0xae,
  read_input_port = 0xc0,
  read_output_port = 0xd0,
  write_output_port_command = 0xd1,
  write_keyboard_output = 0xd2,
  write_auxiliary_output = 0xd3,
  write_auxiliary = 0xd4,
  a20_off = 0xdd,
  a20_on = 0xdf,
  read_test_inputs = 0xe0,
  pulse_first = 0xf0,
};

constexpr std::uint8_t self_test_passed = 0x55;
constexpr std::uint8_t line_test_passed = 0x00;
constexpr std::uint8_t input_port = 0xa0;  // not inhibited, colour display

}  // namespace

std::uint8_t KeyboardController::status() const {
  return static_cast<std::uint8_t>(status_unlocked | (last_was_command_ ? status_command : 0) |
                                   ((command_byte_ & byte_system) != 0 ? status_system : 0) |
                                   (output_full_ ? status_output_full : 0) |
                                   (output_full_ && output_auxiliary_ ? status_auxiliary : 0));
}

bool KeyboardController::interrupt_line() const {
  return output_full_ && !output_auxiliary_ && (command_byte_ & byte_keyboard_interrupt) != 0;
}

bool KeyboardController::auxiliary_interrupt_line() const {
  return output_full_ && output_auxiliary_ && (command_byte_ & byte_auxiliary_interrupt) != 0;
}

std::uint8_t KeyboardController::read(unsigned offset) {
  if (offset != 0) return status();
  output_full_ = false;
  const std::uint8_t value = output_;
  fill_output();
  return value;
}

void KeyboardController::write(unsigned offset, std::uint8_t value) {
  last_was_command_ = offset != 0;
  if (offset != 0) {
    command(value);
  } else {
    data(value);
  }
  fill_output();
}

void KeyboardController::receive(std::uint8_t code) {
  keyboard_.press(code);
  fill_output();
}

void KeyboardController::receive(const MouseMovement& movement) {
  mouse_.move(movement);
  fill_output();
}

// The next byte of the keyboard or the mouse moves into the output buffer as soon as that is empty.
void KeyboardController::fill_output() {
  while (!output_full_ && (command_byte_ & byte_disable_keyboard) == 0 && keyboard_.has_output()) {
    const std::uint8_t byte = keyboard_.take_output();
    const bool translating = (command_byte_ & byte_translate) != 0;
    if (translating && byte == scan_codes::release_prefix) {
      release_seen_ = true;
      continue;
    }
    reply(translating ? translate(byte) : byte);
  }
  if (!output_full_ && (command_byte_ & byte_disable_auxiliary) == 0 && mouse_.has_output()) {
    reply(mouse_.take_output(), true);
  }
}

std::uint8_t KeyboardController::translate(std::uint8_t byte) {
  const std::uint8_t code = scan_codes::set_1_from_set_2(byte);
  if (!release_seen_) return code;
  release_seen_ = false;
  return code | scan_codes::release_bit;
}

void KeyboardController::reply(std::uint8_t byte, bool auxiliary) {
  output_ = byte;
  output_full_ = true;
  output_auxiliary_ = auxiliary;
}

void KeyboardController::command(std::uint8_t value) {
  awaited_ = 0;
  switch (value) {
    case read_command_byte:
      return reply(command_byte_);
    case write_command_byte:
    case write_output_port_command:
    case write_keyboard_output:
    case write_auxiliary_output:
    case write_auxiliary:
      awaited_ = value;
      return;
    case disable_auxiliary:
      command_byte_ |= byte_disable_auxiliary;
      return;
    case enable_auxiliary:
      command_byte_ &= static_cast<std::uint8_t>(~byte_disable_auxiliary);
      return;
    case self_test:
      command_byte_ |= byte_system;
      return reply(self_test_passed);
    case test_keyboard:
    case test_auxiliary:
      return reply(line_test_passed);
    case disable_keyboard:
      command_byte_ |= byte_disable_keyboard;
      return;
    case enable_keyboard:
      command_byte_ &= static_cast<std::uint8_t>(~byte_disable_keyboard);
      return;
    case read_input_port:
      return reply(input_port);
    case read_output_port:
      return reply(read_output_lines());
    case a20_off:
      output_port_ &= static_cast<std::uint8_t>(~port_a20);
      return;
    case a20_on:
      output_port_ |= port_a20;
      return;
    case read_test_inputs:
      return reply(0);
    default:
      // Pulse the output port's low lines whose bit is 0; line 0 resets the processor.
      if (value >= pulse_first && (value & port_reset_inactive) == 0) reset_ = true;
  }
}

void KeyboardController::data(std::uint8_t value) {
  const std::uint8_t command = awaited_;
  awaited_ = 0;
  switch (command) {
    case write_command_byte:
      command_byte_ = value;
      return;
    case write_output_port_command:
      return write_output_port(value);
    case write_keyboard_output:
    case write_auxiliary_output:
      return reply(value, command == write_auxiliary_output);
    case write_auxiliary:
      command_byte_ &= static_cast<std::uint8_t>(~byte_disable_auxiliary);
      return mouse_.command(value);
    default:  // to the keyboard, which like the mouse is enabled by a byte sent to it
      command_byte_ &= static_cast<std::uint8_t>(~byte_disable_keyboard);
      keyboard_.command(value);
  }
}

std::uint8_t KeyboardController::read_output_lines() const {
  const unsigned full = !output_full_       ? 0
                        : output_auxiliary_ ? port_auxiliary_full
                                            : port_output_full;
  return static_cast<std::uint8_t>(output_port_ | full);
}

void KeyboardController::write_output_port(std::uint8_t value) {
  output_port_ = value & static_cast<std::uint8_t>(~(port_output_full | port_auxiliary_full));
  if ((value & port_reset_inactive) == 0) reset_ = true;
}

}  // namespace undercroft
