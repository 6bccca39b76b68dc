#include "mouse.hpp"

#include <algorithm>

namespace undercroft {
namespace {

enum Command : std::uint8_t {
  scale_1_to_1 = 0xe6,
  scale_2_to_1 = 0xe7,
  set_resolution = 0xe8,
  read_status = 0xe9,
  stream_mode = 0xea,
  read_data = 0xeb,
  end_wrap = 0xec,
  begin_wrap = 0xee,
  remote_mode = 0xf0,
  read_identity = 0xf2,
  set_rate = 0xf3,
  enable = 0xf4,
  disable = 0xf5,
  set_default = 0xf6,
  resend = 0xfe,
  reset = 0xff,
};

constexpr std::uint8_t reply_acknowledge = 0xfa;
constexpr std::uint8_t reply_resend = 0xfe;
constexpr std::uint8_t self_test_passed = 0xaa;
constexpr std::uint8_t with_wheel = 3;

constexpr std::uint8_t packet_always = 0x08, packet_left = 0x10, packet_down = 0x20;

// IBM, "Data Report": counts that are sent for the first ones at 2:1.
constexpr std::array<int, 6> doubled_counts{0, 1, 1, 3, 6, 9};

}  // namespace

void Mouse::send(std::uint8_t byte) {
  if (count_ == queue_size) return;
  queue_[(first_ + count_++) % queue_size] = byte;
}

std::uint8_t Mouse::take_output() {
  last_sent_ = queue_[first_];
  first_ = static_cast<std::uint8_t>((first_ + 1) % queue_size);
  --count_;
  if (count_ == 0) stream();
  return last_sent_;
}

// A command ends what the mouse was sending, so its reply comes first.
void Mouse::acknowledge() {
  count_ = 0;
  send(reply_acknowledge);
}

void Mouse::set_defaults() {
  resolution_ = 2;
  rate_ = 100;
  reporting_ = remote_ = wrap_ = doubled_ = moved_ = false;
  waiting_ = {0, 0, 0, waiting_.buttons};
}

void Mouse::command(std::uint8_t byte) {
  if (wrap_ && byte != reset && byte != end_wrap) return send(byte);
  if (awaited_ != 0) return parameter(byte);
  switch (byte) {
    case scale_1_to_1:
    case scale_2_to_1:
      acknowledge();
      doubled_ = byte == scale_2_to_1;
      return;
    case set_resolution:
    case set_rate:
      acknowledge();
      awaited_ = byte;
      return;
    case read_status:
      acknowledge();
      return send_status();
    case stream_mode:
    case remote_mode:
      acknowledge();
      remote_ = byte == remote_mode;
      return;
    case read_data:
      acknowledge();
      return send_packet();
    case begin_wrap:
    case end_wrap:
      acknowledge();
      wrap_ = byte == begin_wrap;
      return;
    case read_identity:
      acknowledge();
      return send(identity_);
    case enable:
    case disable:
      acknowledge();
      reporting_ = byte == enable;
      return;
    case set_default:
      acknowledge();
      return set_defaults();
    case resend:
      return send(last_sent_);
    case reset:
      acknowledge();
      set_defaults();
      identity_ = 0;
      rates_before_ = {};
      send(self_test_passed);
      return send(identity_);
    default:
      count_ = 0;
      send(reply_resend);
  }
}

void Mouse::parameter(std::uint8_t byte) {
  const std::uint8_t command = awaited_;
  awaited_ = 0;
  acknowledge();
  if (command == set_resolution) {
    resolution_ = byte & 3;
  } else {
    note_rate(byte);
  }
}

// The knock: rates of 200, 100 and 80 one after another.
void Mouse::note_rate(std::uint8_t rate) {
  rate_ = rate;
  if (rates_before_[1] == 200 && rates_before_[0] == 100 && rate == 80) identity_ = with_wheel;
  rates_before_ = {rate, rates_before_[0]};
}

// Left, middle and right stand the other way round than in a packet.
void Mouse::send_status() {
  const unsigned buttons = waiting_.buttons;
  send(static_cast<std::uint8_t>((remote_ ? 0x40 : 0) | (reporting_ ? 0x20 : 0) |
                                 (doubled_ ? 0x10 : 0) | (buttons & 1) << 2 |
                                 (buttons >> 2 & 1) << 1 | (buttons >> 1 & 1)));
  send(resolution_);
  send(rate_);
}

int Mouse::scaled(int counts) const {
  if (!doubled_ || remote_) return counts;
  const auto size = static_cast<unsigned>(counts < 0 ? -counts : counts);
  const int doubled =
      size < doubled_counts.size() ? doubled_counts[size] : static_cast<int>(size) * 2;
  return counts < 0 ? -doubled : doubled;
}

// What does not fit into nine bits comes with the next packet.
void Mouse::send_packet() {
  const int right = std::clamp(waiting_.right, -127, 127), up = std::clamp(waiting_.up, -127, 127);
  const int wheel = std::clamp(waiting_.wheel, -8, 7);
  const int x = scaled(right), y = scaled(up);
  send(static_cast<std::uint8_t>(packet_always | (waiting_.buttons & 7) |
                                 (x < 0 ? packet_left : 0) | (y < 0 ? packet_down : 0)));
  send(static_cast<std::uint8_t>(x));
  send(static_cast<std::uint8_t>(y));
  if (identity_ == with_wheel) send(static_cast<std::uint8_t>(wheel));
  waiting_.right -= right;
  waiting_.up -= up;
  waiting_.wheel = identity_ == with_wheel ? waiting_.wheel - wheel : 0;
  moved_ = waiting_.right != 0 || waiting_.up != 0 || waiting_.wheel != 0;
}

void Mouse::stream() {
  if (moved_ && reporting_ && !remote_ && !wrap_ && awaited_ == 0 && count_ == 0) send_packet();
}

void Mouse::move(const MouseMovement& movement) {
  if (!reporting_ && !remote_) {
    waiting_.buttons = movement.buttons;
    return;
  }
  constexpr int most = 0x7fff;
  waiting_.right = std::clamp(waiting_.right + movement.right, -most, most);
  waiting_.up = std::clamp(waiting_.up + movement.up, -most, most);
  waiting_.wheel = std::clamp(waiting_.wheel + movement.wheel, -most, most);
  waiting_.buttons = movement.buttons;
  moved_ = true;
  stream();
}

}  // namespace undercroft
