// The board of the PCI bus: which functions a PC of ours has at which places, how their interrupt
// pins are wired, and the chipset's own configuration spaces. It is a 440FX host bridge with a
// PIIX3 (Intel 82441FX, 82371SB), as QEMU's machine "pc" has them. The tables of the firmware
// (_PRT) say the same.
#pragma once

#include <cstdint>

#include "pci_bus.hpp"

namespace undercroft::pci_chipset {

inline constexpr PciPlace host_bridge = pci_place(0);
inline constexpr PciPlace isa_bridge = pci_place(1);
inline constexpr PciPlace ide = pci_place(1, 1);
inline constexpr std::uint16_t bus_master_ports = 0xc000;  // where firmware puts them, 16 of them

// INTA of device n is wired to line n - 1 of the bus, modulo 4.
constexpr unsigned bus_line(PciPlace place) { return ((place >> 3) + 3u) & 3; }

// The PIRQ router's registers in the ISA bridge, one for each line of the bus, and what the
// firmware writes there.
inline constexpr unsigned pirq_route = 0x60;
inline constexpr std::uint8_t firmware_routes[4] = {11, 10, 11, 10};
constexpr std::uint8_t interrupt_of(PciPlace place) { return firmware_routes[bus_line(place)]; }
static_assert(interrupt_of(pci_place(3)) == 11 && interrupt_of(pci_place(4)) == 10);

// IRQs that the router can drive: 3 to 7, 9 to 12, 14 and 15.
inline constexpr std::uint16_t routable_lines = 0xdef8;
// And those which firmware makes level-triggered for it.
inline constexpr std::uint16_t level_lines = 1u << 10 | 1u << 11;

// The two bridges; the IDE function, whose channels stand at the ports of a PC/AT.
void add_bridges(PciBus&);
void add_ide(PciBus&);
// Whether the IDE function answers at its channel's ports, 0 or 1.
bool ide_channel_enabled(const PciBus&, unsigned channel);

}  // namespace undercroft::pci_chipset
