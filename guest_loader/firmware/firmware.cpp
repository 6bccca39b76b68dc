#include "firmware.hpp"

#include "acpi_tables.hpp"
#include "bios_area.hpp"
#include "bios_code.hpp"
#include "mp_table.hpp"
#include "smbios.hpp"

namespace undercroft {

std::optional<FirmwareTables> write_firmware(FirmwareRom& rom, GuestRam& ram,
                                             const FirmwarePlatform& pc) {
  // Below the code of the BIOS.
  constexpr GuestPhysical first_table(0xf0000), end_of_tables = first_table + bios_code::facts;
  if (!write_bios_rom(rom, pc) || !write_bios_ram(ram, pc)) return {};
  RomSpace space(rom, first_table, end_of_tables);
  FirmwareTables tables;
  tables.acpi = write_acpi_tables(space, pc, facs_place);
  tables.smbios = write_smbios(space, pc);
  if (pc.apic) tables.mp = write_mp_table(space, pc);
  if (!space.ok()) return {};
  return tables;
}

}  // namespace undercroft
