// What a hardware page fault of the guest means (design section 6): facts in, the row of the table
// out. It gathers no facts and acts on none; the monitor does both.
#pragma once

#include <cstdint>

#include "frame_kind.hpp"

namespace undercroft {

// What the guest's own tables say of the access.
enum class GuestTables : std::uint8_t { reserved_bit, not_present, not_permitted, allowed };

// What the guest gets where nothing answers: a floating bus, or a page fault.
enum class AbsentMemory : std::uint8_t { floats, faults };

struct PageFaultFacts {
  bool write = false;  // hardware error code, W
  // The processor's own access to a descriptor table (error code without U, though the guest runs
  // at ring 3), and CR2 in the window's GDT or LDT.
  bool in_descriptor_table = false;
  // Likewise, and CR2 in the window's page 0, where the user view shows task state segments.
  bool in_hidden_task = false;
  bool in_window = false;  // CR2 in the window's 4 MB
  GuestTables guest = GuestTables::not_present;
  // The rest holds only if the guest's tables map the address (not_permitted or allowed).
  FrameKind frame = FrameKind::absent;
  bool watched = false;        // any watcher stands on the frame
  bool hidden = false;         // the page of an armed breakpoint, which no shadow shows
  bool dirty = false;          // D of the guest's leaf entry; true without paging
  bool shadow_allows = false;  // the shadow entries now in memory allow this very access
  AbsentMemory absent = AbsentMemory::floats;
};

// One value per row of design section 6, in its order.
enum class PageFaultCause : std::uint8_t {
  descriptor_accessed,  // set A in guest table and image, retry
  task_wanted,          // user code goes to a TSS: emulate
  reserved_bit,         // inject #PF
  window_wanted,        // the guest maps memory where the window stands: migrate
  not_permitted,        // not present, or not for this CPL: inject #PF
  absent_floats,        // emulate: reads give all ones, writes vanish
  absent_faults,        // inject #PF
  device,               // emulate
  read_only_image,      // emulate: the write is dropped
  frame_not_given,      // withdrawn or not yet given: restore, then fill
  watched_write,        // emulate the write once, telling every watcher
  breakpoint_page,      // emulate: the interpreter sees what the access meets
  dirty_pending,        // set A and D, fill writable
  shadow_missing,       // set A, fill
  stale_translation,    // the TLB was behind: retry
};
inline constexpr unsigned page_fault_cause_count = 15;

enum class FaultAction : std::uint8_t { fill, emulate, inject, migrate, restore, retry };

// First match wins.
constexpr PageFaultCause classify(const PageFaultFacts& facts) {
  using enum PageFaultCause;
  const bool guest_maps =
      facts.guest == GuestTables::not_permitted || facts.guest == GuestTables::allowed;
  if (facts.in_descriptor_table && facts.write) return descriptor_accessed;
  if (facts.in_hidden_task) return task_wanted;
  if (facts.guest == GuestTables::reserved_bit) return reserved_bit;
  if (facts.in_window && guest_maps && is_memory(facts.frame)) return window_wanted;
  if (facts.guest != GuestTables::allowed) return not_permitted;
  if (facts.frame == FrameKind::absent)
    return facts.absent == AbsentMemory::floats ? absent_floats : absent_faults;
  if (facts.frame == FrameKind::device) return device;
  if (facts.frame == FrameKind::read_only_image && facts.write) return read_only_image;
  if (!has_machine_frame(facts.frame)) return frame_not_given;
  if (facts.write && facts.watched) return watched_write;
  if (facts.hidden) return breakpoint_page;
  if (facts.write && !facts.dirty) return dirty_pending;
  if (!facts.shadow_allows) return shadow_missing;
  return stale_translation;
}

constexpr FaultAction action_of(PageFaultCause cause) {
  switch (cause) {
    case PageFaultCause::descriptor_accessed:
      return FaultAction::retry;
    case PageFaultCause::task_wanted:
      return FaultAction::emulate;
    case PageFaultCause::reserved_bit:
      return FaultAction::inject;
    case PageFaultCause::window_wanted:
      return FaultAction::migrate;
    case PageFaultCause::not_permitted:
      return FaultAction::inject;
    case PageFaultCause::absent_floats:
      return FaultAction::emulate;
    case PageFaultCause::absent_faults:
      return FaultAction::inject;
    case PageFaultCause::device:
    case PageFaultCause::read_only_image:
      return FaultAction::emulate;
    case PageFaultCause::frame_not_given:
      return FaultAction::restore;
    case PageFaultCause::watched_write:
    case PageFaultCause::breakpoint_page:
      return FaultAction::emulate;
    case PageFaultCause::dirty_pending:
    case PageFaultCause::shadow_missing:
      return FaultAction::fill;
    case PageFaultCause::stale_translation:
      return FaultAction::retry;
  }
  return FaultAction::retry;
}

// For the log and the report.
const char* name_of(PageFaultCause);

}  // namespace undercroft
