// The two 8259s as a test kernel sets them up.
#pragma once

#include "cpu.hpp"

namespace guest {

// Anew, for vectors 0x20 to 0x2f (the slave's where it is said), with the lines open whose bits are
// set; the cascade goes with those of the slave.
inline void initialise_8259s(u32 open_lines, u8 slave_vectors = 0x28) {
  if (open_lines >> 8 != 0) open_lines |= 1u << 2;
  const struct {
    u16 port;
    u8 value;
  } words[] = {{0x20, 0x11},
               {0x21, 0x20},
               {0x21, 4},
               {0x21, 1},
               {0xa0, 0x11},
               {0xa1, slave_vectors},
               {0xa1, 2},
               {0xa1, 1},
               {0x21, static_cast<u8>(~open_lines)},
               {0xa1, static_cast<u8>(~open_lines >> 8)}};
  for (const auto& word : words) out8(word.port, word.value);
}

}  // namespace guest
