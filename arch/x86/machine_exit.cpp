#include "machine_exit.hpp"

#include "instructions.hpp"
#include "machine.hpp"
#include "serial.hpp"

namespace undercroft::x86 {
namespace {

void write_text(std::uint16_t port, const char* text) {
  while (*text) port_out_8(port, static_cast<std::uint8_t>(*text++));
}

}  // namespace

void exit_machine(std::uint8_t value) {
  drain_serial();
  port_out_8(0xf4, value);
  const char* digits = "0123456789abcdef";
  const char number[] = {digits[value >> 4], digits[value & 15], '\n', 0};
  write_text(0xe9, "\nundercroft ends: ");
  write_text(0xe9, number);
  write_text(0x8900, "Shutdown");
  // No emulator: somebody sits before it. In a panic nothing more is risked.
  if (value != static_cast<std::uint8_t>(ExitCode::panic)) {
    machine().write("undercroft: the end; the machine can be switched off\n");
  }
  halt_for_ever();
}

}  // namespace undercroft::x86
