// Any page tables for the walk, in a memory of 16 KB that repeats; compared with a second walk,
// which is written level by level from the manual (SDM volume 3, 4.3 and 4.4) and shares no code
// with it.
#include <cstring>

#include "monitor/memory/guest_walk.hpp"
#include "require.hpp"

using namespace undercroft;

namespace {

constexpr std::uint32_t memory_bytes = 0x4000;

struct Memory {
  std::uint8_t bytes[memory_bytes] = {};
  std::uint32_t read_entry(GuestPhysical address) {
    require(address.value() % 4 == 0);
    std::uint32_t word;
    std::memcpy(&word, bytes + address.value() % memory_bytes, 4);
    return word;
  }
  std::uint64_t entry(std::uint64_t address, unsigned width) {
    if (address >> 32) return ~0ull;  // nothing is there
    const auto at = GuestPhysical(static_cast<std::uint32_t>(address));
    const std::uint64_t low = read_entry(at);
    return width == 4 ? low : low | std::uint64_t{read_entry(at + 4)} << 32;
  }
};

struct Expected {
  WalkResult result;
  std::uint64_t address = 0;
  bool writable = true, user = true, dirty = false;
};

constexpr std::uint64_t pae_frame = 0x000ffffffffff000;

Expected reference(const Paging& paging, std::uint32_t linear, Memory& memory) {
  if (paging.mode == PagingMode::none) return {WalkResult::mapped, linear};
  const bool pae = paging.mode == PagingMode::pae;
  const unsigned width = pae ? 8 : 4, index_bits = pae ? 9 : 10;
  const std::uint64_t frame_mask = pae ? pae_frame : 0xfffff000;
  std::uint64_t table = paging.root.value() & 0xfffff000;
  if (pae) {
    const std::uint64_t pointer = paging.pdptes[linear >> 30];
    if (!(pointer & 1)) return {WalkResult::not_present};
    table = pointer & pae_frame;
  }
  Expected walk{WalkResult::mapped};
  for (unsigned shift = 12 + index_bits;; shift -= index_bits) {
    const std::uint32_t index = linear >> shift & ((1u << index_bits) - 1);
    const std::uint64_t entry = memory.entry(table + index * width, width);
    if (!(entry & 1)) return {WalkResult::not_present};
    const bool large = shift != 12 && (entry & 0x80) && paging.mode != PagingMode::two_level;
    if (pae && (entry & reserved_bits::pae_high)) return {WalkResult::reserved_bit};
    if (large && (entry & (pae ? 0x1fe000u : 0x3fe000u))) return {WalkResult::reserved_bit};
    walk.writable = walk.writable && (entry & 2);
    walk.user = walk.user && (entry & 4);
    if (large || shift == 12) {
      const std::uint64_t offset_mask = (1ull << shift) - 1;
      walk.address = (entry & frame_mask & ~offset_mask) | (linear & offset_mask);
      walk.dirty = entry & 0x40;
      return walk;
    }
    table = entry & frame_mask;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  Memory memory;
  std::memcpy(memory.bytes, data + 9, std::min<std::size_t>(size - 9, memory_bytes));
  std::uint32_t root, linear;
  std::memcpy(&root, data + 1, 4);
  std::memcpy(&linear, data + 5, 4);
  Paging paging{static_cast<PagingMode>(data[0] & 3), GuestPhysical(root & ~page_mask), {}};
  if (paging.mode == PagingMode::pae) {
    const auto pointers = read_page_pointers(root, memory);
    if (!pointers) return 0;
    paging.pdptes = *pointers;
  }
  const Walk walk = walk_guest(paging, GuestLinear(linear), memory);
  const Expected expected = reference(paging, linear, memory);
  require(walk.result == expected.result && walk.entry_count <= walk.entries.size());
  if (!walk.mapped()) return 0;
  require(walk.above_4_gb == (expected.address >> 32 != 0));
  require(walk.above_4_gb || walk.address.value() == static_cast<std::uint32_t>(expected.address));
  if (paging.mode == PagingMode::none) return 0;
  require(walk.writable == expected.writable && walk.user == expected.user);
  require(walk.dirty == expected.dirty);
  return 0;
}
