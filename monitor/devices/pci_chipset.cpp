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

}  // namespace undercroft::pci_chipset
