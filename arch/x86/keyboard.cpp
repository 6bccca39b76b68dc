#include "keyboard.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {

bool Keyboard::controller_present() { return port_in_8(0x64) != 0xff; }

void Keyboard::handle_interrupt() {
  constexpr std::uint8_t output_full = 0x01;
  constexpr std::uint8_t from_mouse = 0x20;
  const std::uint8_t status = port_in_8(0x64);
  if (!(status & output_full)) return;
  const std::uint8_t byte = port_in_8(0x60);
  if (!(status & from_mouse)) received_.push(byte);
}

}  // namespace undercroft::x86
