// Ticks of a periodic timer that came due while the guest was not run, and when it gets them: one
// between two that come by themselves, if it has ended the one before by then. So a guest that
// counts ticks catches up, at twice the speed at most, and one whose handler takes nearly a whole
// period gets no more of them than it would without. While any are owed, a tick that finds the last
// one not yet ended is owed too: otherwise one would wait at each handler's end, and a guest whose
// handler takes a whole period would do nothing else. It knows neither timers nor controllers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "device_ports.hpp"

namespace undercroft {

class LateTicks {
 public:
  static constexpr std::uint32_t most = 256;  // what comes on top is lost

  // `ticks` have come by themselves since the last look, the next is to come at `next`. Whether the
  // guest gets one now. Times are in nanoseconds.
  bool came(std::uint32_t ticks, bool ready, std::uint64_t now, std::uint64_t next) {
    const bool give = ready || (ticks == 1 && count_ == 0);
    count_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{count_} + ticks - (give ? 1 : 0), most));
    const bool later = ready && count_ != 0 && next != no_deadline;
    due_ = later ? now + (next - now) / 2 : no_deadline;
    return give;
  }
  // Whether to give one now. `ready`: the guest has ended the last and would take another.
  bool take(std::uint64_t now, bool ready) {
    if (now < due_) return false;
    due_ = no_deadline;  // until the next that comes by itself
    if (ready) --count_;
    return ready;
  }
  void forget() { *this = LateTicks{}; }

  bool any() const { return count_ != 0; }
  std::uint64_t next_deadline() const { return due_; }

 private:
  std::uint32_t count_ = 0;
  std::uint64_t due_ = no_deadline;
};

}  // namespace undercroft
