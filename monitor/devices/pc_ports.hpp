// Which device of the PC answers at which port.
#pragma once

#include <cstdint>

#include "bus.hpp"

namespace undercroft::pc_ports {

enum class Device : std::uint8_t {
  dma_first,
  dma_second,
  dma_pages,
  interrupts_master,
  interrupts_slave,
  edge_level,
  timer,
  port_b,
  keyboard_data,
  keyboard_command,
  clock,
  port_a,
  debug_console,
  fpu_error,
  debug_exit,
  vga,
  serial,
  acpi,
  pci_configuration,
  bochs_shutdown,
};

constexpr PortRange bytes(std::uint16_t first, std::uint16_t count, Device device,
                          std::uint16_t offset = 0) {
  return {first, count, static_cast<std::uint8_t>(device), offset, PortRange::Width::bytes};
}
constexpr PortRange whole(std::uint16_t first, std::uint16_t count, Device device) {
  return {first, count, static_cast<std::uint8_t>(device), 0, PortRange::Width::whole};
}

// IBM PC/AT Technical Reference, "I/O Address Map"; from 0xe9 on where emulators have made it
// usual. Port 0x92 stands amid the DMA page registers' aliases, which are not modelled.
inline constexpr PortMap port_map{
    bytes(0x000, 16, Device::dma_first),
    bytes(0x020, 2, Device::interrupts_master),
    bytes(0x040, 4, Device::timer),
    bytes(0x060, 1, Device::keyboard_data),
    bytes(0x061, 1, Device::port_b),
    bytes(0x064, 1, Device::keyboard_command),
    bytes(0x070, 2, Device::clock),
    bytes(0x080, 16, Device::dma_pages),
    bytes(0x092, 1, Device::port_a),
    bytes(0x0a0, 2, Device::interrupts_slave),
    bytes(0x0c0, 32, Device::dma_second),
    bytes(0x0e9, 1, Device::debug_console),
    bytes(0x0f0, 2, Device::fpu_error),
    whole(0x0f4, 4, Device::debug_exit),
    bytes(0x3b4, 2, Device::vga, 0x04),
    bytes(0x3ba, 1, Device::vga, 0x0a),
    bytes(0x3c0, 32, Device::vga, 0x10),
    bytes(0x3f8, 8, Device::serial),
    bytes(0x4d0, 2, Device::edge_level),
    bytes(0x600, 12, Device::acpi),
    whole(0xcf8, 8, Device::pci_configuration),
    bytes(0x8900, 1, Device::bochs_shutdown),
};
static_assert(port_map.valid());

// Reads that the time alone decides; see Pc::read_time_port. The sizes are those that guests use.
enum class TimeDevice : std::uint8_t { acpi_timer, port_b };
struct TimePort {
  std::uint16_t port;
  std::uint8_t size;
  TimeDevice device;
};
inline constexpr TimePort time_ports[] = {
    {0x608, 4, TimeDevice::acpi_timer},
    {0x061, 1, TimeDevice::port_b},
};

}  // namespace undercroft::pc_ports
