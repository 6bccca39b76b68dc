#include "host_interrupts.hpp"

#include "instructions.hpp"
#include "monitor/processor.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t primary = 0x20;
constexpr std::uint16_t secondary = 0xa0;
constexpr unsigned cascade = 2;

std::uint8_t in_service(std::uint16_t controller) {
  port_out_8(controller, 0x0b);  // OCW3: read ISR next
  return port_in_8(controller);
}

}  // namespace

void HostInterrupts::initialise() {
  port_out_8(primary, 0x11);  // ICW1: edge, cascade, ICW4 follows
  port_out_8(secondary, 0x11);
  port_out_8(primary + 1, host_interrupt_base);
  port_out_8(secondary + 1, host_interrupt_base + 8);
  port_out_8(primary + 1, 1u << cascade);
  port_out_8(secondary + 1, cascade);
  port_out_8(primary + 1, 0x01);  // ICW4: 8086 mode
  port_out_8(secondary + 1, 0x01);
  port_out_8(secondary + 1, 0xff);
  port_out_8(primary + 1, 0xff);
  unmask(cascade);
}

void HostInterrupts::unmask(unsigned line) {
  mask_ = static_cast<std::uint16_t>(mask_ & ~(1u << line));
  port_out_8(primary + 1, static_cast<std::uint8_t>(mask_));
  port_out_8(secondary + 1, static_cast<std::uint8_t>(mask_ >> 8));
}

bool HostInterrupts::end(unsigned line) {
  const std::uint16_t controller = line < 8 ? primary : secondary;
  const bool spurious = (line & 7) == 7 && !(in_service(controller) & 0x80);
  if (!spurious) port_out_8(controller, 0x20);  // OCW2: non-specific EOI
  if (line >= 8) port_out_8(primary, 0x20);
  return !spurious;
}

}  // namespace undercroft::x86
