// The walk of the guest's page tables as the processor does it (SDM volume 3, 4.3 and 4.4), as pure
// functions: the one crossing from GuestLinear to GuestPhysical. It changes nothing: accessed and
// dirty bits are set by who uses the walk (set_accessed_dirty in guest_linear_memory.hpp), from the
// entries that the walk lists.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>

#include "../address.hpp"
#include "../vcpu.hpp"
#include "linear_memory.hpp"
#include "page_entry.hpp"

namespace undercroft {

enum class PagingMode : std::uint8_t { none, two_level, two_level_large, pae };

// All that a walk depends on besides memory.
struct Paging {
  PagingMode mode = PagingMode::none;
  GuestPhysical root{};  // page directory; PAE: pointer table, read at CR3 load only
  std::array<std::uint64_t, 4> pdptes{};  // PAE, as latched at CR3 load
  bool a20_masked = false;                // see Vcpu
};
Paging paging_of(const Vcpu&);

enum class PageAccess : std::uint8_t { read, write, execute };

// Page fault error code bits (SDM volume 3, 4.7). Instruction fetch (bit 4) is never set: the CPU
// model has neither execute-disable nor SMEP.
namespace page_fault_code {
inline constexpr std::uint32_t reserved = 1u << 3;
inline constexpr std::uint32_t user = 1u << 2;
inline constexpr std::uint32_t write = 1u << 1;
inline constexpr std::uint32_t present = 1u << 0;
}  // namespace page_fault_code

enum class WalkResult : std::uint8_t { mapped, not_present, reserved_bit };
enum class WalkLevel : std::uint8_t { pointer_table, directory, table, no_tables };

struct EntryRead {
  GuestPhysical address{};
  PageEntry entry{};
};

struct Walk {
  WalkResult result = WalkResult::not_present;
  // Of the entry that ended the walk: the leaf, or the one that failed. no_tables: paging is off.
  WalkLevel level = WalkLevel::no_tables;
  // The rest holds only if result is mapped.
  GuestPhysical address{};               // of the byte asked for
  std::uint32_t page_bytes = page_size;  // 4 KB, 2 MB or 4 MB; 4 KB without paging
  bool writable = false;                 // R/W of all levels
  bool user = false;                     // U/S of all levels
  bool global = false;                   // G of the leaf, whatever CR4.PGE says
  bool accessed = false;                 // A is set at every level
  bool dirty = false;                    // D of the leaf
  bool above_4_gb = false;               // PAE: the page lies where GuestPhysical does not reach
  // Entries read, directory first; valid also if the walk failed. A PDPTE is not among them, since
  // it is latched. Entries above 4 GB float (all ones) and are not listed either.
  std::uint8_t entry_count = 0;
  std::array<EntryRead, 2> entries{};

