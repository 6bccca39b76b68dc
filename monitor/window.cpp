// Moving the window out of the guest's way (design section 2).
#include "monitor.hpp"
#include "window_layout.hpp"

namespace undercroft {
namespace {

constexpr unsigned slots = 1024;

}  // namespace

// To the nearest free slot below, going round. False: no slot is free, and the window stays.
bool Monitor::migrate_window() {
  const HostLinear old = processor_.window_base();
  const unsigned start = old.value() >> 22;
  for (unsigned distance = 1; distance < slots; ++distance) {
    const unsigned slot = (start - distance) % slots;
    if (slot == 0 || !slot_is_free(slot)) continue;
    const HostLinear base(slot << 22);
    shadow_.map_window_at(base);
    processor_.move_window(base);
    shadow_.unmap_window_at(old);
    view_.reset();
    ++statistics_.migrations;
    return true;
  }
  return false;
}

// Free: the guest maps nothing there, or only what is not memory.
bool Monitor::slot_is_free(unsigned slot) {
  const GuestLinear base(slot << 22);
  if (!vcpu_.paging()) return !is_memory(vm_.table.entry(GuestPhysical(base.value())).kind);
  const Walk walk = linear_.walk(base);
  return walk.result == WalkResult::not_present && walk.level == WalkLevel::directory;
}

}  // namespace undercroft
