// Multiboot Specification 0.6.96, section 3.3: boot information format.
#include "multiboot_information.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t structure_bytes = 116;
constexpr std::uint32_t module_bytes = 16;
constexpr std::uint32_t map_entry_bytes = 24;

// Bits of the flags word, for what is present. There is no boot device, drive, configuration table,
// APM and VBE, since there is no BIOS to ask.
constexpr std::uint32_t has_memory = 1u << 0, has_command_line = 1u << 2, has_modules = 1u << 3,
                        has_sections = 1u << 5, has_map = 1u << 6, has_loader_name = 1u << 9,
                        has_framebuffer = 1u << 12;

// Where the parts stand, in the order in which they are written.
struct Layout {
  GuestPhysical modules, map, sections, command_lines, loader_name;
  std::uint32_t bytes = 0;

  Layout(const Loading& loading, const ElfSections& elf, GuestPhysical base) {
    modules = base + structure_bytes;
    map = modules + module_bytes * static_cast<std::uint32_t>(loading.modules.size() - 1);
    sections = map + map_entry_bytes * static_cast<std::uint32_t>(loading.memory_map.size());
    command_lines = sections + elf.bytes();
    loader_name = command_lines;
    for (const GuestModule& module : loading.modules) {
      loader_name += static_cast<std::uint32_t>(module.command_line.size() + 1);
    }
    bytes = loader_name + static_cast<std::uint32_t>(boot_loader_name.size() + 1) - base;
  }
};

void write_structure(GuestWriter& out, const Loading& loading, const Layout& layout,
                     const MultibootImage& image) {
  const BasicMemory memory = basic_memory(loading);
  const ElfSections& sections = image.sections;
  out.u32(has_memory | has_command_line | has_map | has_loader_name | has_framebuffer |
          (image.module_count ? has_modules : 0) | (sections.count ? has_sections : 0));
  out.u32(memory.lower);
  out.u32(memory.upper);
  out.u32(0);  // boot_device
  out.u32(layout.command_lines.value());
  out.u32(image.module_count);
  out.u32(image.module_count ? layout.modules.value() : 0);
  out.u32(sections.count);
  out.u32(sections.entry_size);
  out.u32(sections.count ? layout.sections.value() : 0);
  out.u32(sections.names);
  out.u32(map_entry_bytes * static_cast<std::uint32_t>(loading.memory_map.size()));
  out.u32(layout.map.value());
  out.u32(0);  // drives_length
  out.u32(0);  // drives_addr
  out.u32(0);  // config_table
  out.u32(layout.loader_name.value());
  out.u32(0);                                   // apm_table
  for (unsigned i = 0; i < 4; ++i) out.u32(0);  // vbe
  write_screen(out, image.framebuffer);
  write_colours(out, image.framebuffer);
}

}  // namespace

Result<GuestPhysical, LoadError> write_multiboot1_information(Loading& loading,
                                                              const ImageReader& file,
                                                              const MultibootImage& image) {
  const std::uint32_t bytes = Layout(loading, image.sections, GuestPhysical(0)).bytes;
  const GuestPhysical base = TRY(claim_structure(loading, bytes, 16));
  const Layout layout(loading, image.sections, base);
  GuestWriter out(&loading.ram, base);
  write_structure(out, loading, layout, image);
  GuestPhysical command_line = layout.command_lines;
  for (std::uint32_t i = 0; i < image.module_count; ++i) {
    command_line += static_cast<std::uint32_t>(loading.modules[i].command_line.size() + 1);
    out.u32(image.modules[i].start);
    out.u32(image.modules[i].end);
    out.u32(command_line.value());
    out.u32(0);
  }
  for (const MemoryMapEntry& entry : loading.memory_map) {
    out.u32(map_entry_bytes - 4);  // of this entry, without this word
    out.u64(entry.base);
    out.u64(entry.length);
    out.u32(static_cast<std::uint32_t>(entry.type));
  }
  write_section_headers(out, file, image.sections);
  for (const GuestModule& module : loading.modules) out.string(module.command_line);
  out.string(boot_loader_name);
  if (!out.ok()) return refuse("multiboot_info", "the boot information cannot be written");
  return base;
}

}  // namespace undercroft
