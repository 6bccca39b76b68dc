// The host's PS/2 mouse: packets into movements. Who asks the controller is keyboard.hpp.
#pragma once

#include <array>
#include <cstdint>

#include "monitor/ports.hpp"

namespace undercroft::x86 {

class Mouse {
 public:
  // With a wheel a packet has four bytes.
  void start(bool wheel) { packet_bytes_ = wheel ? 4 : 3; }
  void receive(std::uint8_t byte);
  // What it has done since the last call. False: nothing.
  bool read(MouseMovement&);

 private:
  unsigned packet_bytes_ = 3;
  std::array<std::uint8_t, 4> packet_{};
  unsigned received_ = 0;
  MouseMovement movement_{};
  bool moved_ = false;
};

}  // namespace undercroft::x86
