// What a hostile kernel is made of by chance: numbers, addresses and instructions that are likelier
// to hurt than evenly chosen ones. All of it follows from one seed.
#pragma once

#include "../guests/runtime/cpu.hpp"

namespace guest {

inline u32 random_state = 1;

inline u32 random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state * 0x9e3779b1;
}
inline u32 random(u32 below) { return static_cast<u32>(u64{random()} * below >> 32); }
inline bool one_in(u32 n) { return random(n) == 0; }

// Anything, edges preferred.
inline u32 random_word() {
  switch (random(6)) {
    case 0:
      return random();
    case 1:
      return random(256);
    case 2:
      return ~random(256);
    case 3:
      return 1u << random(32);
    case 4:
      return (1u << random(32)) - 1;
    default:
      return random() & 0xfffff000;
  }
}

}  // namespace guest
