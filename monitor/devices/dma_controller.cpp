#include "dma_controller.hpp"

namespace undercroft {
namespace {

// Offsets of the control registers (data sheet, "Software Commands").
constexpr unsigned status_or_command = 8;
constexpr unsigned request = 9;
constexpr unsigned mask_bit = 10;
constexpr unsigned clear_flip_flop = 12;
constexpr unsigned master_clear = 13;
constexpr unsigned clear_mask = 14;
constexpr unsigned all_masks = 15;

// Request and mask registers: bits 1 and 0 name the channel, bit 2 says what to do with its bit.
constexpr std::uint8_t with_bit(std::uint8_t bits, std::uint8_t command) {
  const auto bit = static_cast<std::uint8_t>(1u << (command & 3));
  return static_cast<std::uint8_t>((command & 4) != 0 ? bits | bit : bits & ~bit);
}

}  // namespace

void DmaChip::clear() {
  high_next_ = false;
  requests_ = 0;
  mask_ = 0x0f;
}

std::uint8_t DmaChip::read(unsigned offset) {
  if (offset < 8) {
    const std::uint16_t word = words_[offset];
    high_next_ = !high_next_;
    return static_cast<std::uint8_t>(high_next_ ? word : word >> 8);
  }
  if (offset == status_or_command) return static_cast<std::uint8_t>(requests_ << 4);
  if (offset == all_masks) return static_cast<std::uint8_t>(0xf0 | mask_);
  return 0;  // the temporary register, and what cannot be read
}

void DmaChip::write(unsigned offset, std::uint8_t value) {
  if (offset < 8) {
    std::uint16_t& word = words_[offset];
    word = static_cast<std::uint16_t>(high_next_ ? (word & 0x00ff) | value << 8
                                                 : (word & 0xff00) | value);
    high_next_ = !high_next_;
    return;
  }
  switch (offset) {
    case request:
      requests_ = with_bit(requests_, value);
      return;
    case mask_bit:
      mask_ = with_bit(mask_, value);
      return;
    case clear_flip_flop:
      high_next_ = false;
      return;
    case master_clear:
      return clear();
    case clear_mask:
      mask_ = 0;
      return;
    case all_masks:
      mask_ = value & 0x0f;
      return;
    default:
      return;  // command and mode: nothing to control
  }
}

}  // namespace undercroft
