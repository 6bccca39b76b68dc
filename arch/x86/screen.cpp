#include "screen.hpp"

#include <cstring>

#include "instructions.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::x86 {
namespace {

constexpr unsigned columns = 80;
constexpr unsigned rows = 25;
constexpr std::uint16_t grey_on_black = 0x0700;
constexpr std::uint16_t blank = grey_on_black | ' ';

std::uint16_t* cells() { return reinterpret_cast<std::uint16_t*>(window::screen); }

}  // namespace

void Screen::initialise() {
  for (unsigned i = 0; i < columns * rows; ++i) cells()[i] = blank;
  show_cursor();
}

void Screen::write(std::string_view text) {
  for (const char c : text) put(c);
  show_cursor();
}

void Screen::put(char c) {
  if (c == '\n') return new_line();
  if (c == '\r') {
    column_ = 0;
    return;
  }
  if (c == '\b') {
    if (column_ > 0) --column_;
    return;
  }
  if (column_ == columns) new_line();
  cells()[row_ * columns + column_++] =
      static_cast<std::uint16_t>(grey_on_black | static_cast<std::uint8_t>(c));
}

void Screen::new_line() {
  column_ = 0;
  if (row_ + 1 < rows) {
    ++row_;
    return;
  }
  std::memmove(cells(), cells() + columns, columns * (rows - 1) * 2);
  for (unsigned i = 0; i < columns; ++i) cells()[columns * (rows - 1) + i] = blank;
}

// CRTC registers 14 and 15: cursor location.
void Screen::show_cursor() {
  const unsigned position = row_ * columns + column_;
  port_out_8(0x3d4, 14);
  port_out_8(0x3d5, static_cast<std::uint8_t>(position >> 8));
  port_out_8(0x3d4, 15);
  port_out_8(0x3d5, static_cast<std::uint8_t>(position));
}

}  // namespace undercroft::x86
