#include "shadow.hpp"

#include <algorithm>

namespace undercroft {
namespace {

// Bits that every present shadow entry has: A and D are set, so that the processor writes neither.
constexpr std::uint32_t base_rights =
    page_bit::present | page_bit::user | page_bit::accessed | page_bit::dirty;
// What the processor makes of it is arch/x86's affair: write-combining where it has a PAT, else
// what the machine's MTRRs say (SDM volume 3, 12.5.2.1, 12.12.4).
constexpr std::uint32_t write_combining = page_bit::write_through;
// Free for software: translated code comes from the page behind this entry.
constexpr std::uint32_t code_mark = 1u << 9;
// Of a directory entry: the guest's is open to user code. The kernel view makes no difference, but
// user code that was translated must be forgotten when this changes.
constexpr std::uint32_t user_mark = 1u << 10;

}  // namespace

ShadowEntryId ShadowPaging::ListStorage::head(std::uint32_t list) const {
  if (list >= table_lists) {
    return ShadowEntryId::from_value(shadow.tables_[list - table_lists].parents);
  }
  return ShadowEntryId::from_value(
      shadow.memory_.table().entry(GuestPhysical::of_page(list)).reverse_map_head);
}

void ShadowPaging::ListStorage::set_head(std::uint32_t list, ShadowEntryId id) {
  if (list >= table_lists) {
    shadow.tables_[list - table_lists].parents = id.value();
  } else {
    shadow.memory_.table().set_reverse_map_head(GuestPhysical::of_page(list), id.value());
  }
}

void ShadowPaging::set_budget(unsigned tables) {
  budget_ = tables < 64 ? 64 : tables > most_tables ? most_tables : tables;
}

void ShadowPaging::use(const Paging& paging, bool write_protect) {
  paging_ = paging;
  write_protect_ = write_protect;
  current_ = {};
  space_changed_ = true;
}

HostPhysical ShadowPaging::root(View view) {
  unsigned& current = current_[static_cast<unsigned>(view)];
  if (current == 0) {
    current = make_root(view);
    tables_[current].foreign_writes = 0;
    entry({current, window_index()}) = processor_.window_entry(view);
  }
  tables_[current].last_use = ++tick_;
  return tables_[current].frames.entries;
}

unsigned ShadowPaging::make_root(View view) {
  const std::uint32_t frame = paging_.root.page_number();
  switch (paging_.mode) {
    case PagingMode::none:  // there is one; frame number 0xfffff is no guest's
      return find_or_make({0xfffff, ShadowKind::directory, view, write_protect_});
    case PagingMode::two_level:
      return find_or_make({frame, ShadowKind::directory, view, write_protect_});
    case PagingMode::two_level_large:
      return find_or_make({frame, ShadowKind::directory_large, view, write_protect_});
    case PagingMode::pae:
      break;
  }
  const std::uint32_t pointers = paging_.root.value() / pae_pointer_table_bytes;
  const unsigned root = find_or_make({pointers, ShadowKind::pae_root, view, write_protect_});
  adopt_pointers(root);
  return root;
}

ShadowKey ShadowPaging::child_key(GuestLinear linear, const Walk& walk, View view,
                                  bool dirty) const {
  switch (walk.level) {
    case WalkLevel::no_tables:
      return {linear.value() >> 22 << 10, ShadowKind::identity, view, write_protect_};
    case WalkLevel::directory:
      return {walk.address.page_number() & ~0x3ffu,
              dirty ? ShadowKind::large_dirty : ShadowKind::large_clean, view, write_protect_};
    case WalkLevel::table:
    case WalkLevel::pointer_table:
      break;
  }
  return {walk.leaf().address.page_number(), ShadowKind::table, view, write_protect_};
}

bool ShadowPaging::fill(GuestLinear linear, const Walk& walk, View view, bool dirty) {
  if (!has_machine_frame(memory_.table().entry(walk.address).kind)) return false;
  if (linear.value() >> 22 == window_index() || hides(linear)) return false;
  root(view);
  const unsigned directory = current_[static_cast<unsigned>(view)];
  const bool pae = paging_.mode == PagingMode::pae;
  const unsigned child = pae ? pae_child(linear, walk, view, dirty)
                             : find_or_make(child_key(linear, walk, view, dirty));
  // Only now: the page may be one of the tables, which has got its watcher just here.
  const FrameEntry frame = memory_.table().entry(walk.address);

  // With CR0.WP clear, a supervisor writes what it likes. The two halves of a PAE pair differ in
  // their directory's rights, so these are in the leaf entries.
  const bool any_write = view == View::kernel && !write_protect_;
  const bool by_table = walk.level == WalkLevel::table && !pae;
  const bool directory_writable =
      walk.level == WalkLevel::no_tables || pae || any_write || walk.entries[0].entry.writable();
  const bool page_writable = any_write || (by_table ? walk.leaf().entry.writable() : walk.writable);
  const bool may_write = page_writable && dirty && !frame.watchers.any() && is_writable(frame.kind);

  link(directory, linear.value() >> 22, child,
       base_rights | (directory_writable ? page_bit::writable : 0) |
           (walk.level != WalkLevel::no_tables && walk.entries[0].entry.user() ? user_mark : 0));

  const ShadowEntryId id(child, linear.value() >> 12 & 0x3ff);
  std::uint32_t value = frame.frame.page().value() | base_rights;
  if (may_write) value |= page_bit::writable;
  if (same_in_both_views(walk)) {
    value |= page_bit::global;
    globals_made_ = true;
  }
  if (frame.kind == FrameKind::framebuffer) value |= write_combining;
  if (frame.watchers.has(Watcher::translated_code)) {
    value |= code_mark;
    tables_[child].has_code = true;
  }
  const std::uint32_t old = entry(id);
  if ((old ^ value) & ~page_mask || !(old & page_bit::present)) {
    if (old & page_bit::present) clear(id);
    map_.insert(walk.address.page_number(), id);
  }
  entry(id) = value;
  tables_[child].last_use = tick_;
  ++counts_.fills;
  if (!hides_any_) return true;
  clear_hidden(view);  // the table may stand at a hidden page's place, too
  return entry(id) == value;
}

void ShadowPaging::hide(const HiddenPages& pages) {
  hidden_ = pages;
  hides_any_ = pages != HiddenPages{no_page, no_page, no_page, no_page};
  if (!hides_any_) return;
  for (const View view : {View::kernel, View::user}) {
    if (current_[static_cast<unsigned>(view)] != 0) clear_hidden(view);
  }
}

// In the address space in use; in others when they are loaded.
void ShadowPaging::clear_hidden(View view) {
  const unsigned directory = current_[static_cast<unsigned>(view)];
  for (const std::uint32_t page : hidden_) {
    const unsigned slot = page >> 10;
    if (page == no_page || slot == window_index()) continue;
    const ShadowEntryId upper(directory, slot);
    if (!(entry(upper) & page_bit::present)) continue;
    clear({map_.list_of(upper) - table_lists, page & 0x3ff});
  }
}

void ShadowPaging::load(View view) {
  const HostPhysical directory = root(view);
  if (hides_any_) clear_hidden(view);
  loaded_ = current_[static_cast<unsigned>(view)];
  processor_.load_root(directory);
  // That has flushed what is not global. Also for a guest's load of the value that CR3 had, all
  // that the guest may not have marked as global has to go, and what it has may go.
  if (globals_made_ && (global_flush_due_ || space_changed_)) processor_.flush_all();
  flush_due_ = global_flush_due_ = space_changed_ = false;
}

// With CR0.WP clear, the kernel may write what the user may not. Without paging there is hardly
// anything to share.
bool ShadowPaging::same_in_both_views(const Walk& walk) const {
  return walk.user && write_protect_ && paging_.mode != PagingMode::none;
}

bool ShadowPaging::allows(GuestLinear linear, View view, bool write) {
  root(view);
  const std::uint32_t needed = page_bit::present | (write ? page_bit::writable : 0);
  const unsigned directory = current_[static_cast<unsigned>(view)];
  const std::uint32_t upper = entry({directory, linear.value() >> 22});
  if ((upper & needed) != needed) return false;
  const auto table = memory_.slots().map(HostPhysical(upper & ~page_mask));
  return (table.words()[linear.value() >> 12 & 0x3ff] & needed) == needed;
}

void ShadowPaging::link(unsigned directory, unsigned index, unsigned child, std::uint32_t rights) {
  const ShadowEntryId id(directory, index);
  const std::uint32_t value = tables_[child].frames.entries.value() | rights;
  const std::uint32_t old = entry(id);
  if (old == value) return;
  const bool same_child = (old & page_bit::present) && (old & ~page_mask) == (value & ~page_mask);
  if (!same_child) {
    clear(id);
    map_.insert(table_lists + child, id);
  }
  entry(id) = value;
}

void ShadowPaging::clear(ShadowEntryId id) {
  const std::uint32_t old = entry(id);
  if (!(old & page_bit::present)) return;
  ++counts_.entries_cleared;
  if (tables_[id.table()].key.is_root()) {
    if (id.index() != window_index()) unlink_child(id);
  } else {
    clear_leaf(id, old);
  }
}

void ShadowPaging::clear_leaf(ShadowEntryId id, std::uint32_t old) {
  const bool code = old & code_mark;
  const std::uint32_t frame = code ? map_.list_of(id) : 0;
  map_.remove(id);
  entry(id) = 0;
  require_flush(old & page_bit::global);
  if (code && tables_[id.table()].has_code) {
    code_.code_frame_remapped(GuestPhysical::of_page(frame));
  }
}

void ShadowPaging::unlink_child(ShadowEntryId id) {
  const unsigned child = map_.list_of(id) - table_lists;
  map_.remove(id);
  entry(id) = 0;
  require_flush(true);
  Table& table = tables_[child];
  // A page table that no directory names is about to become something else.
  const bool over = table.parents == 0 && table.key.kind == ShadowKind::table;
  // Elsewhere than in the present address space it does not matter: a switch checks what it finds.
  if (table.has_code && (over || in_use(id.table()))) code_.code_slot_remapped(id.index());
  if (!over) return;
  table.has_code = false;
  release(child);
}

void ShadowPaging::write_protect(GuestPhysical frame) {
  ++counts_.protections;
  const bool code = memory_.table().entry(frame).watchers.has(Watcher::translated_code);
  ShadowEntryId id = storage_.head(frame.page_number());
  while (!id.none()) {
    std::uint32_t& shadow = entry(id);
    if (shadow & page_bit::writable) {
      shadow &= ~page_bit::writable;
      require_flush(shadow & page_bit::global);
    }
    if (code) {
      shadow |= code_mark;
      tables_[id.table()].has_code = true;
    }
    id = map_.after(id);
  }
}

void ShadowPaging::unmap(GuestPhysical frame) {
  for (;;) {
    const ShadowEntryId id = storage_.head(frame.page_number());
    if (id.none()) break;
    clear(id);
  }
}

void ShadowPaging::written(GuestPhysical address, unsigned bytes) {
  ++counts_.table_writes;
  const unsigned first = address.page_offset() / 4;
  const unsigned last = (address.page_offset() + bytes - 1) / 4;
  if (pairs_ != 0) carry_pae_write(address, bytes);
  // Listed first, since clearing entries may release tables. There are three kinds, two views, and
  // CR0.WP.
  std::array<std::uint16_t, 12> shadows{};
  unsigned count = 0;
  const std::uint32_t frame = address.page_number();
  for (std::uint16_t table = buckets_[bucket(frame)]; table != 0;
       table = tables_[table].next_in_bucket) {
    const ShadowKey& key = tables_[table].key;
    if (key.frame == frame && key.is_two_level()) shadows[count++] = table;
  }
  for (unsigned i = 0; i < count; ++i) {
    if (tables_[shadows[i]].used) carry_write(shadows[i], first, last);
  }
}

void ShadowPaging::carry_write(unsigned number, unsigned first, unsigned last) {
  Table& table = tables_[number];
  const bool foreign = table.key.is_directory() && !in_use(number);
  if (foreign && ++table.foreign_writes > foreign_write_limit) return release(number);
  for (unsigned index = first; index <= last; ++index) {
    if (!table.key.is_directory() || !still_stands({number, index})) {
      clear({number, index});
    }
  }
}

// Whether a directory entry is what linking anew after the guest's write would make of it: A and D
// are set more often than a directory really changes.
bool ShadowPaging::still_stands(ShadowEntryId id) {
  const ShadowKey& key = tables_[id.table()].key;
  const PageEntry now(memory_.read_entry(GuestPhysical::of_page(key.frame) + id.index() * 4));
  if (!now.present() || !now.accessed() || (key.view == View::user && !now.user())) return false;
  const bool large = now.large() && key.kind == ShadowKind::directory_large;
  const ShadowKind kind = !large        ? ShadowKind::table
                          : now.dirty() ? ShadowKind::large_dirty
                                        : ShadowKind::large_clean;
  const unsigned child = find({now.frame() / page_size, kind, key.view, key.write_protect});
  const bool writable = now.writable() || (key.view == View::kernel && !key.write_protect);
  const std::uint32_t expected =
      base_rights | (writable ? page_bit::writable : 0) | (now.user() ? user_mark : 0);
  return child != 0 && entry(id) == (tables_[child].frames.entries.value() | expected);
}

void ShadowPaging::watch_also(const AlsoWatched& frames) {
  if (frames == also_watched_) return;
  const AlsoWatched before = also_watched_;
  also_watched_ = frames;
  for (const std::uint32_t frame : before) {
    if (frame != no_frame) unwatch_unless_needed(frame);
  }
  for (const std::uint32_t frame : frames) {
    if (frame == no_frame || std::find(before.begin(), before.end(), frame) != before.end())
      continue;
    memory_.table().watch(GuestPhysical::of_page(frame), Watcher::page_table);
    write_protect(GuestPhysical::of_page(frame));
  }
}

void ShadowPaging::map_window_at(HostLinear base) {
  for (unsigned number = 1; number <= budget_; ++number) {
    const Table& table = tables_[number];
    if (!table.used || !table.key.is_root()) continue;
    const ShadowEntryId id(number, base.value() >> 22);
    clear(id);
    entry(id) = processor_.window_entry(table.key.view);
  }
}

void ShadowPaging::unmap_window_at(HostLinear base) {
  for (unsigned number = 1; number <= budget_; ++number) {
    const Table& table = tables_[number];
    if (!table.used || !table.key.is_root()) continue;
    entry({number, base.value() >> 22}) = 0;
  }
}

}  // namespace undercroft
