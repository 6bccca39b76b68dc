#include "keyboard.hpp"

#include "scan_codes.hpp"

namespace undercroft {
namespace {

enum Command : std::uint8_t {
  set_leds = 0xed,
  echo = 0xee,
  select_scan_set = 0xf0,
  read_identity = 0xf2,
  set_rate = 0xf3,
  enable = 0xf4,
  default_disable = 0xf5,
  set_default = 0xf6,
  all_keys_first = 0xf7,  // to 0xfa: key types of scan code set 3
  all_keys_last = 0xfa,
  resend = 0xfe,
  reset = 0xff,
};

constexpr std::uint8_t reply_acknowledge = 0xfa;
constexpr std::uint8_t reply_resend = 0xfe;
constexpr std::uint8_t self_test_passed = 0xaa;
constexpr std::uint8_t identity_first = 0xab;
constexpr std::uint8_t identity_second = 0x83;

}  // namespace

void Keyboard::send(std::uint8_t byte) {
  if (count_ == queue_size) return;
  queue_[(first_ + count_++) % queue_size] = byte;
}

std::uint8_t Keyboard::take_output() {
  last_sent_ = queue_[first_];
  first_ = static_cast<std::uint8_t>((first_ + 1) % queue_size);
  --count_;
  return last_sent_;
}

// A command ends what the keyboard was sending, so its reply comes first.
void Keyboard::acknowledge() {
  count_ = 0;
  send(reply_acknowledge);
}

void Keyboard::set_defaults() {
  scan_set_ = 2;
  awaited_ = 0;
}

void Keyboard::command(std::uint8_t byte) {
  if (awaited_ != 0 && byte < set_leds) return parameter(byte);
  awaited_ = 0;
  switch (byte) {
    case echo:
      count_ = 0;
      send(echo);
      return;
    case resend:
      send(last_sent_);
      return;
    case set_leds:
    case set_rate:
    case select_scan_set:
      acknowledge();
      awaited_ = byte;
      return;
    case read_identity:
      acknowledge();
      send(identity_first);
      send(identity_second);
      return;
    case enable:
      acknowledge();
      scanning_ = true;
      return;
    case default_disable:
      acknowledge();
      set_defaults();
      scanning_ = false;
      return;
    case set_default:
      acknowledge();
      set_defaults();
      return;
    case reset:
      acknowledge();
      set_defaults();
      leds_ = 0;
      scanning_ = true;
      send(self_test_passed);
      return;
    default:
      if (byte >= all_keys_first && byte <= all_keys_last) return acknowledge();
      count_ = 0;
      send(reply_resend);
  }
}

void Keyboard::parameter(std::uint8_t byte) {
  const std::uint8_t command = awaited_;
  awaited_ = 0;
  if (command == select_scan_set && byte > 2) {  // set 3 is not offered
    count_ = 0;
    return send(reply_resend);
  }
  acknowledge();
  if (command == set_leds) leds_ = byte & 7;
  if (command == select_scan_set) {
    if (byte == 0) {
      send(scan_set_);
    } else {
      scan_set_ = byte;
    }
  }
}

void Keyboard::press(std::uint8_t code) {
  if (!scanning_ || !can_take()) return;
  if (scan_set_ == 1 || code == scan_codes::extended || code == scan_codes::extended_pause) {
    return send(code);
  }
  if ((code & scan_codes::release_bit) != 0) send(scan_codes::release_prefix);
  send(scan_codes::set_2_from_set_1(code));
}

}  // namespace undercroft
