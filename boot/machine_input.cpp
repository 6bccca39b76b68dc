#include "machine_input.hpp"

namespace undercroft::boot {

bool MachineInput::read_serial(std::uint8_t& byte) {
  return keyboard_ == KeyboardSource::host && machine_.serial().read(byte);
}

bool MachineInput::read_keyboard(std::uint8_t& scan_code) {
  if (machine_.keyboard().read(scan_code)) return true;
  if (keyboard_ == KeyboardSource::host) return false;
  const std::uint64_t now = machine_.timer().now();
  std::uint8_t byte = 0;
  while (keys_.has_room() && machine_.serial().read(byte)) keys_.type(byte, now);
  return keys_.next(scan_code, now);
}

}  // namespace undercroft::boot
