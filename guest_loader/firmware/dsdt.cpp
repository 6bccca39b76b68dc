#include "dsdt.hpp"

#include "aml.hpp"
#include "platform.hpp"

namespace undercroft {
namespace {

using Dsdt = Aml<4096>;

// One ISA device: its identity, and what it takes.
template <class Resources>
constexpr void isa_device(Dsdt& aml, std::string_view name, std::string_view id,
                          Resources resources) {
  aml.device(name, [&] {
    aml.name("_HID", [&] { aml.eisa_id(id); });
    aml.name("_CRS", [&] { aml.resources(resources); });
  });
}

constexpr void isa_devices(Dsdt& aml) {
  isa_device(aml, "PIC_", "PNP0000", [&] {
    aml.ports(0x20, 2);
    aml.ports(0xa0, 2);
    aml.ports(0x4d0, 2);
    aml.irq(platform::cascade_irq);
  });
  isa_device(aml, "TIMR", "PNP0100", [&] {
    aml.ports(0x40, 4);
    aml.irq(platform::timer_irq);
  });
  isa_device(aml, "DMAC", "PNP0200", [&] {
    aml.ports(0x00, 16);
    aml.ports(0x80, 16);
    aml.ports(0xc0, 32);
    aml.dma(4);
  });
  isa_device(aml, "KBD_", "PNP0303", [&] {
    aml.ports(0x60, 1);
    aml.ports(0x64, 1);
    aml.irq(1);
  });
  isa_device(aml, "MOU_", "PNP0F13", [&] { aml.irq(12); });
  isa_device(aml, "SPKR", "PNP0800", [&] { aml.ports(0x61, 1); });
  isa_device(aml, "RTC_", "PNP0B00", [&] {
    aml.ports(0x70, 2);
    aml.irq(8);
  });
  isa_device(aml, "COPR", "PNP0C04", [&] {
    aml.ports(0xf0, 2);
    aml.irq(13);
  });
  aml.device("COM1", [&] {
    aml.name("_HID", [&] { aml.eisa_id("PNP0501"); });
    aml.name("_UID", [&] { aml.integer(1); });
    aml.name("_CRS", [&] {
      aml.resources([&] {
        aml.ports(0x3f8, 8);
        aml.irq(4);
      });
    });
  });
  // What belongs to the board and to no device above: port A, the ACPI block.
  isa_device(aml, "MISC", "PNP0C02", [&] {
    aml.ports(0x92, 1);
    aml.ports(platform::pm1_event, 12);
  });
}

// Interrupts that are wired: the entry's third element is no device but 0, the fourth is the
// interrupt itself (ACPI 2.0, 6.2.9).
constexpr void pci_routing(Dsdt& aml) {
  constexpr unsigned devices = platform::pci_devices - 1;  // device 0 is the bridge itself
  aml.name("_PRT", [&] {
    aml.package(devices * platform::pci_pins, [&] {
      for (unsigned device = 1; device <= devices; ++device) {
        for (unsigned pin = 0; pin < platform::pci_pins; ++pin) {
          aml.package(4, [&] {
            aml.integer(device << 16 | 0xffff);
            aml.integer(pin);
            aml.integer(0);
            aml.integer(platform::pci_interrupt(device, pin));
          });
        }
      }
    });
  });
}

constexpr void pci_root(Dsdt& aml) {
  aml.device("PCI0", [&] {
    aml.name("_HID", [&] { aml.eisa_id("PNP0A03"); });
    aml.name("_ADR", [&] { aml.integer(0); });
    aml.name("_UID", [&] { aml.integer(0); });
    aml.name("_CRS", [&] {
      aml.resources([&] {
        aml.bus_window(0, 0xff);
        aml.ports(0xcf8, 8);
        aml.port_window(0, 0xcf7);
        aml.port_window(0xd00, 0xffff);
        aml.memory_window(0xa0000, 0xbffff);
        aml.memory_window(platform::pci_memory_first, platform::pci_memory_end - 1);
      });
    });
    pci_routing(aml);
    aml.device("ISA_", [&] {
      aml.name("_ADR", [&] { aml.integer(1 << 16); });
      isa_devices(aml);
    });
  });
}

constexpr Dsdt make_dsdt(bool hpet) {
  Dsdt aml;
  aml.scope("\\_PR_", [&] { aml.processor("CPU0", 0); });
  aml.scope("\\_SB_", [&] {
    pci_root(aml);
    if (hpet) isa_device(aml, "HPET", "PNP0103", [&] { aml.memory(platform::hpet, 0x400); });
  });
  // Soft off: the sleep type, for both control registers. Any type will do (power.hpp).
  aml.name("\\_S5_", [&] {
    aml.package(4, [&] {
      for (unsigned i = 0; i < 4; ++i) aml.integer(0);
    });
  });
  return aml;
}

constexpr Dsdt with_hpet = make_dsdt(true), without_hpet = make_dsdt(false);
static_assert(with_hpet.ok() && without_hpet.ok());

}  // namespace

std::span<const std::uint8_t> dsdt_definitions(bool hpet) {
  return hpet ? with_hpet.bytes() : without_hpet.bytes();
}

}  // namespace undercroft
