// The host's 8042 with its keyboard and mouse: scan codes as they come, the mouse's movements, the
// keyboard's lights. It translates nothing.
#pragma once

#include "byte_queue.hpp"
#include "mouse.hpp"

namespace undercroft::x86 {

class Keyboard {
 public:
  static constexpr unsigned irq = 1;
  static constexpr unsigned mouse_irq = 12;

  // Looks for a mouse and has it report; takes up to 50 ms where there is none. Before interrupts.
  void initialise();

  // An 8042's status is never all ones.
  static bool controller_present();

  bool read(std::uint8_t& scan_code) { return received_.pop(scan_code); }
  bool read_mouse(MouseMovement& movement) { return mouse_.read(movement); }
  // Bits as command 0xed has them. What the keyboard replies is kept from the guest. A keyboard
  // that does not acknowledge stays as it is.
  void show_lights(std::uint8_t lights);
  void handle_interrupt();

 private:
  bool ask_mouse(std::uint8_t byte);
  bool read_mouse_byte(std::uint8_t& byte);
  bool is_reply(std::uint8_t byte);

  // The command for the lights is two bytes, each of which the keyboard acknowledges.
  enum class Lights : std::uint8_t { shown, command_sent, value_sent };

  Lights lights_state_ = Lights::shown;
  std::uint8_t lights_ = 0;
  ByteQueue received_;
  Mouse mouse_;
};

}  // namespace undercroft::x86
