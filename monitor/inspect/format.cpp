#include "format.hpp"

namespace undercroft {
namespace {

struct Placeholder {
  bool hexadecimal = false;
  unsigned width = 0;
};

// The digits of `value`, last digit at the buffer's end.
struct Digits {
  std::array<char, 24> storage;
  std::size_t first = storage.size();

  void push(char c) { storage[--first] = c; }
  std::size_t count() const { return storage.size() - first; }
  std::string_view text() const { return {storage.data() + first, count()}; }
};

Digits digits_of(std::uint64_t value, unsigned base, unsigned at_least) {
  Digits digits;
  do {
    digits.push("0123456789abcdef"[value % base]);
    value /= base;
  } while (value != 0);
  while (digits.count() < at_least && digits.count() < 16) digits.push('0');
  return digits;
}

void pad(Console& console, std::size_t used, unsigned width) {
  for (std::size_t column = used; column < width; ++column) console.write(" ");
}

void print_hexadecimal(Console& console, std::uint64_t value, unsigned width) {
  Digits digits = digits_of(value, 16, width);
  digits.push('x');
  digits.push('0');
  console.write(digits.text());
}

void print_decimal(Console& console, const FormatArgument& argument, unsigned width) {
  const auto value = static_cast<std::int64_t>(argument.number());
  const bool negative = argument.kind() == FormatArgument::Kind::signed_number && value < 0;
  Digits digits = digits_of(negative ? 0 - argument.number() : argument.number(), 10, 1);
  if (negative) digits.push('-');
  pad(console, digits.count(), width);
  console.write(digits.text());
}

void print_argument(Console& console, const FormatArgument& argument, Placeholder placeholder) {
  switch (argument.kind()) {
    case FormatArgument::Kind::text:
      pad(console, argument.text().size(), placeholder.width);
      console.write(argument.text());
      return;
    case FormatArgument::Kind::address:
      print_hexadecimal(console, argument.number(), placeholder.width ? placeholder.width : 8);
      return;
    case FormatArgument::Kind::unsigned_number:
    case FormatArgument::Kind::signed_number:
      if (placeholder.hexadecimal) {
        print_hexadecimal(console, argument.bits(), placeholder.width);
      } else {
        print_decimal(console, argument, placeholder.width);
      }
      return;
  }
}

Placeholder parse(std::string_view inside) {
  Placeholder result;
  for (const char c : inside) {
    if (c == 'x') result.hexadecimal = true;
    if (c >= '0' && c <= '9') result.width = result.width * 10 + static_cast<unsigned>(c - '0');
  }
  return result;
}

}  // namespace

void print_arguments(Console& console, std::string_view format,
                     std::span<const FormatArgument> arguments) {
  std::size_t next = 0;
  while (!format.empty()) {
    const std::size_t brace = format.find('{');
    if (brace != 0) console.write(format.substr(0, brace));
    if (brace == std::string_view::npos) return;
    format.remove_prefix(brace + 1);
    if (format.starts_with('{')) {
      console.write("{");
      format.remove_prefix(1);
      continue;
    }
    const std::size_t end = format.find('}');
    if (end == std::string_view::npos || next == arguments.size()) {
      console.write("{?}");
    } else {
      print_argument(console, arguments[next++], parse(format.substr(0, end)));
    }
    format.remove_prefix(end == std::string_view::npos ? format.size() : end + 1);
  }
}

}  // namespace undercroft
