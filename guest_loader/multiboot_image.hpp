// Loads a multiboot kernel's segments and modules, the same for both versions.
#pragma once

#include "elf_sections.hpp"
#include "multiboot_header.hpp"

namespace undercroft {

struct LoadedModule {
  std::uint32_t start = 0;
  std::uint32_t end = 0;  // first byte behind it
};

struct MultibootImage {
  static constexpr std::size_t most_modules = 32;

  std::uint32_t entry = 0;
  std::uint32_t load_base = 0;  // physical address of the kernel's first byte
  ElfSections sections;
  std::array<LoadedModule, most_modules> modules{};
  std::uint32_t module_count = 0;
  Framebuffer framebuffer{};  // that the kernel is told of; none: of the text screen
};

Result<MultibootImage, LoadError> load_multiboot_image(Loading& loading, const ImageReader& image,
                                                       const MultibootHeader& header);

// What both versions tell of memory besides the map, in KB (section 3.3, mem_lower and mem_upper).
struct BasicMemory {
  std::uint32_t lower = 0;  // from 0
  std::uint32_t upper = 0;  // from 1 MB to the first hole
};
BasicMemory basic_memory(const Loading& loading);

inline constexpr std::string_view boot_loader_name = "Undercroft";

// What both versions tell of the screen in the same words, from its address to its type: a linear
// framebuffer (1), or else the text screen (2). Then the fields of a framebuffer's colours.
void write_screen(GuestWriter& out, const Framebuffer& framebuffer);
void write_colours(GuestWriter& out, const Framebuffer& framebuffer);
inline constexpr std::uint32_t colours_bytes = 6;

}  // namespace undercroft
