#include "screen.hpp"

#include <algorithm>

#include "host_vga.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t grey_on_black = 0x0700;
constexpr std::uint16_t blank = grey_on_black | ' ';
constexpr unsigned font_pitch = 32;  // bytes from one character's shape to the next

// Through the window's page: a panic must not need anything else.
volatile std::uint16_t* card_cells() {
  return reinterpret_cast<volatile std::uint16_t*>(window::screen);
}
volatile std::uint8_t* card_bytes() {
  return reinterpret_cast<volatile std::uint8_t*>(window::screen);
}

}  // namespace

void Screen::initialise() {
  first_ = loaded_ = with_text_access(read_vga_registers());
  keep_font();
  for (unsigned i = 0; i < cells_.size(); ++i) set(i, blank);
  show_cursor();
}

void Screen::load(const VgaRegisters& wanted) {
  load_vga_registers(loaded_, wanted);
  loaded_ = wanted;
}

void Screen::write(std::string_view text) {
  for (const char c : text) put(c);
  show_cursor();
}

void Screen::take_back() {
  if (!guest_shows_) return;
  guest_shows_ = false;
  restore_font();
  load(first_);
  for (unsigned i = 0; i < cells_.size(); ++i) card_cells()[i] = cells_[i];
  show_cursor();
}

void Screen::set(unsigned at, std::uint16_t cell) {
  cells_[at] = cell;
  if (!guest_shows_) card_cells()[at] = cell;
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
  set(row_ * columns + column_++,
      static_cast<std::uint16_t>(grey_on_black | static_cast<std::uint8_t>(c)));
}

void Screen::new_line() {
  column_ = 0;
  if (row_ + 1 < rows) {
    ++row_;
    return;
  }
  constexpr unsigned last_row = columns * (rows - 1);
  for (unsigned i = 0; i < last_row; ++i) set(i, cells_[i + columns]);
  for (unsigned i = 0; i < columns; ++i) set(last_row + i, blank);
}

// CRTC registers 14 and 15: cursor location.
void Screen::show_cursor() {
  if (guest_shows_) return;
  const unsigned position = row_ * columns + column_;
  VgaRegisters wanted = loaded_;
  wanted.crtc[0x0e] = static_cast<std::uint8_t>(position >> 8);
  wanted.crtc[0x0f] = static_cast<std::uint8_t>(position);
  load(wanted);
}

void Screen::keep_font() {
  const VgaRegisters before = loaded_;
  load(with_font_access(before));
  for (unsigned i = 0; i < font_.size(); ++i) {
    font_[i] = card_bytes()[i / kept_lines * font_pitch + i % kept_lines];
  }
  load(before);
}

void Screen::restore_font() {
  load(with_font_access(loaded_));
  for (unsigned i = 0; i < font_.size(); ++i) {
    card_bytes()[i / kept_lines * font_pitch + i % kept_lines] = font_[i];
  }
}

}  // namespace undercroft::x86
