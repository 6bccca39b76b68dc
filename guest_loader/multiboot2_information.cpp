// Multiboot2 Specification 2.0, section 3.6: boot information format.
#include "multiboot_information.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t tag_end = 0, tag_command_line = 1, tag_loader_name = 2, tag_module = 3,
                        tag_basic_memory = 4, tag_memory_map = 6, tag_framebuffer = 8;
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

void write_memory_tags(GuestWriter& out, const Loading& loading) {
  const BasicMemory memory = basic_memory(loading);
  begin_tag(out, tag_basic_memory, 16);
  out.u32(memory.lower);
  out.u32(memory.upper);
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

void write_framebuffer_tag(GuestWriter& out) {
  begin_tag(out, tag_framebuffer, 32);
  out.u64(text_screen::address);
  out.u32(text_screen::pitch);
  out.u32(text_screen::width);
  out.u32(text_screen::height);
  out.u8(text_screen::bits_per_character);
  out.u8(text_screen::type);
  out.u16(0);
}

void write_all(GuestWriter& out, const Loading& loading, const MultibootImage& image,
               std::uint32_t total_bytes) {
  out.u32(total_bytes);
  out.u32(0);
  write_string_tag(out, tag_command_line, loading.modules[0].command_line);
  write_string_tag(out, tag_loader_name, boot_loader_name);
  for (std::uint32_t i = 0; i < image.module_count; ++i) {
    const std::string_view text = loading.modules[i + 1].command_line;
    begin_tag(out, tag_module, static_cast<std::uint32_t>(16 + text.size() + 1));
    out.u32(image.modules[i].start);
    out.u32(image.modules[i].end);
    out.string(text);
  }
  write_memory_tags(out, loading);
  write_framebuffer_tag(out);
  begin_tag(out, tag_end, 8);
}

}  // namespace

Result<GuestPhysical, LoadError> write_multiboot2_information(Loading& loading,
                                                              const MultibootImage& image) {
  GuestWriter measure(nullptr, GuestPhysical(0));
  write_all(measure, loading, image, 0);
  const GuestPhysical base = TRY(claim_structure(loading, measure.written(), 8));
  GuestWriter out(&loading.ram, base);
  write_all(out, loading, image, measure.written());
  if (!out.ok()) return refuse("multiboot2 information", "it cannot be written");
  return base;
}

}  // namespace undercroft
