#include "smbios.hpp"

#include <algorithm>
#include <initializer_list>

namespace undercroft {
namespace {

// A handle per structure; there is one of each type.
constexpr std::uint16_t handle_of(std::uint8_t type) {
  return static_cast<std::uint16_t>(type << 8);
}
constexpr std::uint16_t no_handle = 0xffff, no_error_handle = 0xfffe;
constexpr std::uint8_t other = 1, unknown = 2, safe = 3;

// Structures one behind the other: a formatted area, then the strings that it numbers from 1 on.
class StructureTable {
 public:
  explicit StructureTable(const RomSpace& space) : out_(space.begin()) {}

  TableWriter& begin(std::uint8_t type) {
    start_ = out_.written();
    out_.u8(type);
    out_.u8(0);  // length of the formatted area
    out_.u16(handle_of(type));
    return out_;
  }
  void end(std::initializer_list<std::string_view> strings = {}) {
    out_.set_u8(start_ + 1, static_cast<std::uint8_t>(out_.written() - start_));
    for (const std::string_view string : strings) out_.string(string);
    if (strings.size() == 0) out_.u8(0);
    out_.u8(0);
    ++count_;
    largest_ = std::max(largest_, out_.written() - start_);
  }
  const TableWriter& written() const { return out_; }
  std::uint16_t count() const { return count_; }
  std::uint16_t largest() const { return static_cast<std::uint16_t>(largest_); }  // bytes

 private:
  TableWriter out_;
  unsigned start_ = 0;
  unsigned largest_ = 0;
  std::uint16_t count_ = 0;
};

// 3.3.1 and 3.3.2
void bios_and_system(StructureTable& table) {
  constexpr std::uint64_t isa = 1u << 4, pci = 1u << 7;
  constexpr std::uint8_t acpi = 1;
  TableWriter& bios = table.begin(0);
  bios.u8(1);
  bios.u8(2);
  bios.u16(0xf000);  // segment
  bios.u8(3);
  bios.u8(0);  // 64 KB
  bios.u64(isa | pci);
  bios.u8(acpi);
  bios.u8(0);
  bios.u8(1);  // the firmware's version
  bios.u8(0);
  bios.u8(0xff);  // no embedded controller
  bios.u8(0xff);
  table.end({platform::maker, "1.0", platform::firmware_date});

  constexpr std::uint8_t power_switch = 6;
  TableWriter& system = table.begin(1);
  system.u8(1);
  system.u8(2);
  system.u8(3);
  system.u8(0);      // no serial number
  system.zeros(16);  // no UUID
  system.u8(power_switch);
  system.u8(0);
  system.u8(0);
  table.end({platform::maker, "PC", "1.0"});
}

// 3.3.4 and 3.3.5
void chassis_and_processor(StructureTable& table, const FirmwarePlatform& pc) {
  TableWriter& chassis = table.begin(3);
  chassis.u8(1);
  chassis.u8(other);
  chassis.zeros(3);  // no version, serial number, tag
  for (unsigned i = 0; i < 3; ++i) chassis.u8(safe);
  chassis.u8(unknown);
  chassis.u32(0);
  chassis.u8(0);
  chassis.u8(0);
  chassis.u8(0);  // contains no elements
  chassis.u8(0);
  table.end({platform::maker});

  constexpr std::uint8_t central_processor = 3, populated_and_enabled = 0x41;
  TableWriter& processor = table.begin(4);
  processor.u8(1);
  processor.u8(central_processor);
  processor.u8(other);  // family
  processor.u8(0);      // manufacturer and version: CPUID has them
  processor.u32(pc.processor_signature);
  processor.u32(pc.processor_features);
  processor.u8(0);
  processor.u8(0);   // voltage
  processor.u16(0);  // clocks: unknown
  processor.u16(0);
  processor.u16(0);
  processor.u8(populated_and_enabled);
  processor.u8(other);  // socket
  for (unsigned i = 0; i < 3; ++i) processor.u16(no_handle);
  processor.zeros(3);
  table.end({"CPU 0"});
}

// 3.3.17 to 3.3.20
void memory(StructureTable& table, const FirmwarePlatform& pc) {
  constexpr std::uint8_t motherboard = 3, system_memory = 3, no_correction = 3;
  constexpr std::uint8_t dimm = 9, ram = 7;
  constexpr std::uint16_t other_detail = 1u << 1, unknown_width = 0xffff;
  const auto kilobytes = static_cast<std::uint32_t>(pc.ram_bytes >> 10);

  TableWriter& array = table.begin(16);
  array.u8(motherboard);
  array.u8(system_memory);
  array.u8(no_correction);
  array.u32(kilobytes);
  array.u16(no_error_handle);
  array.u16(1);
  table.end();

  TableWriter& device = table.begin(17);
  device.u16(handle_of(16));
  device.u16(no_error_handle);
  device.u16(unknown_width);
  device.u16(unknown_width);
  device.u16(static_cast<std::uint16_t>(pc.ram_bytes >> 20));  // MB
  device.u8(dimm);
  device.u8(0);
  device.u8(1);
  device.u8(0);
  device.u8(ram);
  device.u16(other_detail);
  device.u16(0);
  device.zeros(4);
  table.end({"DIMM 0"});

  TableWriter& mapped = table.begin(19);
  mapped.u32(0);
  mapped.u32(kilobytes - 1);
  mapped.u16(handle_of(16));
  mapped.u8(1);
  table.end();
}

// 3.3.33 and 3.3.42
void boot_status_and_end(StructureTable& table) {
  TableWriter& boot = table.begin(32);
  boot.zeros(6);
  boot.u8(0);  // no error
  table.end();
  table.begin(127);
  table.end();
}

// 2.1.1: two checksums, of the second half and of all.
GuestPhysical write_entry_point(RomSpace& space, const StructureTable& table, GuestPhysical at) {
  TableWriter out = space.begin();
  out.text("_SM_", 4);
  out.u8(0);     // checksum
  out.u8(0x1f);  // length
  out.u8(2);
  out.u8(4);
  out.u16(table.largest());
  out.zeros(6);
  const std::uint8_t before = out.sum();
  out.text("_DMI_", 5);
  out.u8(0);  // intermediate checksum
  out.u16(static_cast<std::uint16_t>(table.written().written()));
  out.u32(at.value());
  out.u16(table.count());
  out.u8(0x24);
  out.set_u8(0x15, static_cast<std::uint8_t>(before - out.sum()));
  out.set_checksum(4);
  return space.take(out);
}

}  // namespace

GuestPhysical write_smbios(RomSpace& space, const FirmwarePlatform& pc) {
  StructureTable table(space);
  bios_and_system(table);
  chassis_and_processor(table, pc);
  memory(table, pc);
  boot_status_and_end(table);
  const GuestPhysical structures = space.take(table.written());
  return write_entry_point(space, table, structures);
}

}  // namespace undercroft
