#include "guest_firmware.hpp"

#include "guest_loader/firmware/firmware.hpp"
#include "monitor/cpu_model.hpp"
#include "monitor/memory/guest_ram.hpp"

namespace undercroft::boot {
namespace {

// Parts of machine=pc that tables tell of.
constexpr bool has_apic = true;
constexpr bool has_hpet = true;

// The BIOS counts the 8254's full rounds, 1193182 / 65536 a second.
std::uint32_t bios_ticks(std::uint64_t unix_seconds) {
  return static_cast<std::uint32_t>((unix_seconds % 86400) * 1193182 >> 16);
}

// As for the interrupts of PCI: level triggered.
void program_interrupts(Pc& pc) {
  constexpr std::uint16_t edge_level_slave = 0x4d1;
  constexpr std::uint32_t irq_10_and_11 = 0x0c;
  pc.port_write(edge_level_slave, irq_10_and_11, 1);
}

}  // namespace

std::optional<GuestFirmware> give_firmware(Vm& vm, const PcConfiguration& pc,
                                           const CpuidLeaf& processor) {
  GuestFirmware firmware;
  if (pc.kind == MachineKind::isa) return firmware;
  const CpuidLeaf leaf = filter_cpuid(1, 0, processor);
  program_interrupts(vm.pc);
  LoaderRom rom(vm.memory);
  LoaderRam ram(vm.memory, pc.ram_bytes);
  FirmwarePlatform platform{
      pc.ram_bytes, leaf.eax, leaf.edx | (has_apic ? cpuid_apic : 0), bios_ticks(pc.unix_seconds),
      has_apic,     has_hpet};
  for (unsigned place = 0; place < platform.ide_disk_sectors.size(); ++place) {
    platform.ide_disk_sectors[place] = vm.pc.state().ide.disk_sectors(place);
  }
  const auto tables = write_firmware(rom, ram, platform);
  if (!tables) return {};
  vm.memory.read(tables->acpi, firmware.acpi_root);
  firmware.has_acpi = true;
  return firmware;
}

}  // namespace undercroft::boot
