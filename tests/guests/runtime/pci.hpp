// Ports of all widths, and PCI configuration by mechanism 1.
#pragma once

#include "cpu.hpp"

namespace guest {

inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline u16 in16(u16 port) {
  u16 value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline constexpr u16 pci_address = 0xcf8, pci_data = 0xcfc;

struct PciFunction {
  u32 bus = 0, device = 0, function = 0;
};

inline void select(const PciFunction& f, u32 offset, u32 enable = 0x80000000) {
  out32(pci_address, enable | f.bus << 16 | f.device << 11 | f.function << 8 | (offset & 0xfc));
}
inline u32 read_config(const PciFunction& f, u32 offset) {
  select(f, offset);
  return in32(pci_data);
}
inline u16 read_config_16(const PciFunction& f, u32 offset) {
  select(f, offset);
  return in16(static_cast<u16>(pci_data + (offset & 2)));
}
inline u8 read_config_8(const PciFunction& f, u32 offset) {
  select(f, offset);
  return in8(static_cast<u16>(pci_data + (offset & 3)));
}
inline void write_config(const PciFunction& f, u32 offset, u32 value) {
  select(f, offset);
  out32(pci_data, value);
}
inline void write_config_16(const PciFunction& f, u32 offset, u16 value) {
  select(f, offset);
  out16(static_cast<u16>(pci_data + (offset & 2)), value);
}

}  // namespace guest
