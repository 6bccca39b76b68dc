// The machine frames that the monitor hands out, 4 KB each, from the boot memory map. It knows
// which are free, not what they are used for. Fresh frames come from ranges, freed ones from a list
// that is threaded through the frames themselves, so that start-up touches no memory and none is
// needed for book-keeping.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "../address.hpp"
#include "mapping_slots.hpp"

namespace undercroft {

// Depends on the place too, so that two frames that change places are noticed.
std::uint64_t page_checksum(std::uint32_t place, const std::byte* page);

class FramePool {
 public:
  explicit FramePool(MappingSlots& slots) : slots_(slots) {}

  // Keeps [start, start + bytes) out of ranges added later: the monitor's image, boot modules.
  // Rounded outwards to frames. False if the table of reservations is full.
  bool reserve_range(HostPhysical start, std::uint64_t bytes);

  // Adds usable memory, rounded inwards to frames, without what is reserved. Frame 0 is left out,
  // and what lies above 4 GB. False if some of it had to be left out since the table of ranges is
  // full. Ranges must not overlap one another.
  bool add_range(HostPhysical start, std::uint64_t bytes);

  // Contents are undefined. Empty if no frame is left.
  std::optional<HostPhysical> allocate();
  std::optional<HostPhysical> allocate_zeroed();

  // Any frame that nobody uses any more, also one from a reserved range.
  void free(HostPhysical frame);

  std::uint32_t free_frames() const { return free_frames_; }

  // From now on free frames have a sum, kept up to date as they come and go; check says whether it
  // still holds: nobody has written to a frame while it was free. Slow: reads each free frame.
  void begin_check();
  bool check() const;

 private:
  struct Range {
    std::uint32_t first = 0, end = 0;  // page numbers, half open
  };
  bool add_pages(std::uint32_t first, std::uint32_t end);
  std::optional<HostPhysical> take();
  std::uint64_t sum_of_free() const;
  std::uint64_t sum_of(HostPhysical frame) const {
    return page_checksum(frame.page_number(), slots_.map(frame).bytes());
  }

  MappingSlots& slots_;
  std::array<Range, 32> reserved_{};
  std::array<Range, 64> ranges_{};
  unsigned reserved_count_ = 0;
  unsigned range_count_ = 0;
  unsigned current_ = 0;     // the range that allocate takes from
  std::uint32_t freed_ = 0;  // page number of the first freed frame; 0 ends the list
  std::uint32_t free_frames_ = 0;
  bool checking_ = false;
  std::uint64_t sum_ = 0;  // of the free frames, if checking_
};

}  // namespace undercroft
