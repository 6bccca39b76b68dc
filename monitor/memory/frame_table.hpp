// What stands at each guest-physical page: the kind, the machine frame behind it, and who watches
// it (design section 3). The one crossing from GuestPhysical to HostPhysical. Entries live in
// frames of the pool, made when first set; a page without an entry is absent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "../address.hpp"
#include "frame_kind.hpp"
#include "frame_pool.hpp"
#include "mapping_slots.hpp"

namespace undercroft {

struct FrameEntry {
  FrameKind kind = FrameKind::absent;
  Watchers watchers{};
  // If has_machine_frame(kind): the machine frame. If withdrawn: where the contents are kept, a
  // multiple of 256, or 0 if they are zero.
  HostPhysical frame{};
  std::uint32_t reverse_map_head = 0;  // the shadow's; 0 in a fresh entry
  bool stubborn = false;               // did not pack when it was to be withdrawn
};

// About 8 KB: not for the stack.
class FrameTable {
 public:
  FrameTable(MappingSlots& slots, FramePool& pool) : slots_(slots), pool_(pool) {}

  // Makes the (absent) entries of [0, bytes) at once. Those made one by one lie among the frames
  // that the guest gets meanwhile, and a machine that has its own memory by need and in large
  // pieces, such as an emulated one, then has to find all of it at the start.
  bool make_entries(std::uint64_t bytes);

  FrameEntry entry(GuestPhysical) const;

  // The machine's address of a guest-physical byte, if memory stands there now.
  std::optional<HostPhysical> host_frame(GuestPhysical) const;

  // Setters keep the entry's other fields. They return false if the pool has no frame left for the
  // table itself, and have changed nothing then. frame is as in FrameEntry.
  bool set_frame(GuestPhysical page, FrameKind, HostPhysical frame = {});
  bool watch(GuestPhysical page, Watcher);
  void unwatch(GuestPhysical page, Watcher);
  bool set_reverse_map_head(GuestPhysical page, std::uint32_t head);
  // For a page that has an entry. set_frame says that it is not.
  void set_stubborn(GuestPhysical page, bool stubborn);

  // Changes whenever a cached right to reach a frame directly may have ended: a frame or kind was
  // changed, or a watcher added.
  std::uint32_t version() const { return version_; }

 private:
  static constexpr std::uint32_t entries_per_frame = page_size / 8;
  static constexpr std::uint32_t table_frames = 0x100000 / entries_per_frame;
  bool ensure(GuestPhysical page);

  MappingSlots& slots_;
  FramePool& pool_;
  std::array<HostPhysical, table_frames> directory_{};  // 0: not made yet
  std::uint32_t version_ = 0;
};

}  // namespace undercroft
