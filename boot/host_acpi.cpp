#include "host_acpi.hpp"

#include <optional>

namespace undercroft::boot {
namespace {

constexpr std::uint32_t signature(const char (&name)[5]) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i)
    value |= std::uint32_t{static_cast<std::uint8_t>(name[i])} << 8 * i;
  return value;
}

class AcpiReader {
 public:
  explicit AcpiReader(const PhysicalReader& reader) : reader_(reader) {}

  std::uint32_t field(std::uint32_t at, unsigned bytes) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= std::uint32_t{reader_.byte(at + i)} << 8 * i;
    return value;
  }
  bool sums_to_zero(std::uint32_t at, std::uint32_t bytes) const {
    std::uint8_t sum = 0;
    for (std::uint32_t i = 0; i < bytes; ++i)
      sum = static_cast<std::uint8_t>(sum + reader_.byte(at + i));
    return sum == 0;
  }
  bool is_root_pointer(std::uint32_t at) const {
    return field(at, 4) == signature("RSD ") && field(at + 4, 4) == signature("PTR ") &&
           sums_to_zero(at, 20);
  }
  // Of a table with a header, its length; 0 if it is none.
  std::uint32_t length_of(std::uint32_t table) const {
    constexpr std::uint32_t longest = 1u << 20;
    const std::uint32_t length = table == 0 ? 0 : field(table + 4, 4);
    if (length < header_bytes || length > longest || table > ~length) return 0;
    return sums_to_zero(table, length) ? length : 0;
  }
  static constexpr std::uint32_t header_bytes = 36;

 private:
  const PhysicalReader& reader_;
};

// On a 16-byte boundary in the first KB of the extended BIOS data area, or in the BIOS area.
std::uint32_t look_for_root_pointer(const AcpiReader& acpi) {
  const std::uint32_t extended_data = acpi.field(0x40e, 2) << 4;
  const std::uint32_t areas[][2] = {{extended_data, extended_data + 0x400}, {0xe0000, 0x100000}};
  for (const auto& area : areas) {
    if (area[0] < 0x400) continue;
    for (std::uint32_t at = area[0]; at < area[1]; at += 16) {
      if (acpi.is_root_pointer(at)) return at;
    }
  }
  return 0;
}

void read_processors(const AcpiReader& acpi, std::uint32_t table, std::uint32_t length,
                     HostAcpi& out) {
  constexpr std::uint32_t local_apic = 0, io_apic = 1, enabled = 1;
  for (std::uint32_t used = 44; used + 2 <= length;) {
    const std::uint32_t type = acpi.field(table + used, 1), bytes = acpi.field(table + used + 1, 1);
    if (bytes < 2) return;
    if (type == local_apic && (acpi.field(table + used + 4, 4) & enabled)) ++out.processors;
    if (type == io_apic) ++out.io_apics;
    used += bytes;
  }
}

void read_table(const AcpiReader& acpi, std::uint32_t table, HostAcpi& out) {
  const std::uint32_t length = acpi.length_of(table);
  if (length == 0) return;
  const std::uint32_t name = acpi.field(table, 4);
  if (name == signature("APIC")) read_processors(acpi, table, length, out);
  if (name == signature("HPET") && length >= 56 && acpi.field(table + 48, 4) == 0) {
    constexpr std::uint32_t in_memory = 0;
    if (acpi.field(table + 40, 1) == in_memory) out.hpet = acpi.field(table + 44, 4);
  }
  if (name == signature("FACP") && length >= 92 && acpi.field(table + 91, 1) >= 4) {
    out.power_timer = static_cast<std::uint16_t>(acpi.field(table + 76, 4));
  }
}

}  // namespace

HostAcpi read_host_acpi(const PhysicalReader& reader, std::uint32_t root_pointer) {
  const AcpiReader acpi(reader);
  HostAcpi out;
  if (root_pointer == 0) root_pointer = look_for_root_pointer(acpi);
  if (root_pointer == 0 || !acpi.is_root_pointer(root_pointer)) return out;
  // The table of 32-bit addresses; firmware without one has that of 64-bit ones.
  std::uint32_t root = acpi.field(root_pointer + 16, 4);
  unsigned entry_bytes = 4;
  if (acpi.length_of(root) == 0 && acpi.field(root_pointer + 15, 1) >= 2) {
    if (acpi.field(root_pointer + 28, 4) != 0) return out;
    root = acpi.field(root_pointer + 24, 4);
    entry_bytes = 8;
  }
  const std::uint32_t length = acpi.length_of(root);
  if (length == 0) return out;
  out.found = true;
  for (std::uint32_t at = AcpiReader::header_bytes; at + entry_bytes <= length; at += entry_bytes) {
    if (entry_bytes == 8 && acpi.field(root + at + 4, 4) != 0) continue;  // above 4 GB
    read_table(acpi, acpi.field(root + at, 4), out);
  }
  return out;
}

}  // namespace undercroft::boot
