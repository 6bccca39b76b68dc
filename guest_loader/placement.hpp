// Which guest-physical ranges are taken and where something else can go. It knows ranges only, not
// what lies in them.
#pragma once

#include <array>
#include <optional>

#include "guest_loader.hpp"

namespace undercroft {

class Placement {
 public:
  // Kernel segments, modules and the loader's own structures together.
  static constexpr std::size_t capacity = 96;

  // ram_bytes: nothing is placed at or above this address, whatever the map says.
  Placement(std::span<const MemoryMapEntry> map, std::uint64_t ram_bytes)
      : map_(map), ram_bytes_(ram_bytes < address_space ? ram_bytes : address_space) {}

  bool is_ram(std::uint64_t base, std::uint64_t bytes) const;
  bool overlaps(std::uint64_t base, std::uint64_t bytes) const;
  bool is_free(std::uint64_t base, std::uint64_t bytes) const {
    return is_ram(base, bytes) && !overlaps(base, bytes);
  }

  // Takes a range that is_free. False if it is not, or if too many are taken.
  bool claim(std::uint64_t base, std::uint64_t bytes);

  // The lowest or highest free range of so many bytes (at least 1) within [first, end), its start
  // aligned to a power of two.
  std::optional<std::uint32_t> find_lowest(std::uint64_t bytes, std::uint32_t alignment,
                                           std::uint64_t first, std::uint64_t end) const;
  std::optional<std::uint32_t> find_highest(std::uint64_t bytes, std::uint32_t alignment,
                                            std::uint64_t first, std::uint64_t end) const;

  // End of the last range taken; 0 if none is.
  std::uint64_t end_of_claims() const;
  // End of the available memory that starts at base without a hole; base if there is none.
  std::uint64_t end_of_ram_at(std::uint64_t base) const;

 private:
  static constexpr std::uint64_t address_space = std::uint64_t{1} << 32;
  struct Range {
    std::uint64_t base = 0;
    std::uint64_t end = 0;
  };
  // The part of a map entry that is RAM; empty if none is.
  Range ram_of(const MemoryMapEntry& entry) const;

  std::span<const MemoryMapEntry> map_;
  std::uint64_t ram_bytes_;
  std::array<Range, capacity> claims_{};
  std::size_t claim_count_ = 0;
};

}  // namespace undercroft
