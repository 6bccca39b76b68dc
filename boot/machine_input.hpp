// The host's devices as the guest's input.
#pragma once

#include "arch/x86/machine.hpp"
#include "monitor/devices/serial_keys.hpp"
#include "monitor/ports.hpp"
#include "options.hpp"

namespace undercroft::boot {

class MachineInput final : public HostInput {
 public:
  // keyboard: with KeyboardSource::serial what comes on the serial line is typed on the keyboard,
  // beside what the host's own sends, and the guest's serial line receives nothing.
  MachineInput(x86::Machine& machine, KeyboardSource keyboard)
      : machine_(machine), keyboard_(keyboard) {}

  bool read_serial(std::uint8_t& byte) override;
  bool read_keyboard(std::uint8_t& scan_code) override;
  bool read_mouse(MouseMovement& movement) override {
    return machine_.keyboard().read_mouse(movement);
  }
  void show_lights(std::uint8_t lights) override { machine_.keyboard().show_lights(lights); }
  bool read_command(std::uint8_t& letter) override {
    return machine_.serial().read_command(letter);
  }

 private:
  x86::Machine& machine_;
  KeyboardSource keyboard_;
  SerialKeys keys_;
};

}  // namespace undercroft::boot
