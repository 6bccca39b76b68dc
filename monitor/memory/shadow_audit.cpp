// Whether the shadow tables let a guest reach only what it was given: asked at the end of a run by
// check=frames, and by tests.
#include "shadow.hpp"

namespace undercroft {

ShadowPaging::Audit ShadowPaging::audit() {
  Audit audit;
  for (unsigned number = 1; number <= budget_; ++number) {
    if (!tables_[number].used) continue;
    for (unsigned index = 0; index < 1024; ++index) {
      const ShadowEntryId id(number, index);
      const std::uint32_t value = entry(id);
      if (!(value & page_bit::present)) continue;
      ++audit.entries;
      audit.wrong += !is_right(id, value);
    }
  }
  return audit;
}

bool ShadowPaging::is_right(ShadowEntryId id, std::uint32_t value) {
  const ShadowKey& key = tables_[id.table()].key;
  const HostPhysical frame(value & ~page_mask);
  if (value & page_bit::large) return false;
  if (key.is_root()) {
    if (id.index() == window_index()) return value == processor_.window_entry(key.view);
    const Table& child = tables_[map_.list_of(id) - table_lists];
    return child.used && child.frames.entries == frame && child.key.view == key.view;
  }
  const FrameEntry shown = memory_.table().entry(GuestPhysical::of_page(map_.list_of(id)));
  if (!has_machine_frame(shown.kind) || shown.frame != frame) return false;
  return !(value & page_bit::writable) || (is_writable(shown.kind) && !shown.watchers.any());
}

}  // namespace undercroft
