// The host's keyboard: scan codes as the 8042 gives them. It translates nothing.
#pragma once

#include "byte_queue.hpp"

namespace undercroft::x86 {

class Keyboard {
 public:
  static constexpr unsigned irq = 1;

  // An 8042's status is never all ones.
  static bool controller_present();

  bool read(std::uint8_t& scan_code) { return received_.pop(scan_code); }
  void handle_interrupt();

 private:
  ByteQueue received_;
};

}  // namespace undercroft::x86
