// What one run of the loader carries along, and the only ways in which it writes guest memory.
#pragma once

#include "load_error.hpp"
#include "placement.hpp"

namespace undercroft {

// Where the loader puts its own small structures: above the BIOS data area and the boot sector,
// below the extended BIOS data area.
inline constexpr std::uint32_t low_memory_first = 0x8000;
inline constexpr std::uint32_t low_memory_end = 0xa0000;
inline constexpr std::uint32_t one_megabyte = 0x100000;

struct Loading {
  std::span<const GuestModule> modules;  // modules[0] is the kernel
  std::span<const MemoryMapEntry> memory_map;
  GuestRam& ram;
  FirmwareData firmware;
  Placement placement;

  Loading(std::span<const GuestModule> m, std::span<const MemoryMapEntry> map, GuestRam& r,
          const FirmwareData& f)
      : modules(m), memory_map(map), ram(r), firmware(f), placement(map, r.size()) {}
};

// Copies part of a file; false if the file or RAM is too short for it.
bool copy_to_guest(GuestRam& ram, ByteSource& source, std::uint64_t offset, GuestPhysical to,
                   std::uint64_t bytes);

// Claims a place for one of the loader's own structures, in low memory if there is room.
Result<GuestPhysical, LoadError> claim_structure(Loading& loading, std::uint64_t bytes,
                                                 std::uint32_t alignment);

// Writes guest memory field by field from an address upwards; remembers whether all of it was RAM.
// Without RAM it only counts, which measures a structure before it has a place.
class GuestWriter {
 public:
  GuestWriter(GuestRam* ram, GuestPhysical at) : ram_(ram), first_(at) {}

  void u8(std::uint8_t value) { field(value, 1); }
  void u16(std::uint16_t value) { field(value, 2); }
  void u32(std::uint32_t value) { field(value, 4); }
  void u64(std::uint64_t value) { field(value, 8); }
  void string(std::string_view text);  // and its terminating zero
  void bytes(std::span<const std::byte> data) { raw(data); }
  void align(std::uint32_t alignment) {
    while (written_ % alignment != 0) u8(0);
  }
  GuestPhysical position() const { return first_ + written_; }
  std::uint32_t written() const { return written_; }  // bytes
  bool ok() const { return ok_; }

 private:
  void field(std::uint64_t value, unsigned bytes);
  void raw(std::span<const std::byte> bytes);

  GuestRam* ram_;
  GuestPhysical first_;
  std::uint32_t written_ = 0;
  bool ok_ = true;
};

}  // namespace undercroft
