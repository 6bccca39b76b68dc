#include "mouse.hpp"

namespace undercroft::x86 {
namespace {

// Of a packet's first byte (IBM PS/2 Hardware Interface Technical Reference, Mouse).
constexpr std::uint8_t always = 0x08, left = 0x10, down = 0x20, overflow = 0xc0;

int nine_bits(std::uint8_t low, bool negative) { return negative ? low - 256 : low; }

}  // namespace

// A byte that cannot be a packet's first is dropped, so that a lost byte costs one packet.
void Mouse::receive(std::uint8_t byte) {
  if (received_ == 0 && !(byte & always)) return;
  packet_[received_++] = byte;
  if (received_ < packet_bytes_) return;
  received_ = 0;
  if (packet_[0] & overflow) return;
  const std::uint8_t buttons = packet_[0] & 7;
  movement_.right += nine_bits(packet_[1], packet_[0] & left);
  movement_.up += nine_bits(packet_[2], packet_[0] & down);
  if (packet_bytes_ == 4) movement_.wheel += static_cast<std::int8_t>(packet_[3] << 4) >> 4;
  // A click shorter than the monitor's next look is still one.
  movement_.buttons = buttons;
  moved_ = true;
}

bool Mouse::read(MouseMovement& movement) {
  if (!moved_) return false;
  movement = movement_;
  movement_ = {0, 0, 0, movement_.buttons};
  moved_ = false;
  return true;
}

}  // namespace undercroft::x86