  constexpr bool mapped() const { return result == WalkResult::mapped; }
  constexpr bool in_reach() const { return mapped() && !above_4_gb; }  // `address` is where it is
  constexpr const EntryRead& leaf() const { return entries[entry_count - 1u]; }  // paging is on
};

// Where entries are read from: 32 bits at a guest-physical address that is a multiple of 4.
template <class Reader>
concept EntryReader = requires(Reader& reader, GuestPhysical address) {
  { reader.read_entry(address) } -> std::same_as<std::uint32_t>;
};

// With the A20 line low: see Vcpu.
constexpr GuestPhysical without_a20(GuestPhysical address) {
  return GuestPhysical(address.value() & ~(1u << 20));
}

template <EntryReader Reader>
struct MaskedReader {
  Reader& reader;
  constexpr std::uint32_t read_entry(GuestPhysical address) {
    return reader.read_entry(without_a20(address));
  }
};

template <EntryReader Reader>
constexpr Walk walk_guest(const Paging&, GuestLinear, Reader&&);

// The four pointers that the processor latches when it loads CR3, or switches to PAE paging (SDM
// volume 3, 4.4.1). Empty: a present one has a reserved bit, which is #GP(0).
inline constexpr std::uint32_t pae_pointer_table_bytes = 32;
using PagePointers = std::array<std::uint64_t, 4>;
template <EntryReader Reader>
constexpr std::optional<PagePointers> read_page_pointers(std::uint32_t cr3, Reader&& reader) {
  PagePointers pointers{};
  GuestPhysical address(cr3 & ~(pae_pointer_table_bytes - 1));
  for (std::uint64_t& pointer : pointers) {
    pointer = std::uint64_t{reader.read_entry(address + 4)} << 32 | reader.read_entry(address);
    if (PageEntry(pointer).present() && (pointer & reserved_bits::pae_pointer)) return std::nullopt;
    address += 8;
  }
  return pointers;
}

// Whether the page's rights allow the access (SDM volume 3, 4.6.1); false if nothing is mapped.
// write_protect is CR0.WP.
constexpr bool permitted(const Walk& walk, PageAccess access, Privilege privilege,
                         bool write_protect) {
  if (!walk.mapped()) return false;
  if (privilege == Privilege::user && !walk.user) return false;
  if (access != PageAccess::write || walk.writable) return true;
  return privilege == Privilege::supervisor && !write_protect;
}

// The error code of the page fault that the access raises, given that it does raise one.
constexpr std::uint32_t error_code(const Walk& walk, PageAccess access, Privilege privilege) {
  std::uint32_t code = 0;
  if (walk.result != WalkResult::not_present) code |= page_fault_code::present;
  if (walk.result == WalkResult::reserved_bit) code |= page_fault_code::reserved;
  if (access == PageAccess::write) code |= page_fault_code::write;
  if (privilege == Privilege::user) code |= page_fault_code::user;
  return code;
}

// Below: the walk itself, one function per paging mode.

namespace walk_detail {

inline constexpr std::uint64_t floating_entry = ~0ull;

constexpr Walk ended(Walk walk, WalkResult result, WalkLevel level) {
  walk.result = result;
  walk.level = level;
  return walk;
}

// Takes an entry into the walk: rights are the conjunction over all levels.
constexpr void note(Walk& walk, PageEntry entry) {
  walk.writable &= entry.writable();
  walk.user &= entry.user();
  walk.accessed &= entry.accessed();
}

constexpr void list(Walk& walk, GuestPhysical address, PageEntry entry) {
  walk.entries[walk.entry_count++] = {address, entry};
}

constexpr Walk leaf(Walk walk, WalkLevel level, PageEntry entry, std::uint32_t page_bytes,
                    GuestLinear linear) {
  walk.page_bytes = page_bytes;
  walk.address =
      GuestPhysical((entry.low() & ~(page_bytes - 1)) | (linear.value() & (page_bytes - 1)));
  walk.global = entry.global();
  walk.dirty = entry.dirty();
  walk.above_4_gb = entry.above_4_gb();
  return ended(walk, WalkResult::mapped, level);
}

constexpr Walk starting_walk() {
  Walk walk;
  walk.writable = walk.user = walk.accessed = true;
  return walk;
}

// SDM volume 3, 4.3.
template <EntryReader Reader>
constexpr Walk two_level(const Paging& paging, GuestLinear linear, Reader& reader) {
  Walk walk = starting_walk();
  const auto directory_address = paging.root.page() + (linear.value() >> 22) * 4;
  const PageEntry directory(reader.read_entry(directory_address));
  list(walk, directory_address, directory);
  if (!directory.present()) return ended(walk, WalkResult::not_present, WalkLevel::directory);
  note(walk, directory);
  if (paging.mode == PagingMode::two_level_large && directory.large()) {
    if (directory.bits() & reserved_bits::large_32)
      return ended(walk, WalkResult::reserved_bit, WalkLevel::directory);
    return leaf(walk, WalkLevel::directory, directory, 0x400000, linear);
  }
  const auto table_address = GuestPhysical(directory.frame()) + (linear.value() >> 12 & 0x3ff) * 4;
  const PageEntry table(reader.read_entry(table_address));
  list(walk, table_address, table);
  if (!table.present()) return ended(walk, WalkResult::not_present, WalkLevel::table);
  note(walk, table);
  return leaf(walk, WalkLevel::table, table, page_size, linear);
}

// Reads one 8-byte entry of the table that `parent` names, and lists it.
template <EntryReader Reader>
constexpr PageEntry pae_entry(Walk& walk, PageEntry parent, std::uint32_t index, Reader& reader) {
  if (parent.above_4_gb()) return PageEntry(floating_entry);
  const auto address = GuestPhysical(parent.frame()) + index * 8;
  const std::uint64_t low = reader.read_entry(address);
  const std::uint64_t high = reader.read_entry(address + 4);
  const PageEntry entry(high << 32 | low);
  list(walk, address, entry);
  return entry;
}

// SDM volume 3, 4.4.2. CR4.PSE does not matter here.
template <EntryReader Reader>
constexpr Walk pae(const Paging& paging, GuestLinear linear, Reader& reader) {
  Walk walk = starting_walk();
  const PageEntry pointer(paging.pdptes[linear.value() >> 30]);
  if (!pointer.present()) return ended(walk, WalkResult::not_present, WalkLevel::pointer_table);

  const auto directory = pae_entry(walk, pointer, linear.value() >> 21 & 0x1ff, reader);
  if (!directory.present()) return ended(walk, WalkResult::not_present, WalkLevel::directory);
  const auto reserved = directory.large() ? reserved_bits::pae_large : reserved_bits::pae_high;
  if (directory.bits() & reserved)
    return ended(walk, WalkResult::reserved_bit, WalkLevel::directory);
  note(walk, directory);
  if (directory.large()) return leaf(walk, WalkLevel::directory, directory, 0x200000, linear);

  const auto table = pae_entry(walk, directory, linear.value() >> 12 & 0x1ff, reader);
  if (!table.present()) return ended(walk, WalkResult::not_present, WalkLevel::table);
  if (table.bits() & reserved_bits::pae_high)
    return ended(walk, WalkResult::reserved_bit, WalkLevel::table);
  note(walk, table);
  return leaf(walk, WalkLevel::table, table, page_size, linear);
}

// By the tables, as if physical addresses had all their bits.
template <EntryReader Reader>
constexpr Walk by_tables(const Paging& paging, GuestLinear linear, Reader& reader) {
  switch (paging.mode) {
    case PagingMode::none: {
      Walk walk = starting_walk();
      walk.dirty = true;
      walk.address = GuestPhysical(linear.value());
      return ended(walk, WalkResult::mapped, WalkLevel::no_tables);
    }
    case PagingMode::two_level:
    case PagingMode::two_level_large:
      return two_level(paging, linear, reader);
    case PagingMode::pae:
      return pae(paging, linear, reader);
  }
  return {};
}

template <EntryReader Reader>
constexpr Walk masked(const Paging& paging, GuestLinear linear, Reader& reader) {
  MaskedReader<Reader> without{reader};
  Walk walk = by_tables(paging, linear, without);
  walk.address = without_a20(walk.address);
  for (EntryRead& entry : walk.entries) entry.address = without_a20(entry.address);
  return walk;
}

}  // namespace walk_detail

template <EntryReader Reader>
constexpr Walk walk_guest(const Paging& paging, GuestLinear linear, Reader&& reader) {
  if (paging.a20_masked) [[unlikely]]
    return walk_detail::masked(paging, linear, reader);
  return walk_detail::by_tables(paging, linear, reader);
}

}  // namespace undercroft
