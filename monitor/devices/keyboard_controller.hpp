// The 8042 keyboard controller with its keyboard and, at its auxiliary port, its mouse. Source: IBM
// PS/2 Hardware Interface Technical Reference, Keyboard/Auxiliary Device Controller. It answers at
// once, so that its input buffer is never full.
#pragma once

#include <cstdint>

#include "keyboard.hpp"
#include "mouse.hpp"

namespace undercroft {

class KeyboardController {
 public:
  // Offset 0 is port 0x60 (data), offset 1 is port 0x64 (status and commands).
  std::uint8_t read(unsigned offset);
  void write(unsigned offset, std::uint8_t value);

  bool can_receive() const { return keyboard_.can_take(); }
  void receive(std::uint8_t set_1_code);
  void receive(const MouseMovement&);
  std::uint8_t lights() const { return keyboard_.leds(); }  // as command 0xed has them

  bool interrupt_line() const;            // IRQ 1
  bool auxiliary_interrupt_line() const;  // IRQ 12
  bool a20() const { return (output_port_ & 0x02) != 0; }
  // The guest has pulled the processor's reset line.
  bool reset_requested() const { return reset_; }

 private:
  void command(std::uint8_t value);
  void data(std::uint8_t value);
  void write_output_port(std::uint8_t value);
  void reply(std::uint8_t byte, bool auxiliary = false);
  void fill_output();
  std::uint8_t translate(std::uint8_t byte);
  std::uint8_t status() const;
  std::uint8_t read_output_lines() const;

  Keyboard keyboard_{};
  Mouse mouse_{};
  std::uint8_t command_byte_ = 0x65;  // translation, AUX disabled, system flag, IRQ 1 on
  std::uint8_t output_port_ = 0x03;   // A20 on, reset line inactive
  std::uint8_t output_ = 0;
  std::uint8_t awaited_ = 0;  // the controller command whose data byte comes next
  bool output_full_ = false;
  bool output_auxiliary_ = false;  // it came from the auxiliary port
  bool last_was_command_ = false;
  bool release_seen_ = false;  // translation: the release prefix has been swallowed
  bool reset_ = false;
};

}  // namespace undercroft
