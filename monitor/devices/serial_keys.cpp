#include "serial_keys.hpp"

#include "scan_codes.hpp"

namespace undercroft {
namespace {

constexpr std::uint8_t escape = 0x1b, backspace = 0x08, delete_character = 0x7f;
constexpr std::uint8_t key_escape = 0x01, key_backspace = 0x0e, key_tab = 0x0f, key_enter = 0x1c;
constexpr std::uint8_t key_shift = 0x2a, key_control = 0x1d, key_alt = 0x38;
constexpr unsigned with_shift = 1, with_control = 2, with_alt = 4;

// Characters on the rows of a keyboard of the USA, plain and shifted, from a first code on.
struct KeyRow {
  std::uint8_t first;
  const char* plain;
  const char* shifted;
};
constexpr KeyRow key_rows[] = {{0x02, "1234567890-=", "!@#$%^&*()_+"},
                               {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
                               {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
                               {0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
                               {0x39, " ", ""}};

// ESC [ letter and ESC O letter; the grey keys have the prefix E0.
struct LetterKey {
  std::uint8_t letter, key;
  bool grey;
};
constexpr LetterKey letter_keys[] = {{'A', 0x48, true},  {'B', 0x50, true},  {'C', 0x4d, true},
                                     {'D', 0x4b, true},  {'H', 0x47, true},  {'F', 0x4f, true},
                                     {'P', 0x3b, false}, {'Q', 0x3c, false}, {'R', 0x3d, false},
                                     {'S', 0x3e, false}};

// ESC [ number ~
struct NumberKey {
  std::uint8_t number, key;
  bool grey;
};
constexpr NumberKey number_keys[] = {
    {1, 0x47, true},   {2, 0x52, true},   {3, 0x53, true},   {4, 0x4f, true},   {5, 0x49, true},
    {6, 0x51, true},   {7, 0x47, true},   {8, 0x4f, true},   {11, 0x3b, false}, {12, 0x3c, false},
    {13, 0x3d, false}, {14, 0x3e, false}, {15, 0x3f, false}, {17, 0x40, false}, {18, 0x41, false},
    {19, 0x42, false}, {20, 0x43, false}, {21, 0x44, false}, {23, 0x57, false}, {24, 0x58, false}};

}  // namespace

void SerialKeys::put(unsigned code) {
  if (count_ == codes_.size()) return;
  codes_[(first_ + count_++) % codes_.size()] = static_cast<std::uint8_t>(code);
}

bool SerialKeys::next(std::uint8_t& scan_code, std::uint64_t now) {
  if (state_ == State::escape && count_ == 0 && now - escape_at_ >= escape_time) {
    state_ = State::plain;
    press(key_escape, 0);
  }
  if (count_ == 0) return false;
  scan_code = codes_[first_];
  first_ = (first_ + 1) % codes_.size();
  --count_;
  return true;
}

void SerialKeys::press(std::uint8_t key, unsigned modifiers) {
  constexpr std::uint8_t keys[] = {key_shift, key_control, key_alt};
  for (unsigned i = 0; i < 3; ++i) {
    if (modifiers >> i & 1) put(keys[i]);
  }
  put(key);
  put(key | scan_codes::release_bit);
  for (unsigned i = 3; i-- > 0;) {
    if (modifiers >> i & 1) put(keys[i] | scan_codes::release_bit);
  }
}

void SerialKeys::press_character(std::uint8_t byte, unsigned modifiers) {
  if (byte == '\r' || byte == '\n') return press(key_enter, modifiers);
  if (byte == '\t') return press(key_tab, modifiers);
  if (byte == backspace || byte == delete_character) return press(key_backspace, modifiers);
  if (byte == escape) return press(key_escape, modifiers);
  if (byte < ' ') {  // control and a letter, or one of @ [ \ ] ^ _
    byte = static_cast<std::uint8_t>(byte | (byte == 0 || byte > 26 ? 0x40 : 0x60));
    modifiers |= with_control;
  }
  for (const KeyRow& row : key_rows) {
    for (std::uint8_t i = 0; row.plain[i] != '\0'; ++i) {
      const auto key = static_cast<std::uint8_t>(row.first + i);
      if (static_cast<std::uint8_t>(row.plain[i]) == byte) return press(key, modifiers);
      if (row.shifted[0] != '\0' && static_cast<std::uint8_t>(row.shifted[i]) == byte) {
        return press(key, modifiers | with_shift);
      }
    }
  }
}

// A sequence that is not known is dropped.
void SerialKeys::end_sequence(std::uint8_t final) {
  const auto tap = [this](std::uint8_t key, bool grey) {
    if (grey) put(scan_codes::extended);
    put(key);
    if (grey) put(scan_codes::extended);
    put(key | scan_codes::release_bit);
  };
  state_ = State::plain;
  if (final == '~') {
    for (const NumberKey& row : number_keys) {
      if (row.number == number_) return tap(row.key, row.grey);
    }
  } else {
    for (const LetterKey& row : letter_keys) {
      if (row.letter == final) return tap(row.key, row.grey);
    }
  }
}

void SerialKeys::type(std::uint8_t byte, std::uint64_t now) {
  switch (state_) {
    case State::plain:
      if (byte != escape) return press_character(byte, 0);
      state_ = State::escape;
      escape_at_ = now;
      return;
    case State::escape:
      number_ = 0;
      state_ = byte == '[' ? State::sequence : byte == 'O' ? State::function : State::plain;
      if (state_ == State::plain) press_character(byte, with_alt);
      return;
    case State::sequence:
      if (byte >= '0' && byte <= '9') {
        number_ = number_ * 10 + (byte - '0');
      } else if (byte >= 0x40 && byte <= 0x7e) {
        end_sequence(byte);
      } else if (byte < ' ') {
        state_ = State::plain;
      }
      return;
    case State::function:
      return end_sequence(byte);
  }
}

}  // namespace undercroft
