// ELF32 executables for the 386 (System V ABI, Intel386 supplement): checks the header and loads
// the program segments at their physical addresses.
#pragma once

#include "image_reader.hpp"
#include "loading.hpp"

namespace undercroft {

inline constexpr std::uint32_t elf_magic = 0x464c457f;  // "\x7fELF"

bool is_elf(const ImageReader& image);

// The physical addresses of all segments together. Fails as loading them would.
struct ElfExtent {
  std::uint32_t base = 0;
  std::uint64_t end = 0;
};
Result<ElfExtent, LoadError> elf32_extent(const ImageReader& image);

// Loads every PT_LOAD segment, `moved` bytes above its physical address (modulo 4 GB); yields
// e_entry as a physical address, moved likewise. Kernels linked at a high virtual address have a
// virtual e_entry, which the segment that holds it translates. No value: no segment holds it.
Result<std::optional<std::uint32_t>, LoadError> load_elf32_segments(Loading& loading,
                                                                    const ImageReader& image,
                                                                    std::uint32_t moved = 0);
// The error for a kernel without any other entry.
Failure<LoadError> entry_outside_segments(const ImageReader& image);

// A kernel that is nothing but ELF: flat state at its entry, no boot information.
Result<EntryState, LoadError> load_elf32(Loading& loading, const ImageReader& image);

}  // namespace undercroft
