#include "elf_sections.hpp"

#include <algorithm>

namespace undercroft {
namespace {

// Offsets in the file header and in a section header (System V ABI, "Sections").
namespace header {
constexpr std::uint64_t section_offset = 32, section_entry_size = 46, section_count = 48,
                        section_names = 50;
}
namespace section {
constexpr std::uint32_t type = 4, address = 12, offset = 16, size = 20, alignment = 32, bytes = 40;
}
constexpr std::uint32_t type_no_bits = 8;

struct Section {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t alignment = 1;
  bool to_load = false;
};

Section read_section(const ImageReader& image, const ElfSections& sections, std::uint32_t index) {
  const std::uint64_t at = sections.offset + std::uint64_t{sections.entry_size} * index;
  Section result = {image.u32(at + section::offset), image.u32(at + section::size),
                    std::max(image.u32(at + section::alignment), 1u), false};
  result.to_load = image.u32(at + section::address) == 0 && result.size != 0 &&
                   image.u32(at + section::type) != type_no_bits;
  return result;
}

// Where the section goes if what is before it ends at `next`.
std::uint64_t place_of(const Section& section, std::uint64_t next) {
  return (next + section.alignment - 1) / section.alignment * section.alignment;
}

Result<ElfSections, LoadError> read_table(const ImageReader& image) {
  ElfSections sections;
  sections.offset = image.u32(header::section_offset);
  sections.entry_size = image.u16(header::section_entry_size);
  sections.count = image.u16(header::section_count);
  sections.names = image.u16(header::section_names);
  if (sections.count == 0) return ElfSections{};
  if (sections.entry_size < section::bytes) {
    return refuse("e_shentsize", "at least 40 expected", sections.entry_size);
  }
  if (!image.contains(sections.offset, sections.bytes())) {
    return refuse("e_shoff", "the section headers lie outside the file", sections.offset);
  }
  return sections;
}

// End of all sections if the first is placed at `start`. An error: one is not in the file.
Result<std::uint64_t, LoadError> end_of_sections(const ImageReader& image,
                                                 const ElfSections& sections, std::uint64_t start) {
  std::uint64_t next = start;
  for (std::uint32_t i = 0; i < sections.count; ++i) {
    const Section section = read_section(image, sections, i);
    if (!section.to_load) continue;
    if (!image.contains(section.offset, section.size)) {
      return refuse("sh_offset", "the section lies outside the file", section.offset);
    }
    next = place_of(section, next) + section.size;
  }
  return next;
}

bool copy_sections(Loading& loading, const ImageReader& image, const ElfSections& sections) {
  std::uint64_t next = sections.loaded_at;
  for (std::uint32_t i = 0; i < sections.count; ++i) {
    const Section section = read_section(image, sections, i);
    if (!section.to_load) continue;
    const std::uint64_t place = place_of(section, next);
    if (!copy_to_guest(loading.ram, image.source(), section.offset,
                       GuestPhysical(static_cast<std::uint32_t>(place)), section.size)) {
      return false;
    }
    next = place + section.size;
  }
  return true;
}

}  // namespace

Result<ElfSections, LoadError> load_elf_sections(Loading& loading, const ImageReader& image) {
  ElfSections sections = TRY(read_table(image));
  const std::uint64_t start =
      std::max<std::uint64_t>(loading.placement.end_of_claims(), one_megabyte);
  const std::uint64_t end = TRY(end_of_sections(image, sections, start));
  if (end == start) return sections;
  if (!loading.placement.claim(start, end - start)) {
    return refuse("sh_size", "no room for the sections in guest memory", end - start);
  }
  sections.loaded_at = static_cast<std::uint32_t>(start);
  if (!copy_sections(loading, image, sections)) {
    return refuse("sh_offset", "the sections cannot be copied");
  }
  return sections;
}

void write_section_headers(GuestWriter& out, const ImageReader& image,
                           const ElfSections& sections) {
  std::uint64_t next = sections.loaded_at;
  for (std::uint32_t i = 0; i < sections.count; ++i) {
    const Section section = read_section(image, sections, i);
    const std::uint64_t at = sections.offset + std::uint64_t{sections.entry_size} * i;
    const std::uint64_t place = place_of(section, next);
    for (std::uint32_t byte = 0; byte < sections.entry_size; ++byte) {
      if (section.to_load && byte == section::address) {
        out.u32(static_cast<std::uint32_t>(place));
        byte += 3;
      } else {
        out.u8(image.u8(at + byte));
      }
    }
    if (section.to_load) next = place + section.size;
  }
}

}  // namespace undercroft
