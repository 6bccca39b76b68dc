// What the firmware's tables have to tell of the guest's PC: which of the parts that a table names
// are there, and where the parts stand. Only numbers; the devices themselves are in
// monitor/devices.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace undercroft {

struct FirmwarePlatform {
  std::uint64_t ram_bytes = 0;            // from 0 on, without a hole
  std::uint32_t processor_signature = 0;  // CPUID leaf 1, EAX and EDX, as the guest sees them
  std::uint32_t processor_features = 0;
  std::uint32_t tick_of_day = 0;  // of the BIOS, 18.2 Hz, since midnight
  bool apic = false;              // a local APIC and an I/O APIC
  bool hpet = false;
  // ATA disks by their places: two drives on each of two channels. 0: none there.
  std::array<std::uint32_t, 4> ide_disk_sectors{};
};

namespace platform {

inline constexpr std::string_view maker = "Undercroft";
inline constexpr std::string_view firmware_date = "11/26/2026";

inline constexpr std::uint32_t local_apic = 0xfee00000;
inline constexpr std::uint8_t local_apic_id = 0;
inline constexpr std::uint8_t local_apic_version = 0x14;
inline constexpr std::uint32_t io_apic = 0xfec00000;
inline constexpr std::uint8_t io_apic_id = 0;  // as its identification register reads after reset
inline constexpr std::uint8_t io_apic_version = 0x11;
inline constexpr unsigned io_apic_pins = 24;
inline constexpr std::uint32_t hpet = 0xfed00000;
inline constexpr std::uint32_t hpet_block_id = 0x8086a201;  // the upper half of what is at its 0

// ISA interrupts go to the I/O APIC's pin of their number, but for the timer.
inline constexpr unsigned timer_irq = 0, timer_pin = 2;
inline constexpr unsigned cascade_irq = 2;
inline constexpr unsigned isa_irqs = 16;

// The ACPI fixed hardware (monitor/devices/power.hpp) and its interrupt.
inline constexpr std::uint16_t pm1_event = 0x600;
inline constexpr std::uint16_t pm1_control = 0x604;
inline constexpr std::uint16_t pm_timer = 0x608;
inline constexpr unsigned sci = 9;
inline constexpr std::array<std::uint16_t, 2> ide_ports = {0x1f0, 0x170};
inline constexpr std::uint16_t reset_port = 0xcf9;
inline constexpr std::uint8_t reset_value = 6;

// PCI: pin INTA + p of device d is wired to interrupt 10 if d + p is even, else to 11.
inline constexpr unsigned pci_devices = 32, pci_pins = 4;
constexpr unsigned pci_interrupt(unsigned device, unsigned pin) { return 10 + (device + pin) % 2; }
constexpr bool is_level_triggered(unsigned irq) { return irq >= sci && irq <= 11; }
// Addresses of the host that no memory of a guest takes.
inline constexpr std::uint32_t pci_memory_first = 0xc0000000, pci_memory_end = 0xfec00000;

}  // namespace platform
}  // namespace undercroft
