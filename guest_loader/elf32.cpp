#include "elf32.hpp"

#include <algorithm>

#include "entry_state.hpp"

namespace undercroft {
namespace {

// Offsets in the file header and in a program header.
namespace header {
constexpr std::uint64_t ident_class = 4, ident_data = 5, type = 16, machine = 18, version = 20,
                        entry = 24, program_offset = 28, program_entry_size = 42,
                        program_count = 44, size = 52;
}
namespace program {
constexpr std::uint64_t type = 0, offset = 4, virtual_address = 8, physical_address = 12,
                        file_size = 16, memory_size = 20, size = 32;
}
constexpr std::uint32_t class_32 = 1, little_endian = 1, executable = 2, shared = 3,
                        machine_386 = 3, current_version = 1, type_load = 1;
// More than any kernel has; keeps the claims within Placement::capacity.
constexpr std::uint32_t most_program_headers = 48;

struct Segment32 {
  std::uint32_t offset = 0, virtual_address = 0, physical_address = 0, file_size = 0,
                memory_size = 0;
  bool to_load = false;
};

struct ProgramTable {
  std::uint64_t offset = 0;
  std::uint64_t stride = 0;
  std::uint32_t count = 0;
  std::uint32_t entry = 0;
};

Result<ProgramTable, LoadError> check_header(const ImageReader& image) {
  if (!image.contains(0, header::size)) {
    return refuse("e_ehsize", "the file ends in the ELF header", image.size());
  }
  if (image.u32(0) != elf_magic) return refuse("EI_MAG", "0x7f 'ELF' expected", image.u32(0));
  const std::uint32_t elf_class = image.u8(header::ident_class);
  if (elf_class != class_32) return refuse("EI_CLASS", "ELFCLASS32 (1) expected", elf_class);
  const std::uint32_t data = image.u8(header::ident_data);
  if (data != little_endian) return refuse("EI_DATA", "ELFDATA2LSB (1) expected", data);
  const std::uint32_t type = image.u16(header::type);
  if (type != executable && type != shared) {
    return refuse("e_type", "ET_EXEC (2) or ET_DYN (3) expected", type);
  }
  const std::uint32_t machine = image.u16(header::machine);
  if (machine != machine_386) return refuse("e_machine", "EM_386 (3) expected", machine);
  const std::uint32_t version = image.u32(header::version);
  if (version != current_version) return refuse("e_version", "EV_CURRENT (1) expected", version);

  const ProgramTable table = {image.u32(header::program_offset),
                              image.u16(header::program_entry_size),
                              image.u16(header::program_count), image.u32(header::entry)};
  if (table.count == 0) return refuse("e_phnum", "the file has no program header");
  if (table.count > most_program_headers) {
    return refuse("e_phnum", "at most 48 program headers are supported", table.count);
  }
  if (table.stride < program::size) {
    return refuse("e_phentsize", "at least 32 expected", table.stride);
  }
  if (!image.contains(table.offset, table.stride * table.count)) {
    return refuse("e_phoff", "the program headers lie outside the file", table.offset);
  }
  return table;
}

Segment32 read_segment(const ImageReader& image, const ProgramTable& table, std::uint32_t index) {
  const std::uint64_t at = table.offset + table.stride * index;
  Segment32 segment = {image.u32(at + program::offset), image.u32(at + program::virtual_address),
                       image.u32(at + program::physical_address),
                       image.u32(at + program::file_size), image.u32(at + program::memory_size)};
  segment.to_load = image.u32(at + program::type) == type_load && segment.memory_size != 0;
  return segment;
}

Result<Done, LoadError> load_segment_bytes(Loading& loading, const ImageReader& image,
                                           const Segment32& segment) {
  if (segment.file_size > segment.memory_size) {
    return refuse("p_filesz", "larger than p_memsz", segment.file_size);
  }
  if (!image.contains(segment.offset, segment.file_size)) {
    return refuse("p_offset", "the segment lies outside the file", segment.offset);
  }
  if (!loading.placement.is_ram(segment.physical_address, segment.memory_size)) {
    return refuse("p_paddr", "the segment lies outside guest RAM", segment.physical_address);
  }
  if (loading.placement.overlaps(segment.physical_address, segment.memory_size)) {
    return refuse("p_paddr", "the segment overlaps another one", segment.physical_address);
  }
  const GuestPhysical start(segment.physical_address);
  if (!loading.placement.claim(start.value(), segment.memory_size) ||
      !copy_to_guest(loading.ram, image.source(), segment.offset, start, segment.file_size) ||
      !loading.ram.fill(start + segment.file_size, std::byte{0},
                        segment.memory_size - segment.file_size)) {
    return refuse("p_paddr", "the segment cannot be copied", segment.physical_address);
  }
  return Done{};
}

}  // namespace

bool is_elf(const ImageReader& image) { return image.u32(0) == elf_magic; }

Result<ElfExtent, LoadError> elf32_extent(const ImageReader& image) {
  const ProgramTable table = TRY(check_header(image));
  ElfExtent extent{~0u, 0};
  for (std::uint32_t i = 0; i < table.count; ++i) {
    const Segment32 segment = read_segment(image, table, i);
    if (!segment.to_load) continue;
    extent.base = std::min(extent.base, segment.physical_address);
    extent.end =
        std::max(extent.end, std::uint64_t{segment.physical_address} + segment.memory_size);
  }
  if (extent.end == 0) return refuse("p_type", "no segment is to be loaded (PT_LOAD)");
  return extent;
}

Result<std::optional<std::uint32_t>, LoadError> load_elf32_segments(Loading& loading,
                                                                    const ImageReader& image,
                                                                    std::uint32_t moved) {
  const ProgramTable table = TRY(check_header(image));
  std::optional<std::uint32_t> entry;
  bool any = false;
  for (std::uint32_t i = 0; i < table.count; ++i) {
    Segment32 segment = read_segment(image, table, i);
    if (!segment.to_load) continue;
    any = true;
    segment.physical_address += moved;
    TRY(load_segment_bytes(loading, image, segment));
    if (table.entry - segment.virtual_address < segment.memory_size && !entry) {
      entry = segment.physical_address + (table.entry - segment.virtual_address);
    }
  }
  if (!any) return refuse("p_type", "no segment is to be loaded (PT_LOAD)");
  return entry;
}

Failure<LoadError> entry_outside_segments(const ImageReader& image) {
  return refuse("e_entry", "outside every loaded segment", image.u32(header::entry));
}

Result<EntryState, LoadError> load_elf32(Loading& loading, const ImageReader& image) {
  const auto entry = TRY(load_elf32_segments(loading, image));
  if (!entry) return entry_outside_segments(image);
  return EntryState{TRY(flat_entry_state(loading, *entry)), GuestFormat::elf32};
}

}  // namespace undercroft
