// Multiboot2 Specification 2.0, section 3.6: boot information format.
#include "multiboot_information.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t tag_end = 0, tag_command_line = 1, tag_loader_name = 2, tag_module = 3,
                        tag_basic_memory = 4, tag_memory_map = 6, tag_framebuffer = 8,
                        tag_elf_sections = 9, tag_acpi_old = 14, tag_acpi_new = 15,
                        tag_load_base = 21;
constexpr std::uint32_t acpi_old_bytes = 20;  // the RSDP of ACPI 1.0
constexpr std::uint32_t map_entry_bytes = 24;

void begin_tag(GuestWriter& out, std::uint32_t type, std::uint32_t bytes) {
  out.align(8);
  out.u32(type);
  out.u32(bytes);
}

void write_string_tag(GuestWriter& out, std::uint32_t type, std::string_view text) {
  begin_tag(out, type, static_cast<std::uint32_t>(8 + text.size() + 1));
  out.string(text);
}

void write_module_tags(GuestWriter& out, const Loading& loading, const MultibootImage& image) {
  for (std::uint32_t i = 0; i < image.module_count; ++i) {
    const std::string_view text = loading.modules[i + 1].command_line;
    begin_tag(out, tag_module, static_cast<std::uint32_t>(16 + text.size() + 1));
    out.u32(image.modules[i].start);
    out.u32(image.modules[i].end);
    out.string(text);
  }
}

void write_memory_map(GuestWriter& out, const Loading& loading) {
  begin_tag(out, tag_memory_map,
            16 + map_entry_bytes * static_cast<std::uint32_t>(loading.memory_map.size()));
  out.u32(map_entry_bytes);
  out.u32(0);  // entry_version
  for (const MemoryMapEntry& entry : loading.memory_map) {
    out.u64(entry.base);
    out.u64(entry.length);
    out.u32(static_cast<std::uint32_t>(entry.type));
    out.u32(0);
  }
}

void write_sections(GuestWriter& out, const ImageReader& file, const ElfSections& sections) {
  if (sections.count == 0) return;
  begin_tag(out, tag_elf_sections, 20 + sections.bytes());
  out.u32(sections.count);
  out.u32(sections.entry_size);
  out.u32(sections.names);
  write_section_headers(out, file, sections);
}

void write_basic_memory(GuestWriter& out, const Loading& loading) {
  const BasicMemory memory = basic_memory(loading);
  begin_tag(out, tag_basic_memory, 16);
  out.u32(memory.lower);
  out.u32(memory.upper);
}

// Copies of the RSDP: its part of ACPI 1.0, and all of it if there is more.
void write_acpi_tags(GuestWriter& out, std::span<const std::byte> root) {
  if (root.size() < acpi_old_bytes) return;
  begin_tag(out, tag_acpi_old, 8 + acpi_old_bytes);
  out.bytes(root.first(acpi_old_bytes));
  if (root.size() == acpi_old_bytes) return;
  begin_tag(out, tag_acpi_new, static_cast<std::uint32_t>(8 + root.size()));
  out.bytes(root);
}

void write_framebuffer_tag(GuestWriter& out, const Framebuffer& framebuffer) {
  constexpr std::uint32_t text_bytes = 32;
  begin_tag(out, tag_framebuffer, text_bytes + (framebuffer.present() ? colours_bytes : 0));
  write_screen(out, framebuffer);
  out.u16(0);
  if (framebuffer.present()) write_colours(out, framebuffer);
}

// In GRUB's order, on which the specification is silent.
void write_all(GuestWriter& out, const Loading& loading, const ImageReader& file,
               const MultibootImage& image, std::uint32_t total_bytes) {
  out.u32(total_bytes);
  out.u32(0);
  begin_tag(out, tag_load_base, 12);
  out.u32(image.load_base);
  write_string_tag(out, tag_command_line, loading.modules[0].command_line);
  write_string_tag(out, tag_loader_name, boot_loader_name);
  write_module_tags(out, loading, image);
  write_memory_map(out, loading);
  write_sections(out, file, image.sections);
  write_basic_memory(out, loading);
  write_framebuffer_tag(out, image.framebuffer);
  write_acpi_tags(out, loading.firmware.acpi_root);
  begin_tag(out, tag_end, 8);
}

}  // namespace

Result<GuestPhysical, LoadError> write_multiboot2_information(Loading& loading,
                                                              const ImageReader& file,
                                                              const MultibootImage& image) {
  GuestWriter measure(nullptr, GuestPhysical(0));
  write_all(measure, loading, file, image, 0);
  const GuestPhysical base = TRY(claim_structure(loading, measure.written(), 8));
  GuestWriter out(&loading.ram, base);
  write_all(out, loading, file, image, measure.written());
  if (!out.ok()) return refuse("multiboot2 information", "it cannot be written");
  return base;
}

}  // namespace undercroft
