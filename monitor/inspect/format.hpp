// Formatted text for people, without heap or locale: print(console, "{} frames at {x}\n", n, base).
// It knows numbers, text, truth values and addresses; where the text goes is the Console's
// business.
//
// Placeholders, each taking the next argument:
//   {}   decimal for numbers (signed if the type is), text as it is, addresses as 0x and 8 digits
//   {x}  0x and as many hexadecimal digits as needed
//   {xN} 0x and at least N digits (N: 1 to 16), zero-padded
//   {N}  decimal or text, padded with blanks on the left to N columns (N: 1 to 99)
// {{ is a brace. A placeholder without an argument prints {?}; surplus arguments are left out.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "../address.hpp"
#include "../ports.hpp"

namespace undercroft {

class FormatArgument {
 public:
  enum class Kind : std::uint8_t { unsigned_number, signed_number, text, address };

  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) constexpr FormatArgument(T value)
      : kind_(std::is_signed_v<T> ? Kind::signed_number : Kind::unsigned_number),
        bytes_(sizeof(T)),
        number_(static_cast<std::uint64_t>(static_cast<std::int64_t>(value))) {
    if constexpr (!std::is_signed_v<T>) number_ = value;
  }
  constexpr FormatArgument(bool value) : kind_(Kind::text), text_(value ? "yes" : "no") {}
  constexpr FormatArgument(std::string_view value) : kind_(Kind::text), text_(value) {}
  constexpr FormatArgument(const char* value) : kind_(Kind::text), text_(value) {}
  template <class Tag>
  constexpr FormatArgument(Address<Tag> value) : kind_(Kind::address), number_(value.value()) {}

  constexpr Kind kind() const { return kind_; }
  constexpr std::string_view text() const { return text_; }
  // All 64 bits, sign-extended if the type was signed.
  constexpr std::uint64_t number() const { return number_; }
  // The bits that the argument's own type had: what {x} shows.
  constexpr std::uint64_t bits() const {
    return bytes_ == 8 ? number_ : number_ & ((std::uint64_t{1} << (8 * bytes_)) - 1);
  }

 private:
  Kind kind_;
  std::uint8_t bytes_ = 4;
  std::uint64_t number_ = 0;
  std::string_view text_;
};

// What an English word of `count` things ends with: "{} disk{}".
constexpr std::string_view plural(std::uint64_t count) { return count == 1 ? "" : "s"; }

void print_arguments(Console&, std::string_view format, std::span<const FormatArgument>);

template <class... Arguments>
void print(Console& console, std::string_view format, const Arguments&... arguments) {
  const std::array<FormatArgument, sizeof...(Arguments)> list{FormatArgument(arguments)...};
  print_arguments(console, format, list);
}

// A Console that collects text in the caller's buffer; what does not fit is dropped.
class TextBuffer final : public Console {
 public:
  explicit constexpr TextBuffer(std::span<char> storage) : storage_(storage) {}
  void write(std::string_view text) override {
    for (const char c : text) {
      if (used_ < storage_.size()) storage_[used_++] = c;
    }
  }
  constexpr std::string_view text() const { return {storage_.data(), used_}; }
  constexpr void clear() { used_ = 0; }

 private:
  std::span<char> storage_;
  std::size_t used_ = 0;
};

}  // namespace undercroft
