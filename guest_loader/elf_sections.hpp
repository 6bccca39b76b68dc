// The section headers of an ELF kernel, which boot information hands on, and the sections that no
// program segment holds: symbols and their names.
#pragma once

#include "image_reader.hpp"
#include "loading.hpp"

namespace undercroft {

struct ElfSections {
  std::uint64_t offset = 0;      // of the headers, in the file
  std::uint32_t count = 0;       // 0: the kernel has none
  std::uint32_t entry_size = 0;  // bytes of a header
  std::uint32_t names = 0;       // which section has the names
  std::uint32_t loaded_at = 0;   // where the first of the sections that no segment holds lies

  std::uint32_t bytes() const { return count * entry_size; }
};

// Copies the sections that have contents but no address behind what is loaded already, each at its
// own alignment, as GRUB does. The file must be an ELF file that load_elf32_segments has taken.
Result<ElfSections, LoadError> load_elf_sections(Loading& loading, const ImageReader& image);

// The headers, with the addresses to which sections were copied.
void write_section_headers(GuestWriter& out, const ImageReader& image, const ElfSections& sections);

}  // namespace undercroft
