// PAE tables in the shadow's two levels. A shadow table covers 4 MB and so shows two entries of a
// guest's directory, 2 MB each: a pair, keyed by the directory's frame and the entries' place in
// it. Roots that name the same directory share its pairs.
//
// Each half of a pair remembers the guest's entry that it was filled from. If that names a page
// table, the half is found again by the table's frame, so that a write to the table is carried
// through. A root remembers the guest's four pointers, which are latched: writes to them count only
// when CR3 is loaded, so nobody watches them.
#include "shadow.hpp"

namespace undercroft {
namespace {

constexpr unsigned half_entries = 512;     // of a shadow table
constexpr unsigned entries_of_root = 256;  // for each pointer
constexpr unsigned pae_entry_bytes = 8;

// What a half depends on besides A and D. All of the upper word is reserved or names memory that is
// not there, so an entry with one of its bits is never shown.
constexpr std::uint32_t lasting =
    page_bit::present | page_bit::writable | page_bit::user | page_bit::large | ~page_mask;

PageEntry entry_at(GuestMemory& memory, GuestPhysical address) {
  return PageEntry(std::uint64_t{memory.read_entry(address + 4)} << 32 |
                   memory.read_entry(address));
}

}  // namespace

// The pair that shows the address, with its half made from the walk's directory entry.
unsigned ShadowPaging::pae_child(GuestLinear linear, const Walk& walk, View view, bool dirty) {
  const EntryRead& upper = walk.entries[0];
  const unsigned index = upper.address.page_offset() / pae_entry_bytes;
  const unsigned child = find_or_make({upper.address.page_number(), ShadowKind::pae_pair, view,
                                       write_protect_, static_cast<std::uint8_t>(index / 2)});
  const bool large_dirty = upper.entry.large() && dirty;
  const std::uint32_t now =
      (upper.entry.low() & lasting) | page_bit::accessed | (large_dirty ? page_bit::dirty : 0);
  take_half(child * 2 + (linear.value() >> 21 & 1), now);
  return child;
}

// A root was perhaps made from other pointers than those that are latched now.
void ShadowPaging::adopt_pointers(unsigned root) {
  for (unsigned quarter = 0; quarter < 4; ++quarter) {
    const auto pointer = static_cast<std::uint32_t>(paging_.pdptes[quarter]);
    std::uint32_t& source = tables_[root].sources[quarter];
    if (source == pointer) continue;
    for (unsigned i = 0; i < entries_of_root; ++i) clear({root, quarter * entries_of_root + i});
    source = pointer;
  }
}

void ShadowPaging::take_half(unsigned half, std::uint32_t now) {
  const std::uint32_t before = source(half);
  if (before == now) return;
  const bool same = ((before ^ now) & lasting) == 0;
  const bool cleaned = (before & page_bit::dirty) && !(now & page_bit::dirty);
  if (before != 0 && (!same || cleaned)) drop_half(half);
  const bool hooked = source(half) != 0;
  source(half) = now;
  if (hooked || (now & page_bit::large)) return;

  const std::uint32_t frame = named_table(half);
  std::uint16_t& first = half_buckets_[bucket(frame)];
  next_half(half) = first;
  first = static_cast<std::uint16_t>(half);
  if (memory_.table().entry(GuestPhysical::of_page(frame)).watchers.has(Watcher::page_table))
    return;
  memory_.table().watch(GuestPhysical::of_page(frame), Watcher::page_table);
  write_protect(GuestPhysical::of_page(frame));
}

void ShadowPaging::drop_half(unsigned half) {
  const unsigned first = half % 2 * half_entries;
  for (unsigned i = 0; i < half_entries; ++i) clear({half / 2, first + i});
  unhook_half(half);
}

void ShadowPaging::unhook_half(unsigned half) {
  const std::uint32_t before = source(half);
  const std::uint32_t frame = named_table(half);
  source(half) = 0;
  if (before == 0 || (before & page_bit::large)) return;
  std::uint16_t* place = &half_buckets_[bucket(frame)];
  while (*place != half) place = &next_half(*place);
  *place = next_half(half);
  unwatch_unless_needed(frame);
}

// Page number of the page table that a half was made from.
std::uint32_t ShadowPaging::named_table(unsigned half) const {
  return tables_[half / 2].sources[half % 2] / page_size;
}

// Whether the guest's directory entry still says what the half was made from: A and D are set more
// often than an entry really changes.
bool ShadowPaging::half_stands(unsigned half) {
  const ShadowKey& key = tables_[half / 2].key;
  const unsigned index = key.pair * 2u + half % 2;
  const PageEntry now =
      entry_at(memory_, GuestPhysical::of_page(key.frame) + index * pae_entry_bytes);
  const bool cleaned = (source(half) & page_bit::dirty) && !now.dirty();
  return now.bits() >> 32 == 0 && now.accessed() && !cleaned &&
         ((now.low() ^ source(half)) & lasting) == 0;
}

bool ShadowPaging::names_pae_table(std::uint32_t frame) const {
  for (unsigned half = first_half(frame); half != 0; half = tables_[half / 2].next_half[half % 2]) {
    if (named_table(half) == frame) return true;
  }
  return false;
}

bool ShadowPaging::is_pae_directory(std::uint32_t frame) const {
  if (pair_counts_[bucket(frame)] == 0) return false;
  for (unsigned number = 1; number <= budget_; ++number) {
    const Table& table = tables_[number];
    if (table.used && table.key.kind == ShadowKind::pae_pair && table.key.frame == frame)
      return true;
  }
  return false;
}

bool ShadowPaging::pae_directory_in_use(std::uint32_t frame) const {
  if (paging_.mode != PagingMode::pae) return false;
  for (const std::uint64_t pointer : paging_.pdptes) {
    if (PageEntry(pointer).present() && PageEntry(pointer).frame() / page_size == frame)
      return true;
  }
  return false;
}

// A frame may be page table and directory at once.
void ShadowPaging::carry_pae_write(GuestPhysical address, unsigned bytes) {
  const std::uint32_t frame = address.page_number();
  const unsigned first = address.page_offset() / pae_entry_bytes;
  const unsigned last = (address.page_offset() + bytes - 1) / pae_entry_bytes;
  bool named = false;
  for (unsigned half = first_half(frame); half != 0; half = next_half(half)) {
    if (named_table(half) != frame) continue;
    named = true;
    for (unsigned index = first; index <= last; ++index) {
      clear({half / 2, half % 2 * half_entries + index});
    }
  }
  if (!named && !pae_directory_in_use(frame)) {
    if (frame != foreign_frame_) foreign_writes_ = 0;
    foreign_frame_ = frame;
    if (++foreign_writes_ > foreign_write_limit) return release_pairs(frame);
  }
  carry_pae_directory_write(frame, first, last);
}

void ShadowPaging::carry_pae_directory_write(std::uint32_t frame, unsigned first, unsigned last) {
  if (pair_counts_[bucket(frame)] == 0) return;
  for (unsigned index = first; index <= last; ++index) {
    for (const View view : {View::kernel, View::user}) {
      for (const bool wp : {false, true}) {
        const auto pair = static_cast<std::uint8_t>(index / 2);
        const unsigned table = find({frame, ShadowKind::pae_pair, view, wp, pair});
        const unsigned half = table * 2 + index % 2;
        if (table != 0 && source(half) != 0 && !half_stands(half)) drop_half(half);
      }
    }
  }
}

void ShadowPaging::release_pairs(std::uint32_t frame) {
  if (pair_counts_[bucket(frame)] == 0) return;
  for (unsigned number = 1; number <= budget_; ++number) {
    const Table& table = tables_[number];
    if (table.used && table.key.kind == ShadowKind::pae_pair && table.key.frame == frame)
      release(number);
  }
}

}  // namespace undercroft
