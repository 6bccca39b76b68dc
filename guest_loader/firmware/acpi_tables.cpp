#include "acpi_tables.hpp"

#include "dsdt.hpp"

namespace undercroft {
namespace {

constexpr unsigned length_field = 4, checksum_field = 9;

// The 36 bytes with which every table but RSDP and FACS begins (5.2.5).
TableWriter begin_table(const RomSpace& space, std::string_view signature, std::uint8_t revision) {
  TableWriter out = space.begin();
  out.text(signature, 4);
  out.u32(0);  // length
  out.u8(revision);
  out.u8(0);  // checksum
  out.text("UNDERC", 6);
  out.text("UNDERCFT", 8);
  out.u32(1);
  out.text("UNDC", 4);
  out.u32(1);
  return out;
}

GuestPhysical end_table(RomSpace& space, TableWriter& out) {
  out.set_u32(length_field, out.written());
  out.set_checksum(checksum_field);
  return space.take(out);
}

// Generic address structure (5.2.3.1).
void port_register(TableWriter& out, std::uint16_t port, std::uint8_t bits) {
  constexpr std::uint8_t system_io = 1;
  out.u8(port == 0 ? 0 : system_io);
  out.u8(port == 0 ? 0 : bits);
  out.u16(0);
  out.u64(port);
}

namespace fadt_flag {
constexpr std::uint32_t wbinvd = 1u << 0;
constexpr std::uint32_t c1 = 1u << 2;
constexpr std::uint32_t no_fixed_power_button = 1u << 4;
constexpr std::uint32_t no_fixed_sleep_button = 1u << 5;
constexpr std::uint32_t no_fixed_rtc_wake = 1u << 6;
constexpr std::uint32_t reset_register = 1u << 10;
}  // namespace fadt_flag
namespace boot_flag {
constexpr std::uint16_t legacy_devices = 1u << 0;
constexpr std::uint16_t keyboard_controller = 1u << 1;
}  // namespace boot_flag

constexpr std::uint16_t no_c2 = 101, no_c3 = 1001;  // latencies that say "not supported"
constexpr std::uint8_t cmos_century = 0x32;

// 5.2.8, up to byte 116: what ACPI 1.0 knew.
void fixed_hardware(TableWriter& out, GuestPhysical facs, GuestPhysical dsdt) {
  out.u32(facs.value());
  out.u32(dsdt.value());
  out.u8(1);  // interrupt model of ACPI 1.0: dual 8259
  out.u8(0);  // no preferred profile
  out.u16(platform::sci);
  out.u32(0);  // SMI command port: none, so none of the commands
  out.zeros(4);
  out.u32(platform::pm1_event);
  out.u32(0);
  out.u32(platform::pm1_control);
  out.u32(0);
  out.u32(0);  // PM2 control
  out.u32(platform::pm_timer);
  out.u32(0);  // general purpose events: none
  out.u32(0);
  out.u8(4);  // lengths, in the same order
  out.u8(2);
  out.u8(0);
  out.u8(4);
  out.u8(0);
  out.u8(0);
  out.u8(0);
  out.u8(0);  // C-state and performance notifications
  out.u16(no_c2);
  out.u16(no_c3);
  out.u16(0);  // cache flush sizes: WBINVD does it
  out.u16(0);
  out.u8(0);  // duty cycle
  out.u8(0);
  out.u8(0);  // the clock's alarm has neither day nor month
  out.u8(0);
  out.u8(cmos_century);
  out.u16(boot_flag::legacy_devices | boot_flag::keyboard_controller);
  out.u8(0);
  out.u32(fadt_flag::wbinvd | fadt_flag::c1 | fadt_flag::no_fixed_power_button |
          fadt_flag::no_fixed_sleep_button | fadt_flag::no_fixed_rtc_wake |
          fadt_flag::reset_register);
}

GuestPhysical write_fadt(RomSpace& space, GuestPhysical facs, GuestPhysical dsdt) {
  TableWriter out = begin_table(space, "FACP", 3);
  fixed_hardware(out, facs, dsdt);
  port_register(out, platform::reset_port, 8);
  out.u8(platform::reset_value);
  out.zeros(3);
  out.u64(facs.value());
  out.u64(dsdt.value());
  port_register(out, platform::pm1_event, 32);
  port_register(out, 0, 0);
  port_register(out, platform::pm1_control, 16);
  port_register(out, 0, 0);
  port_register(out, 0, 0);
  port_register(out, platform::pm_timer, 32);
  port_register(out, 0, 0);
  port_register(out, 0, 0);
  return end_table(space, out);
}

GuestPhysical write_dsdt(RomSpace& space, bool hpet) {
  TableWriter out = begin_table(space, "DSDT", 1);  // below 2: integers have 32 bits
  out.bytes(dsdt_definitions(hpet));
  return end_table(space, out);
}

// 5.2.10.11: active high, level triggered, as ISA's own lines are.
constexpr std::uint16_t high_level = 0x000d;

void source_override(TableWriter& out, unsigned irq, unsigned pin, std::uint16_t flags) {
  out.u8(2);
  out.u8(10);
  out.u8(0);  // ISA
  out.u8(static_cast<std::uint8_t>(irq));
  out.u32(pin);
  out.u16(flags);
}

GuestPhysical write_madt(RomSpace& space) {
  constexpr std::uint32_t dual_8259 = 1;
  TableWriter out = begin_table(space, "APIC", 1);
  out.u32(platform::local_apic);
  out.u32(dual_8259);
  out.u8(0);  // local APIC
  out.u8(8);
  out.u8(0);  // of the processor with this number in the DSDT
  out.u8(platform::local_apic_id);
  out.u32(1);  // enabled
  out.u8(1);   // I/O APIC
  out.u8(12);
  out.u8(platform::io_apic_id);
  out.u8(0);
  out.u32(platform::io_apic);
  out.u32(0);  // its first pin's global interrupt
  source_override(out, platform::timer_irq, platform::timer_pin, 0);
  for (unsigned irq = 0; irq < platform::isa_irqs; ++irq) {
    if (platform::is_level_triggered(irq)) source_override(out, irq, irq, high_level);
  }
  out.u8(4);  // NMI, at LINT1 of every processor
  out.u8(6);
  out.u8(0xff);
  out.u16(0);
  out.u8(1);
  return end_table(space, out);
}

GuestPhysical write_hpet(RomSpace& space) {
  TableWriter out = begin_table(space, "HPET", 1);
  out.u32(platform::hpet_block_id);
  out.u32(0);  // system memory, 64 bits
  out.u64(platform::hpet);
  out.u8(0);   // number of the block
  out.u16(0);  // smallest tick: no limit
  out.u8(0);   // page protection: none promised
  return end_table(space, out);
}

// The tables that RSDT and XSDT list.
struct TableList {
  std::array<GuestPhysical, 3> tables{};
  unsigned count = 0;
  void add(GuestPhysical table) { tables[count++] = table; }
  std::span<const GuestPhysical> all() const { return std::span(tables).first(count); }
};

GuestPhysical write_rsdt(RomSpace& space, const TableList& list) {
  TableWriter out = begin_table(space, "RSDT", 1);
  for (const GuestPhysical table : list.all()) out.u32(table.value());
  return end_table(space, out);
}

GuestPhysical write_xsdt(RomSpace& space, const TableList& list) {
  TableWriter out = begin_table(space, "XSDT", 1);
  for (const GuestPhysical table : list.all()) out.u64(table.value());
  return end_table(space, out);
}

// 5.2.4: the first checksum covers the 20 bytes of ACPI 1.0, the second one all.
GuestPhysical write_rsdp(RomSpace& space, GuestPhysical rsdt, GuestPhysical xsdt) {
  constexpr unsigned checksum_at = 8, extended_checksum_at = 32;
  TableWriter out = space.begin();
  out.text("RSD PTR ", 8);
  out.u8(0);
  out.text("UNDERC", 6);
  out.u8(2);
  out.u32(rsdt.value());
  out.set_checksum(checksum_at);
  out.u32(36);
  out.u64(xsdt.value());
  out.u32(0);  // extended checksum, reserved
  out.set_checksum(extended_checksum_at);
  return space.take(out);
}

}  // namespace

GuestPhysical write_acpi_tables(RomSpace& space, const FirmwarePlatform& pc, GuestPhysical facs) {
  TableList list;
  list.add(write_fadt(space, facs, write_dsdt(space, pc.hpet)));
  if (pc.apic) list.add(write_madt(space));
  if (pc.hpet) list.add(write_hpet(space));
  const GuestPhysical rsdt = write_rsdt(space, list);
  const GuestPhysical xsdt = write_xsdt(space, list);
  return write_rsdp(space, rsdt, xsdt);
}

std::array<std::byte, facs_bytes> make_facs() {
  std::array<std::byte, facs_bytes> facs{};
  constexpr std::string_view signature = "FACS";
  for (unsigned i = 0; i < signature.size(); ++i) facs[i] = static_cast<std::byte>(signature[i]);
  facs[4] = static_cast<std::byte>(facs_bytes);
  facs[32] = std::byte{1};  // version of ACPI 2.0
  return facs;
}

}  // namespace undercroft
