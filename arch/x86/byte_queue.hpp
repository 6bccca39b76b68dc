// A small ring of received bytes, filled by an interrupt handler and emptied by the monitor with
// interrupts off. When it is full, the newest byte is lost.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft::x86 {

class ByteQueue {
 public:
  constexpr void push(std::uint8_t byte) {
    if (count_ == bytes_.size()) return;
    bytes_[(first_ + count_) % bytes_.size()] = byte;
    ++count_;
  }
  constexpr bool pop(std::uint8_t& byte) {
    if (count_ == 0) return false;
    byte = bytes_[first_];
    first_ = (first_ + 1) % bytes_.size();
    --count_;
    return true;
  }

 private:
  std::array<std::uint8_t, 1024> bytes_{};
  unsigned first_ = 0;
  unsigned count_ = 0;
};

}  // namespace undercroft::x86
