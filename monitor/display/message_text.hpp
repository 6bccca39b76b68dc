// Lines of text on a screen of cells: where the next character goes, and scrolling. How the cells
// are shown is others' business.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace undercroft {

class MessageText {
 public:
  static constexpr unsigned columns = 80, rows = 25;

  void clear();
  // \n begins a line, \r goes back to its start, \b one place back.
  void write(std::string_view text);

  std::span<const std::uint16_t, columns * rows> cells() const { return cells_; }
  unsigned cursor() const { return row_ * columns + column_; }  // a cell, or one behind the last

 private:
  void put(char c);
  void new_line();

  std::array<std::uint16_t, columns * rows> cells_{};
  unsigned column_ = 0, row_ = 0;
};

}  // namespace undercroft
