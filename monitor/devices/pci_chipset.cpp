#include "pci_chipset.hpp"

namespace undercroft::pci_chipset {
namespace {

// PAM, 82441FX 3.2.18: 0xc0000 to 0xfffff are read from memory, and writes to them go to the bus,
// where nothing takes them. That is what the guest has, and it cannot be changed.
constexpr PciRegister host_bridge_registers[] = {
    {0x59, 0x10, 0}, {0x5a, 0x11, 0}, {0x5b, 0x11, 0}, {0x5c, 0x11, 0},
    {0x5d, 0x11, 0}, {0x5e, 0x11, 0}, {0x5f, 0x11, 0}, {0x72, 0x02, 0},  // SMRAM: closed
};

// 82371SB 2.2: XBCS has the BIOS write-protected; TOM; the PIRQ router.
constexpr PciRegister isa_bridge_registers[] = {
    {0x4c, 0x4d, 0x7f},
    {0x4e, 0x03, 0},
    {pirq_route, firmware_routes[0], 0x8f},
    {pirq_route + 1, firmware_routes[1], 0x8f},
    {pirq_route + 2, firmware_routes[2], 0x8f},
    {pirq_route + 3, firmware_routes[3], 0x8f},
    {0x69, 0x02, 0xff},
    {0x70, 0x80, 0},
};

// 82371SB 2.3: the timing registers of the two channels, whose highest bits switch the channels on.
constexpr unsigned ide_timing = 0x40;
constexpr PciRegister ide_registers[] = {
    {ide_timing, 0x00, 0xff},     {ide_timing + 1, 0x80, 0xff}, {ide_timing + 2, 0x00, 0xff},
    {ide_timing + 3, 0x80, 0xff}, {0x44, 0x00, 0xff},
};

}  // namespace

// The bridges have their I/O, memory and mastering switched on for good.
void add_bridges(PciBus& bus) {
  bus.add({.place = host_bridge,
           .vendor = 0x8086,
           .device = 0x1237,
           .class_code = 0x060000,
           .revision = 2,
           .command = 0x0006,
           .command_writable = 0x0140,
           .registers = host_bridge_registers});
  bus.add({.place = isa_bridge,
           .vendor = 0x8086,
           .device = 0x7000,
           .class_code = 0x060100,
           .multi_function = true,
           .command = 0x0007,
           .command_writable = 0x0108,
           .registers = isa_bridge_registers});
}

void add_ide(PciBus& bus) {
  bus.add({.place = ide,
           .vendor = 0x8086,
           .device = 0x7010,
           .class_code = 0x010180,
           .command_writable = 0x0005,
           .io_bar = 4,
           .io_size = 16,
           .io_address = bus_master_ports,
           .registers = ide_registers});
}

bool ide_channel_enabled(const PciBus& bus, unsigned channel) {
  const bool io = (bus.configuration_byte(ide, 4) & 1) != 0;
  const bool decodes = (bus.configuration_byte(ide, ide_timing + 1 + 2 * channel) & 0x80) != 0;
  return io && decodes;
}

}  // namespace undercroft::pci_chipset
