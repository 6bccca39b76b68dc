// Two 8237A DMA controllers and the page registers, as latches: what a driver programs reads back,
// but no transfer ever happens, since no device here asks for one. Data sheet: Intel 8237A.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

// One 8237A, offsets 0 to 15.
class DmaChip {
 public:
  std::uint8_t read(unsigned offset);
  void write(unsigned offset, std::uint8_t value);

 private:
  void clear();

  std::array<std::uint16_t, 8> words_{};  // address and count of each channel by turns
  bool high_next_ = false;                // the byte flip-flop
  std::uint8_t requests_ = 0;             // software requests, channel by bit
  std::uint8_t mask_ = 0x0f;
};

class DmaController {
 public:
  std::uint8_t read_first(unsigned offset) { return chips_[0].read(offset); }
  void write_first(unsigned offset, std::uint8_t value) { chips_[0].write(offset, value); }
  // The second's registers stand at even addresses.
  std::uint8_t read_second(unsigned offset) { return chips_[1].read(offset / 2); }
  void write_second(unsigned offset, std::uint8_t value) { chips_[1].write(offset / 2, value); }

  // Ports 0x80 to 0x8f; 0x80 belongs to no channel and takes power-on self-test codes.
  std::uint8_t read_page(unsigned offset) const { return pages_[offset & 15]; }
  void write_page(unsigned offset, std::uint8_t value) { pages_[offset & 15] = value; }

 private:
  std::array<DmaChip, 2> chips_{};
  std::array<std::uint8_t, 16> pages_{};
};

}  // namespace undercroft
