// Multiboot Specification 0.6.96, section 3.3.
#include "boot_report.hpp"

namespace report {

struct [[gnu::packed]] Information1 {
  u32 flags, memory_lower, memory_upper, boot_device, command_line, module_count, modules;
  u32 section_count, section_size, sections, section_names;
  u32 map_length, map, drives_length, drives, configuration, loader_name, apm;
  u32 vbe_control, vbe_mode_information;
  u16 vbe_mode, vbe_segment, vbe_offset, vbe_length;
  Framebuffer framebuffer;
};
struct Module1 {
  u32 start, end, string, reserved;
};
struct [[gnu::packed]] MapEntry1 {
  u32 size;
  u64 base, length;
  u32 type;
};

namespace {

void print_map(const Information1& boot) {
  u32 end_of_memory = 0;
  for (u32 at = boot.map; at < boot.map + boot.map_length;) {
    const MapEntry1& entry = *reinterpret_cast<const MapEntry1*>(at);
    check(entry.size == 20, "a map entry's size");
    print_map_entry(entry.base, entry.length, entry.type);
    if (entry.base == 0x100000) end_of_memory = static_cast<u32>(entry.base + entry.length);
    at += entry.size + 4;
  }
  check(boot.memory_upper == (end_of_memory - 0x100000) / 1024, "mem_upper is the map's");
}

void print_modules(const Information1& boot) {
  const Module1* const modules = reinterpret_cast<const Module1*>(boot.modules);
  for (u32 i = 0; i < boot.module_count; ++i) {
    print_module(modules[i].start, modules[i].end,
                 reinterpret_cast<const char*>(modules[i].string));
  }
}

}  // namespace

void print_information(const Information1* information) {
  const Information1& boot = *information;
  line("flags ", hex(boot.flags));
  if (boot.flags & 0x001) line("mem_lower ", boot.memory_lower);
  if (boot.flags & 0x004)
    line("command line \"", reinterpret_cast<const char*>(boot.command_line), '"');
  line("modules ", boot.module_count);
  print_modules(boot);
  if (boot.flags & 0x020) {
    line("sections of ", boot.section_size, " bytes, names in ", boot.section_names);
    print_sections(reinterpret_cast<const SectionHeader*>(boot.sections), boot.section_count,
                   boot.section_names);
  }
  if (boot.flags & 0x040) print_map(boot);
  if (boot.flags & 0x200)
    check(*reinterpret_cast<const char*>(boot.loader_name) != 0, "a loader's name");
  if (boot.flags & 0x800) {
    line("vbe mode ", hex(boot.vbe_mode, 4), " interface ", hex(boot.vbe_segment, 4), ':',
         hex(boot.vbe_offset, 4), " length ", hex(boot.vbe_length, 4));
  }
  if (boot.flags & 0x1000) print_framebuffer(boot.framebuffer);
}

}  // namespace report
