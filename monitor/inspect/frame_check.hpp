// check=frames: whether anything has written where nobody may while a guest runs. What must not
// change: the monitor's text and constants, the machine's memory below 1 MB (the firmware's) but
// for the video memory, and each frame of the pool for as long as it is free. What the monitor
// itself writes (its data, tables, frames handed out) has no sum; that the guest reaches none of it
// follows from the shadow tables, which are audited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "../memory/frame_pool.hpp"
#include "../memory/mapping_slots.hpp"
#include "../memory/shadow.hpp"
#include "../ports.hpp"

namespace undercroft {

class FrameCheck {
 public:
  // fixed: whole pages, mapped, that never change. Takes the sums.
  FrameCheck(MappingSlots& slots, FramePool& pool, std::span<const std::byte> fixed);

  // Takes them again, and says what differs; true if nothing does.
  bool passes(Console&, const ShadowPaging::Audit&);

 private:
  std::uint64_t fixed_sum() const;
  std::uint64_t firmware_sum() const;

  MappingSlots& slots_;
  FramePool& pool_;
  std::span<const std::byte> fixed_;
  std::uint64_t fixed_before_, firmware_before_;
};

}  // namespace undercroft
