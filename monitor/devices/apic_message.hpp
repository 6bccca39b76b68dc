// What I/O APIC and local APIC say to one another: SDM volume 3, 10.6.1 and 10.5.1; Intel 82093AA
// (290566), "I/O Redirection Table Registers".
#pragma once

#include <cstdint>

namespace undercroft {

// As the registers have it in bits 10:8.
enum class DeliveryMode : std::uint8_t {
  fixed,
  lowest_priority,
  smi,
  reserved,
  nmi,
  init,
  start_up,
  external,  // ExtINT: the vector comes of the 8259
};

// Bits that redirection table entries, local vector table and interrupt command register have in
// common.
namespace apic_bit {
inline constexpr std::uint32_t vector = 0xff;
inline constexpr std::uint32_t delivery_mode = 0x700;
inline constexpr unsigned delivery_mode_shift = 8;
inline constexpr std::uint32_t logical = 1u << 11;
inline constexpr std::uint32_t polarity = 1u << 13;
inline constexpr std::uint32_t remote_irr = 1u << 14;
inline constexpr std::uint32_t level = 1u << 15;
inline constexpr std::uint32_t masked = 1u << 16;
}  // namespace apic_bit

constexpr DeliveryMode delivery_mode_of(std::uint32_t register_value) {
  return static_cast<DeliveryMode>((register_value & apic_bit::delivery_mode) >>
                                   apic_bit::delivery_mode_shift);
}

struct ApicMessage {
  DeliveryMode mode = DeliveryMode::fixed;
  std::uint8_t vector = 0;
  bool level = false;            // triggered by level: its end is told to the I/O APIC
  bool logical = false;          // how the destination is meant
  std::uint8_t destination = 0;  // APIC ID or message destination address
};

// Vectors below 16 are not for interrupts (SDM volume 3, 10.5.2).
inline constexpr unsigned first_legal_vector = 16;

}  // namespace undercroft
