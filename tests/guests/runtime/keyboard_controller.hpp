// The 8042 as a test kernel talks to it. Whatever does not come within some thousand looks at the
// status does not come.
#pragma once

#include "cpu.hpp"

namespace guest::i8042 {

inline constexpr u16 data_port = 0x60, status_port = 0x64;
inline constexpr u8 output_full = 0x01, input_full = 0x02, from_mouse = 0x20;
inline constexpr u32 patience = 5000;

inline bool has_output() { return in8(status_port) & output_full; }
inline void wait_for_output() {
  for (u32 i = 0; i < patience && !has_output(); ++i) {
  }
}
inline void wait_for_room() {
  for (u32 i = 0; i < patience && (in8(status_port) & input_full); ++i) {
  }
}
inline void command(u8 value) {
  wait_for_room();
  out8(status_port, value);
}
inline void data(u8 value) {
  wait_for_room();
  out8(data_port, value);
}
inline void set_command_byte(u8 value) {
  command(0x60);
  data(value);
}
inline void empty() {
  while (has_output()) in8(data_port);
}

// Calls use(byte, comes_from_the_mouse) for all that comes, as it comes.
template <class Use>
void take_output(Use use) {
  for (u32 quiet = 0; quiet < patience; ++quiet) {
    const u8 status = in8(status_port);
    if (!(status & output_full)) continue;
    use(in8(data_port), (status & from_mouse) != 0);
    quiet = 0;
  }
}

}  // namespace guest::i8042
