// Which format an image has decides who loads it.
#include "guest_loader.hpp"

#include "bios_data.hpp"
#include "elf32.hpp"
#include "entry_state.hpp"
#include "firmware/bios_code.hpp"
#include "linux_boot.hpp"
#include "multiboot_information.hpp"

namespace undercroft {

Result<EntryState, LoadError> load_guest(std::span<const GuestModule> modules,
                                         std::span<const MemoryMapEntry> memory_map, GuestRam& ram,
                                         const FirmwareData& firmware) {
  if (modules.empty() || !modules[0].source) {
    return refuse("module", "no boot module is given, so there is no guest kernel");
  }
  for (std::size_t i = 1; i < modules.size(); ++i) {
    if (!modules[i].source) return refuse_module(i, "module", "has no contents");
  }
  const ImageReader image(*modules[0].source);
  if (image.size() == 0) return refuse("module", "the file is empty");

  Loading loading(modules, memory_map, ram, firmware);
  write_bios_data(loading);
  if (has_linux_header(image)) return load_linux(loading, image);
  const auto header = TRY(find_multiboot_header(image));
  if (header) return load_multiboot(loading, image, *header);
  if (is_elf(image)) return load_elf32(loading, image);
  if (looks_like_linux(image)) return load_linux(loading, image);
  return refuse("magic", "the kernel is none of multiboot, ELF and Linux bzImage", image.u32(0));
}

EntryState start_bios() {
  constexpr std::uint16_t stack_below_boot_sector = 0x7c00;
  return {
      real_mode_entry_state({bios_code::segment, bios_code::boot_disk, 0, stack_below_boot_sector}),
      GuestFormat::boot_sector};
}

}  // namespace undercroft
