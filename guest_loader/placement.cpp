#include "placement.hpp"

#include <algorithm>

namespace undercroft {

Placement::Range Placement::ram_of(const MemoryMapEntry& entry) const {
  if (entry.type != MemoryType::available || entry.base >= ram_bytes_) return {};
  return {entry.base, entry.base + std::min(entry.length, ram_bytes_ - entry.base)};
}

std::uint64_t Placement::end_of_ram_at(std::uint64_t base) const {
  std::uint64_t end = base;
  for (bool grown = true; grown;) {
    grown = false;
    for (const MemoryMapEntry& entry : map_) {
      const Range ram = ram_of(entry);
      if (ram.base <= end && end < ram.end) {
        end = ram.end;
        grown = true;
      }
    }
  }
  return end;
}

bool Placement::is_ram(std::uint64_t base, std::uint64_t bytes) const {
  return base < address_space && bytes <= end_of_ram_at(base) - base;
}

bool Placement::overlaps(std::uint64_t base, std::uint64_t bytes) const {
  for (std::size_t i = 0; i < claim_count_; ++i) {
    const Range& claim = claims_[i];
    if (base < claim.end && (claim.base < base || claim.base - base < bytes)) return true;
  }
  return false;
}

bool Placement::claim(std::uint64_t base, std::uint64_t bytes) {
  if (bytes == 0) return true;
  if (claim_count_ == capacity || !is_free(base, bytes)) return false;
  claims_[claim_count_++] = {base, base + bytes};
  return true;
}

std::uint64_t Placement::end_of_claims() const {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < claim_count_; ++i) end = std::max(end, claims_[i].end);
  return end;
}

// The lowest place begins at the lower bound, where RAM begins or where a taken range ends, and no
// other start can be lower: so it is enough to try these.
std::optional<std::uint32_t> Placement::find_lowest(std::uint64_t bytes, std::uint32_t alignment,
                                                    std::uint64_t first, std::uint64_t end) const {
  std::uint64_t best = address_space;
  const auto consider = [&](std::uint64_t start) {
    start = (std::max(start, first) + alignment - 1) & ~std::uint64_t{alignment - 1};
    if (start < best && start <= end && bytes <= end - start && is_free(start, bytes)) best = start;
  };
  consider(first);
  for (const MemoryMapEntry& entry : map_) consider(ram_of(entry).base);
  for (std::size_t i = 0; i < claim_count_; ++i) consider(claims_[i].end);
  if (best == address_space) return {};
  return static_cast<std::uint32_t>(best);
}

std::optional<std::uint32_t> Placement::find_highest(std::uint64_t bytes, std::uint32_t alignment,
                                                     std::uint64_t first, std::uint64_t end) const {
  std::optional<std::uint32_t> best;
  const auto consider = [&](std::uint64_t limit) {
    limit = std::min({limit, end, address_space});
    if (limit < bytes) return;
    const std::uint64_t start = (limit - bytes) & ~std::uint64_t{alignment - 1};
    if (start < first || (best && start <= *best) || !is_free(start, bytes)) return;
    best = static_cast<std::uint32_t>(start);
  };
  consider(end);
  for (const MemoryMapEntry& entry : map_) consider(ram_of(entry).end);
  for (std::size_t i = 0; i < claim_count_; ++i) consider(claims_[i].base);
  return best;
}

}  // namespace undercroft
