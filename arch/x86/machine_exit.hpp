// Ending the run. Under QEMU the isa-debug-exit device at port 0xf4 ends it with value * 2 + 1;
// Bochs ends at "Shutdown" on port 0x8900, after the value was told to its debug console at port
// 0xe9 (tools/croft/bochs.py reads it there); a real machine halts.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

enum class ExitCode : std::uint8_t {
  powered_off = 0x10,
  reset = 0x11,
  triple_fault = 0x12,
  stopped = 0x13,  // what the monitor cannot emulate
  boot_refused = 0x14,
  panic = 0x15,
};

[[noreturn]] void exit_machine(std::uint8_t value);
[[noreturn]] inline void exit_machine(ExitCode code) {
  exit_machine(static_cast<std::uint8_t>(code));
}

}  // namespace undercroft::x86
