#include "message_text.hpp"

#include <algorithm>

namespace undercroft {
namespace {

constexpr std::uint16_t grey_on_black = 0x0700;
constexpr std::uint16_t blank = grey_on_black | ' ';

}  // namespace

void MessageText::clear() {
  cells_.fill(blank);
  column_ = row_ = 0;
}

void MessageText::write(std::string_view text) {
  for (const char c : text) put(c);
}

void MessageText::put(char c) {
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
  cells_[row_ * columns + column_++] =
      static_cast<std::uint16_t>(grey_on_black | static_cast<std::uint8_t>(c));
}

void MessageText::new_line() {
  column_ = 0;
  if (row_ + 1 < rows) {
    ++row_;
    return;
  }
  std::copy(cells_.begin() + columns, cells_.end(), cells_.begin());
  std::fill(cells_.end() - columns, cells_.end(), blank);
}

}  // namespace undercroft
