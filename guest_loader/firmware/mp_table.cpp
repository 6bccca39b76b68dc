#include "mp_table.hpp"

namespace undercroft {
namespace {

constexpr std::uint8_t specification = 4;  // revision 1.4
constexpr std::uint8_t pci_bus = 0, isa_bus = 1;
constexpr std::uint8_t to_every_local_apic = 0xff;

// 4.3.4: what an interrupt is, and how it is signalled if not as its bus has it.
enum class Interrupt : std::uint8_t { vectored = 0, nmi = 1, external = 3 };
constexpr std::uint16_t as_the_bus = 0;
constexpr std::uint16_t high_level = 0x000d;

class ConfigurationTable {
 public:
  explicit ConfigurationTable(const RomSpace& space) : out_(space.begin()) {
    out_.text("PCMP", 4);
    out_.u16(0);  // length
    out_.u8(specification);
    out_.u8(0);  // checksum
    out_.text("UNDERCFT", 8);
    out_.text("PC", 12);
    out_.u32(0);  // OEM table
    out_.u16(0);
    out_.u16(0);  // entries
    out_.u32(platform::local_apic);
    out_.u32(0);  // extended table
  }
  void processor(const FirmwarePlatform& pc) {
    constexpr std::uint8_t enabled = 1, bootstrap = 2;
    begin_entry(0);
    out_.u8(platform::local_apic_id);
    out_.u8(platform::local_apic_version);
    out_.u8(enabled | bootstrap);
    out_.u32(pc.processor_signature);
    out_.u32(pc.processor_features);
    out_.zeros(8);
  }
  void bus(std::uint8_t id, std::string_view name) {
    begin_entry(1);
    out_.u8(id);
    out_.text(name, 6);
  }
  void io_apic() {
    begin_entry(2);
    out_.u8(platform::io_apic_id);
    out_.u8(platform::io_apic_version);
    out_.u8(1);  // usable
    out_.u32(platform::io_apic);
  }
  void io_interrupt(std::uint8_t bus, unsigned source, unsigned pin, std::uint16_t flags) {
    begin_entry(3);
    interrupt(Interrupt::vectored, flags, bus, source);
    out_.u8(platform::io_apic_id);
    out_.u8(static_cast<std::uint8_t>(pin));
  }
  void local_interrupt(Interrupt kind, std::uint8_t apic, std::uint8_t lint) {
    begin_entry(4);
    interrupt(kind, as_the_bus, isa_bus, 0);
    out_.u8(apic);
    out_.u8(lint);
  }
  GuestPhysical end(RomSpace& space) {
    constexpr unsigned length_at = 4, checksum_at = 7, entries_at = 34;
    out_.set_u16(length_at, static_cast<std::uint16_t>(out_.written()));
    out_.set_u16(entries_at, entries_);
    out_.set_checksum(checksum_at);
    return space.take(out_);
  }

 private:
  void begin_entry(std::uint8_t type) {
    ++entries_;
    out_.u8(type);
  }
  void interrupt(Interrupt kind, std::uint16_t flags, std::uint8_t bus, unsigned source) {
    out_.u8(static_cast<std::uint8_t>(kind));
    out_.u16(flags);
    out_.u8(bus);
    out_.u8(static_cast<std::uint8_t>(source));
  }

  TableWriter out_;
  std::uint16_t entries_ = 0;
};

// Interrupts that PCI has are no ISA devices'.
void isa_interrupts(ConfigurationTable& table) {
  for (unsigned irq = 0; irq < platform::isa_irqs; ++irq) {
    if (irq == platform::cascade_irq) continue;
    if (platform::is_level_triggered(irq) && irq != platform::sci) continue;
    const unsigned pin = irq == platform::timer_irq ? platform::timer_pin : irq;
    table.io_interrupt(isa_bus, irq, pin, irq == platform::sci ? high_level : as_the_bus);
  }
}

// Appendix D.3: a source is a device and, in the low two bits, its pin.
void pci_interrupts(ConfigurationTable& table) {
  for (unsigned device = 1; device < platform::pci_devices; ++device) {
    for (unsigned pin = 0; pin < platform::pci_pins; ++pin) {
      table.io_interrupt(pci_bus, device << 2 | pin, platform::pci_interrupt(device, pin),
                         as_the_bus);
    }
  }
}

}  // namespace

GuestPhysical write_mp_table(RomSpace& space, const FirmwarePlatform& pc) {
  ConfigurationTable table(space);
  table.processor(pc);
  table.bus(pci_bus, "PCI");
  table.bus(isa_bus, "ISA");
  table.io_apic();
  pci_interrupts(table);
  isa_interrupts(table);
  table.local_interrupt(Interrupt::external, platform::local_apic_id, 0);
  table.local_interrupt(Interrupt::nmi, to_every_local_apic, 1);
  const GuestPhysical configuration = table.end(space);

  TableWriter out = space.begin();
  out.text("_MP_", 4);
  out.u32(configuration.value());
  out.u8(1);  // length in 16 bytes
  out.u8(specification);
  out.u8(0);  // checksum
  out.u8(0);  // a configuration table is there
  out.u8(0);  // virtual wire mode; no IMCR
  out.zeros(3);
  out.set_checksum(10);
  return space.take(out);
}

}  // namespace undercroft
