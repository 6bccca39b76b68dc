#include "linux_command_line.hpp"

#include <optional>

namespace undercroft {
namespace {

constexpr std::uint64_t no_limit = ~std::uint64_t{0};
constexpr std::uint64_t largest = std::uint64_t{1} << 32;  // more makes no difference here

std::optional<unsigned> digit(char letter, unsigned base) {
  unsigned value = base;
  if (letter >= '0' && letter <= '9') value = static_cast<unsigned>(letter - '0');
  if (letter >= 'a' && letter <= 'f') value = static_cast<unsigned>(letter - 'a' + 10);
  if (letter >= 'A' && letter <= 'F') value = static_cast<unsigned>(letter - 'A' + 10);
  if (value >= base) return {};
  return value;
}

unsigned suffix_shift(char letter) {
  switch (letter | 0x20) {
    case 'k':
      return 10;
    case 'm':
      return 20;
    case 'g':
      return 30;
    default:
      return 0;
  }
}

// Decimal, octal with a leading 0 or hexadecimal with 0x, as C has it.
std::optional<std::uint64_t> size_of(std::string_view text) {
  unsigned base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.starts_with("0")) {
    base = 8;
  }
  if (text.empty() || !digit(text[0], base)) return {};
  std::uint64_t value = 0;
  while (!text.empty()) {
    const auto next = digit(text[0], base);
    if (!next) break;
    value = value * base + *next;
    if (value > largest) value = largest;
    text.remove_prefix(1);
  }
  if (text.empty()) return value;
  const unsigned shift = suffix_shift(text[0]);
  if (shift == 0 || text.size() > 1) return {};
  return value << shift;
}

}  // namespace

std::uint64_t memory_limit(std::string_view command_line) {
  constexpr std::string_view option = "mem=";
  std::uint64_t limit = no_limit;
  while (!command_line.empty()) {
    const std::size_t blank = command_line.find(' ');
    const std::string_view word = command_line.substr(0, blank);
    command_line.remove_prefix(blank == std::string_view::npos ? command_line.size() : blank + 1);
    if (!word.starts_with(option)) continue;
    if (const auto size = size_of(word.substr(option.size()))) limit = *size;
  }
  return limit;
}

}  // namespace undercroft
