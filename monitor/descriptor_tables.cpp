// The user view's descriptor images, kept like the guest's GDT and LDT. Only user code runs on the
// images, so nothing is done for them until it is next entered. Then small tables, which kernels
// rewrite at each switch of threads, are compared with what they held at the last entry; nobody
// watches their pages. Large tables, and those that user code can write to, are watched.
#include <span>

#include "monitor.hpp"

namespace undercroft {

void Monitor::descriptor_tables_changed(const Vcpu&) {
  return_known_ = false;
  tables_shared_ = false;
  forget_descriptors();
}

void Monitor::forget_descriptors() {
  for (unsigned i = 0; i < table_page_count_; ++i) {
    if (table_pages_[i].physical)
      vm_.table.unwatch(*table_pages_[i].physical, Watcher::descriptor_table);
  }
  table_page_count_ = 0;
  descriptors_current_ = false;
  tables_compared_ = false;
  segments_exact_ = false;
}

// Makes the images anew. The pages they were made from are write-protected once in any case, so
// that a write by user code is a fault.
void Monitor::refresh_descriptors() {
  forget_descriptors();
  descriptors_.refresh(vcpu_, linear_, processor_.window_base());
  processor_.set_ldt_entries(descriptors_.ldt_entries());
  tables_compared_ = !tables_shared_ && take_snapshot();
  std::array<GuestLinear, DescriptorShadow::max_pages> pages;
  table_page_count_ = descriptors_.pages(pages);
  for (unsigned i = 0; i < table_page_count_; ++i) {
    const Walk walk = linear_.walk(pages[i]);
    table_pages_[i] = {pages[i], std::nullopt};
    if (!walk.in_reach()) continue;
    table_pages_[i].physical = walk.address.page();
    if (!tables_compared_) vm_.table.watch(walk.address, Watcher::descriptor_table);
    shadow_.write_protect(walk.address.page());
  }
  descriptors_current_ = true;
  descriptor_writes_left_ = most_descriptor_writes;
}

// False: the tables are too large to be compared at each entry of user code, or not in memory.
bool Monitor::take_snapshot() {
  std::array<DescriptorShadow::Piece, DescriptorShadow::most_pieces> pieces;
  const unsigned count = descriptors_.pieces(pieces);
  if (count == 0) return false;
  snapshot_.clear();
  for (const auto& piece : std::span(pieces).first(count)) {
    const Walk walk = linear_.walk(piece.linear);
    if (!walk.in_reach() || !snapshot_.add(piece, walk.address, vm_.memory)) return false;
  }
  return true;
}

// Before an entry into user code: what the kernel has rewritten since the last one.
void Monitor::compare_descriptors() {
  tables_suspect_ = false;
  snapshot_.compare(vm_.memory, [this](GuestLinear address, unsigned bytes) {
    ++statistics_.descriptor_writes;
    segments_exact_ = false;
    descriptors_.written(linear_, address, bytes);
  });
}

// User code is about to write to a page of the tables: from now on each write counts.
void Monitor::note_user_write(GuestPhysical page) {
  if (!tables_compared_) return;
  for (unsigned i = 0; i < table_page_count_; ++i) {
    if (table_pages_[i].physical != page) continue;
    tables_shared_ = true;
    return refresh_descriptors();
  }
}

// After a change of address space: the tables' pages may be elsewhere.
void Monitor::check_descriptor_pages() {
  tables_written_ = false;
  for (unsigned i = 0; i < table_page_count_; ++i) {
    const Walk walk = linear_.walk(table_pages_[i].linear);
    const bool mapped = walk.in_reach();
    const auto& before = table_pages_[i].physical;
    if (mapped != before.has_value() || (mapped && *before != walk.address.page())) {
      return forget_descriptors();
    }
  }
}

// A page of tables that are watched.
void Monitor::written(GuestPhysical address, unsigned bytes) {
  ++statistics_.descriptor_writes;
  segments_exact_ = false;
  // Other things may stand on the page: after some writes it is cheaper to make the images anew.
  if (--descriptor_writes_left_ == 0) return forget_descriptors();
  for (unsigned i = 0; i < table_page_count_; ++i) {
    if (table_pages_[i].physical != address.page()) continue;
    descriptors_.written(linear_, table_pages_[i].linear.page() + address.page_offset(), bytes);
  }
}

}  // namespace undercroft
