// Moving the window out of the guest's way (design section 2): which slots are free, when the guest
// begins to use the window's, and what happens if it uses all of them.
//
// Accesses to the window's supervisor pages fault and are seen there; those to its user pages in
// the kernel view do not. So the window has to be out of the way before kernel code runs, and where
// it cannot be, kernel code is guarded.
#include <algorithm>

#include "monitor.hpp"
#include "window_layout.hpp"

namespace undercroft {
namespace {

constexpr unsigned slots = 1024;

// How far the entry reaches that ended the walk.
std::uint32_t bytes_of(const Walk& walk, PagingMode mode) {
  if (walk.mapped()) return walk.page_bytes;
  switch (walk.level) {
    case WalkLevel::pointer_table:
      return window::size;  // and further
    case WalkLevel::directory:
      return mode == PagingMode::pae ? window::size / 2 : window::size;
    case WalkLevel::table:
    case WalkLevel::no_tables:
      break;
  }
  return page_size;
}

}  // namespace

// To the nearest free slot below. False: no slot is free, and the window stays.
bool Monitor::migrate_window() {
  return migrate_window_below(processor_.window_base().value() >> 22);
}

// The search goes round, and once more for what takes longer to see.
bool Monitor::migrate_window_below(unsigned start) {
  const unsigned here = processor_.window_base().value() >> 22;
  for (const bool thorough : {false, true}) {
    for (unsigned distance = 1; distance < slots; ++distance) {
      const unsigned slot = (start - distance) % slots;
      if (slot == 0 || slot == here) continue;
      if (thorough ? slot_has_memory(slot) : !slot_is_unmapped(slot)) continue;
      move_window(HostLinear(slot << 22));
      return true;
    }
  }
  return false;
}

// window=hop:N. A few slots by turns: an emulator that translates, such as QEMU, begins anew with
// the monitor's code at each place it has not met yet, which takes longer than all the rest.
void Monitor::hop_window() {
  if (window_crowded_) return;  // until the directory changes
  constexpr unsigned places = 8;
  const bool again = ++hops_ % places == 0;
  if (again ? migrate_window_below(0) : migrate_window()) note_window_tables();
}

void Monitor::move_window(HostLinear base) {
  const HostLinear old = processor_.window_base();
  shadow_.map_window_at(base);
  processor_.move_window(base);
  shadow_.unmap_window_at(old);
  descriptors_.move_unmapped(base);
  for (unsigned s = 0; s < kernel_segments_.size(); ++s) note_guard_base(s);
  view_.reset();
  window_crowded_ = false;
  ++statistics_.migrations;
}

// Whether the guest's directory has nothing there, by the tables as they are now.
bool Monitor::slot_is_unmapped(unsigned slot) const {
  for (const std::uint32_t half : {0u, window::size / 2}) {  // PAE has an entry for each
    const Walk walk = linear_.walk(GuestLinear(slot << 22) + half);
    const bool nothing =
        walk.level == WalkLevel::no_tables
            ? vm_.table.entry(walk.address).kind == FrameKind::absent && !slot_has_device(slot)
            : walk.result == WalkResult::not_present && walk.level != WalkLevel::table;
    if (!nothing) return false;
    if (paging_mode_ != PagingMode::pae) break;
  }
  return true;
}

// Whether anything that answers is mapped there, memory or a device.
bool Monitor::slot_has_memory(unsigned slot) const {
  const GuestLinear base(slot << 22);
  for (std::uint32_t offset = 0; offset < window::size;) {
    const Walk walk = linear_.walk(base + offset);
    // A large page may begin with memory and end with none, but not the other way round.
    if (answers(walk)) return true;
    if (!vcpu_.paging()) return slot_has_device(slot);  // likewise
    offset += bytes_of(walk, paging_mode_);
  }
  return false;
}

// Device pages that stand by themselves.
bool Monitor::slot_has_device(unsigned slot) const {
  return std::ranges::any_of(vm_.pc.memory_ranges(), [slot](const MemoryRange& range) {
    return range.first.value() >> 22 == slot;
  });
}

bool Monitor::answers(const Walk& walk) const {
  return walk.in_reach() && vm_.table.entry(walk.address).kind != FrameKind::absent;
}

// Before the guest runs on: it may have begun to use the window's slot.
void Monitor::keep_window_clear() {
  window_suspect_ = false;
  // Most address spaces share what they have there.
  const HostLinear base = processor_.window_base();
  const ClearSlot now{base, paging_mode_, (vcpu_.cr4 & cr4::page_size_extensions) != 0,
                      slot_entries(GuestLinear(base.value()))};
  if (vcpu_.paging() && clear_slot_ == now) return note_window_tables();
  const unsigned slot = processor_.window_base().value() >> 22;
  const bool unmapped = slot_is_unmapped(slot);
  const bool wanted = !unmapped && slot_has_memory(slot);
  const bool crowded = wanted && !migrate_window();
  if (crowded && !window_crowded_) ++statistics_.crowded;
  window_crowded_ = crowded;
  if (crowded && !was_crowded_) {
    was_crowded_ = true;
    cache_.set_guarded(true);
    flush_code(CodeFlush::no_free_slot);
  }
  // Kernels that isolate their page tables change at each way in and out between a slot with tables
  // and one without, which needs no remembering.
  if (!unmapped || !vcpu_.paging()) {
    clear_slot_.reset();
    if (!wanted && vcpu_.paging()) clear_slot_ = now;
  }
  note_window_tables();
}

// What the guest has there has no shadow and would not be watched otherwise: the page table, or
// with PAE up to two and a directory that nothing else may be shown from; and the page tables of
// the slot that is remembered. (A large page that does not answer there is watched as well, since
// without CR4.PSE such an entry names a table.)
void Monitor::note_window_tables() {
  window_tables_.fill(no_table);
  const GuestLinear base(processor_.window_base().value());
  for (const unsigned half : {0u, 1u}) {
    const Walk walk = linear_.walk(base + half * (window::size / 2));
    if (walk.entry_count > 0) window_tables_[0] = walk.entries[0].address.page_number();
    if (walk.entry_count > 1) window_tables_[1 + half] = walk.entries[1].address.page_number();
    if (paging_mode_ != PagingMode::pae) break;
  }
  for (unsigned half = 0; clear_slot_ && half < 2; ++half) {
    const PageEntry entry(clear_slot_->entries[half]);
    if (entry.present()) window_tables_[3 + half] = entry.frame() / page_size;
  }
  shadow_.watch_also(window_tables_);
}

// A page table has been written: perhaps memory appears in the window's slot. Where no slot was
// free, any change of the directory may free one.
void Monitor::TableWrites::written(GuestPhysical address, unsigned bytes) {
  Monitor& m = monitor_;
  m.linear_.flush();
  m.tables_written_ = true;
  const std::uint32_t page = address.page_number();
  if (page == m.window_tables_[0]) {
    m.window_suspect_ = true;
  } else if (page == m.window_tables_[1] || page == m.window_tables_[2]) {
    m.clear_slot_.reset();
    m.window_suspect_ |= !m.window_crowded_ && m.any_entry_present(address, bytes);
  } else if (page == m.window_tables_[3] || page == m.window_tables_[4]) {
    m.clear_slot_.reset();
    m.window_suspect_ = true;
  }
}

// Of the page table entries that these bytes belong to.
bool Monitor::any_entry_present(GuestPhysical address, unsigned bytes) const {
  const unsigned size = paging_mode_ == PagingMode::pae ? 8 : 4;
  const GuestPhysical end = address + bytes;
  for (GuestPhysical at(address.value() & ~(size - 1)); at < end; at += size) {
    if (PageEntry(vm_.memory.read_entry(at)).present()) return true;
  }
  return false;
}

}  // namespace undercroft
