// Guest frames whose code is written and executed by turns. To translate it anew after each write
// would cost far more than to interpret it, so for a while it is interpreted, and the frame is not
// watched. It counts; what follows from a count is the monitor's.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

class ChurningFrames {
 public:
  // So many drops of translated code make a frame churn; so many instructions are interpreted from
  // there before translating is tried again, which half as many drops end.
  static constexpr unsigned most_drops = 8;
  static constexpr unsigned rest = 2000;

  // A write to the frame has dropped translated code. True: its code is to be interpreted from now
  // on.
  bool note_drop(std::uint32_t frame) {
    Entry& entry = entries_[frame % entries_.size()];
    if (entry.frame != frame) entry = {frame, 0, 0};
    if (++entry.drops < most_drops) return false;
    entry.resting = rest;
    return true;
  }

  // The next instruction is in the frame: whether it is to be interpreted.
  bool resting(std::uint32_t frame) {
    Entry& entry = entries_[frame % entries_.size()];
    if (entry.frame != frame || entry.resting == 0) return false;
    if (--entry.resting == 0) entry.drops = most_drops / 2;
    return true;
  }

 private:
  struct Entry {
    std::uint32_t frame = ~0u;
    std::uint16_t drops = 0;
    std::uint16_t resting = 0;  // instructions left
  };
  std::array<Entry, 64> entries_{};
};

}  // namespace undercroft
