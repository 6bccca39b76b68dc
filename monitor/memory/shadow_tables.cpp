// The shadow tables themselves: found by key, made, recycled within the budget, released; and which
// frames of the guest are watched for them.
#include <algorithm>
#include <cstring>

#include "shadow.hpp"

namespace undercroft {

unsigned ShadowPaging::find(const ShadowKey& key) const {
  unsigned table = buckets_[bucket(key)];
  while (table != 0 && tables_[table].key != key) table = tables_[table].next_in_bucket;
  return table;
}

unsigned ShadowPaging::find_or_make(const ShadowKey& key) {
  if (const unsigned found = find(key)) return found;
  const unsigned number = unused_table();
  Table& table = tables_[number];
  table.key = key;
  table.used = true;
  table.has_code = false;
  table.foreign_writes = 0;
  table.parents = 0;
  table.last_use = ++tick_;
  table.sources = {};
  table.next_in_bucket = buckets_[bucket(key)];
  buckets_[bucket(key)] = static_cast<std::uint16_t>(number);
  if (key.kind == ShadowKind::pae_pair) {
    ++pairs_;
    ++pair_counts_[bucket(key.frame)];
  }
  std::memset(memory_.slots().map(table.frames.entries).bytes(), 0, page_size);
  ++counts_.tables_made;
  if (key.from_guest_table()) {
    const auto frame = GuestPhysical::of_page(key.frame);
    memory_.table().watch(frame, Watcher::page_table);
    write_protect(frame);
  }
  return number;
}

unsigned ShadowPaging::unused_table() {
  for (;;) {
    for (unsigned number = 1; number <= budget_; ++number) {
      Table& table = tables_[number];
      if (!table.used && give_frames(table)) return number;
    }
    recycle_one();
  }
}

void ShadowPaging::take_frames() {
  for (unsigned number = 1; number <= budget_; ++number) {
    if (!give_frames(tables_[number])) return;
  }
}

// Frames stay with the table's number for good once it has them.
bool ShadowPaging::give_frames(Table& table) {
  if (table.frames.previous.value() != 0) return true;
  const auto entries = pool_.allocate();
  const auto next = pool_.allocate();
  const auto previous = pool_.allocate();
  if (!entries || !next || !previous) {
    for (const auto& frame : {entries, next, previous}) {
      if (frame) pool_.free(*frame);
    }
    return false;
  }
  table.frames = {*entries, *next, *previous};
  return true;
}

void ShadowPaging::recycle_one() {
  unsigned oldest = 0;
  for (unsigned number = 1; number <= budget_; ++number) {
    const Table& table = tables_[number];
    if (!table.used || in_use(number)) continue;
    if (oldest == 0 || tick_ - table.last_use > tick_ - tables_[oldest].last_use) oldest = number;
  }
  ++counts_.tables_recycled;
  release(oldest);
}

void ShadowPaging::detach_from_parents(unsigned table) {
  while (tables_[table].parents != 0) {
    const auto id = ShadowEntryId::from_value(tables_[table].parents);
    map_.remove(id);
    entry(id) = 0;
  }
}

// Code that the table shows is looked for anew where the table stands; if that is nowhere, clearing
// the entries drops it.
void ShadowPaging::report_slots(unsigned number) {
  Table& table = tables_[number];
  if (!table.has_code || table.parents == 0) return;
  auto parent = ShadowEntryId::from_value(table.parents);
  for (; !parent.none(); parent = map_.after(parent)) code_.code_slot_remapped(parent.index());
  table.has_code = false;
}

void ShadowPaging::release(unsigned number) {
  Table& table = tables_[number];
  table.used = false;  // first, since releasing a directory's children comes back here
  report_slots(number);
  detach_from_parents(number);
  {
    const auto entries = memory_.slots().map(table.frames.entries);
    for (unsigned index = 0; index < 1024; ++index) {
      if (entries.words()[index] & page_bit::present) clear({number, index});
    }
  }
  std::uint16_t* place = &buckets_[bucket(table.key)];
  while (*place != number) place = &tables_[*place].next_in_bucket;
  *place = table.next_in_bucket;
  require_flush(true);

  if (table.key.kind == ShadowKind::pae_pair) {
    --pairs_;
    --pair_counts_[bucket(table.key.frame)];
    for (const unsigned half : {number * 2, number * 2 + 1}) unhook_half(half);
  }
  if (table.key.from_guest_table()) unwatch_unless_needed(table.key.frame);
}

void ShadowPaging::unwatch_unless_needed(std::uint32_t frame) {
  if (watched_also(frame) || names_pae_table(frame) || is_pae_directory(frame)) return;
  for (unsigned other = buckets_[bucket(frame)]; other != 0;
       other = tables_[other].next_in_bucket) {
    const ShadowKey& key = tables_[other].key;
    if (key.frame == frame && key.from_guest_table()) return;
  }
  memory_.table().unwatch(GuestPhysical::of_page(frame), Watcher::page_table);
}

bool ShadowPaging::watched_also(std::uint32_t frame) const {
  return std::find(also_watched_.begin(), also_watched_.end(), frame) != also_watched_.end();
}

}  // namespace undercroft
