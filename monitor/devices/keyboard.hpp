// A PS/2 keyboard, as far as the controller and drivers can tell: its commands, its reset, its
// scan codes in sets 1 and 2. Protocol: IBM PS/2 Hardware Interface Technical Reference, Keyboards.
// Repetition is left to the host's keyboard.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

class Keyboard {
 public:
  void command(std::uint8_t byte);  // from the controller
  // A key of the host, in scan code set 1 with its prefixes, one byte at a time.
  void press(std::uint8_t set_1_code);
  bool can_take() const { return count_ + 2u <= queue_size; }

  bool has_output() const { return count_ != 0; }
  std::uint8_t take_output();  // only if has_output()

  std::uint8_t leds() const { return leds_; }

 private:
  static constexpr unsigned queue_size = 32;

  void send(std::uint8_t byte);
  void acknowledge();
  void parameter(std::uint8_t byte);
  void set_defaults();

  std::array<std::uint8_t, queue_size> queue_{};
  std::uint8_t first_ = 0;
  std::uint8_t count_ = 0;
  std::uint8_t awaited_ = 0;  // the command whose parameter comes next
  std::uint8_t last_sent_ = 0;
  std::uint8_t scan_set_ = 2;
  std::uint8_t leds_ = 0;
  bool scanning_ = true;
};

}  // namespace undercroft
