#include "frame_table.hpp"

namespace undercroft {

namespace {

// An entry as it lies in memory: the machine's page number in bits 31:12, or a place of withdrawn
// contents in bits 31:8; watchers in bits 7:4, stubborn in bit 3, the kind in bits 2:0. A zero
// entry is absent, without watchers.
struct StoredEntry {
  std::uint32_t frame_and_state;
  std::uint32_t reverse_map_head;
};
static_assert(sizeof(StoredEntry) == 8);

constexpr std::uint32_t kind_mask = 0x7;
constexpr std::uint32_t stubborn_bit = 1u << 3;
constexpr unsigned watchers_shift = 4;
constexpr std::uint32_t watchers_mask = 0xf;
constexpr std::uint32_t place_mask = ~0xffu;
static_assert(frame_kind_count <= kind_mask + 1);
static_assert((1u << watcher_count) - 1 == watchers_mask);
static_assert(static_cast<unsigned>(FrameKind::absent) == 0);

constexpr FrameKind kind_of(StoredEntry stored) {
  return static_cast<FrameKind>(stored.frame_and_state & kind_mask);
}
constexpr Watchers watchers_of(StoredEntry stored) {
  return Watchers(stored.frame_and_state >> watchers_shift & watchers_mask);
}
constexpr HostPhysical frame_of(StoredEntry stored) {
  return HostPhysical(stored.frame_and_state & place_mask);
}
constexpr std::uint32_t state_of(FrameKind kind, Watchers watchers, HostPhysical frame) {
  const std::uint32_t place = has_machine_frame(kind)        ? frame.page().value()
                              : kind == FrameKind::withdrawn ? frame.value() & place_mask
                                                             : 0;
  return place | watchers.bits() << watchers_shift | static_cast<unsigned>(kind);
}

}  // namespace

FrameEntry FrameTable::entry(GuestPhysical page) const {
  const HostPhysical table = directory_[page.page_number() / entries_per_frame];
  if (table == HostPhysical{}) return {};
  const MappedFrame mapped = slots_.map(table);
  const StoredEntry stored = mapped.as<StoredEntry>()[page.page_number() % entries_per_frame];
  return {kind_of(stored), watchers_of(stored), frame_of(stored), stored.reverse_map_head,
          (stored.frame_and_state & stubborn_bit) != 0};
}

std::optional<HostPhysical> FrameTable::host_frame(GuestPhysical address) const {
  const FrameEntry found = entry(address);
  if (!has_machine_frame(found.kind)) return std::nullopt;
  return found.frame + address.page_offset();
}

bool FrameTable::ensure(GuestPhysical page) {
  HostPhysical& table = directory_[page.page_number() / entries_per_frame];
  if (table != HostPhysical{}) return true;
  const auto frame = pool_.allocate_zeroed();
  if (!frame) return false;
  table = *frame;
  return true;
}

bool FrameTable::make_entries(std::uint64_t bytes) {
  constexpr std::uint64_t covered = std::uint64_t{entries_per_frame} * page_size;
  for (std::uint64_t address = 0; address < bytes; address += covered) {
    if (!ensure(GuestPhysical(static_cast<std::uint32_t>(address)))) return false;
  }
  return true;
}

bool FrameTable::set_frame(GuestPhysical page, FrameKind kind, HostPhysical frame) {
  if (!ensure(page)) return false;
  const MappedFrame mapped = slots_.map(directory_[page.page_number() / entries_per_frame]);
  StoredEntry& stored = mapped.as<StoredEntry>()[page.page_number() % entries_per_frame];
  stored.frame_and_state = state_of(kind, watchers_of(stored), frame);
  ++version_;
  return true;
}

bool FrameTable::watch(GuestPhysical page, Watcher watcher) {
  if (!ensure(page)) return false;
  const MappedFrame mapped = slots_.map(directory_[page.page_number() / entries_per_frame]);
  StoredEntry& stored = mapped.as<StoredEntry>()[page.page_number() % entries_per_frame];
  stored.frame_and_state |= Watchers().with(watcher).bits() << watchers_shift;
  ++version_;
  return true;
}

void FrameTable::unwatch(GuestPhysical page, Watcher watcher) {
  const HostPhysical table = directory_[page.page_number() / entries_per_frame];
  if (table == HostPhysical{}) return;
  const MappedFrame mapped = slots_.map(table);
  StoredEntry& stored = mapped.as<StoredEntry>()[page.page_number() % entries_per_frame];
  stored.frame_and_state &= ~(Watchers().with(watcher).bits() << watchers_shift);
}

bool FrameTable::set_reverse_map_head(GuestPhysical page, std::uint32_t head) {
  if (!ensure(page)) return false;
  const MappedFrame mapped = slots_.map(directory_[page.page_number() / entries_per_frame]);
  mapped.as<StoredEntry>()[page.page_number() % entries_per_frame].reverse_map_head = head;
  return true;
}

void FrameTable::set_stubborn(GuestPhysical page, bool stubborn) {
  const HostPhysical table = directory_[page.page_number() / entries_per_frame];
  if (table == HostPhysical{}) return;
  const MappedFrame mapped = slots_.map(table);
  StoredEntry& stored = mapped.as<StoredEntry>()[page.page_number() % entries_per_frame];
  stored.frame_and_state = (stored.frame_and_state & ~stubborn_bit) | (stubborn ? stubborn_bit : 0);
}

}  // namespace undercroft
