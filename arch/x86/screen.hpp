// The host's VGA text screen, 80 by 25, mapped at window::screen: the monitor's messages, until the
// guest shows something, and again from take_back on. It knows lines and scrolling, and whose the
// card is; what a guest shows is vga_display.hpp's.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "monitor/devices/vga_registers.hpp"

namespace undercroft::x86 {

class Screen {
 public:
  void initialise();
  // While the screen is the guest's, the text is kept for take_back.
  void write(std::string_view text);

  // Loads what differs from what the card has.
  void load(const VgaRegisters&);
  // The screen is the guest's from now on.
  void give_to_guest() { guest_shows_ = true; }
  // The monitor's messages are shown again, as they stand now, in the mode of the start.
  void take_back();
  const VgaRegisters& registers() const { return loaded_; }

 private:
  static constexpr unsigned columns = 80, rows = 25;
  // Of each character's shape 16 lines; the first 128 are enough for messages.
  static constexpr unsigned kept_characters = 128, kept_lines = 16;

  void put(char c);
  void set(unsigned at, std::uint16_t cell);
  void new_line();
  void show_cursor();
  void keep_font();
  void restore_font();

  VgaRegisters first_{}, loaded_{};
  unsigned column_ = 0;
  unsigned row_ = 0;
  bool guest_shows_ = false;
  std::array<std::uint16_t, columns * rows> cells_{};
  std::array<std::uint8_t, kept_characters * kept_lines> font_{};
};

}  // namespace undercroft::x86
