#include "machine_exit.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {

void exit_machine(std::uint8_t value) {
  port_out_8(0xf4, value);
  for (const char* c = "Shutdown"; *c; ++c) port_out_8(0x8900, static_cast<std::uint8_t>(*c));
  halt_for_ever();
}

}  // namespace undercroft::x86
