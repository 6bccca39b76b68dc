// Bytes of a terminal as key presses: for guests that have a keyboard only, on a host that has a
// serial line only. Shifted characters come with their shift; the escape sequences of cursor and
// function keys (VT100, xterm) become those keys.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

class SerialKeys {
 public:
  // An escape that nothing has followed for so long is the key itself, in nanoseconds.
  static constexpr std::uint64_t escape_time = 50'000'000;

  // To be called only while has_room().
  void type(std::uint8_t byte, std::uint64_t now);
  bool has_room() const { return count_ + most_codes <= codes_.size(); }
  // The next scan code of set 1. False: there is none yet.
  bool next(std::uint8_t& scan_code, std::uint64_t now);

 private:
  static constexpr unsigned most_codes = 16;  // that one byte can make
  enum class State : std::uint8_t { plain, escape, sequence, function };

  void put(unsigned code);
  void press(std::uint8_t key, unsigned modifiers);
  void press_character(std::uint8_t byte, unsigned modifiers);
  void end_sequence(std::uint8_t final);

  std::array<std::uint8_t, 64> codes_{};
  unsigned first_ = 0, count_ = 0;
  State state_ = State::plain;
  unsigned number_ = 0;  // the sequence's parameter
  std::uint64_t escape_at_ = 0;
};

}  // namespace undercroft
