// A set of interrupt vectors, as the local APIC keeps three of (SDM volume 3, 10.8.4).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace undercroft {

class VectorSet {
 public:
  constexpr void set(unsigned vector) { words_[vector / 32] |= 1u << vector % 32; }
  constexpr void clear(unsigned vector) { words_[vector / 32] &= ~(1u << vector % 32); }
  constexpr bool has(unsigned vector) const {
    return (words_[vector / 32] >> vector % 32 & 1) != 0;
  }
  // The 32 vectors from 32 * index on.
  constexpr std::uint32_t word(unsigned index) const { return words_[index]; }
  // The highest vector, which has the highest priority; 0 if there is none.
  constexpr unsigned highest() const {
    for (unsigned i = words_.size(); i-- != 0;) {
      if (words_[i] != 0) return i * 32 + 31 - static_cast<unsigned>(std::countl_zero(words_[i]));
    }
    return 0;
  }

 private:
  std::array<std::uint32_t, 8> words_{};
};

}  // namespace undercroft
