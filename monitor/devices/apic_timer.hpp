// The local APIC's timer (SDM volume 3, 10.5.4): a count that goes down at the speed of a bus
// clock, divided, once or again and again. The bus clock is 1 GHz, so that a tick is a nanosecond.
// Nothing runs between accesses: the count is computed from the time. What an expiry means is the
// local APIC's business.
#pragma once

#include <cstdint>

namespace undercroft {

class ApicTimer {
 public:
  // All times in nanoseconds. A count of 0 stops the timer.
  void set_count(std::uint32_t initial, std::uint64_t now);
  void set_divide(std::uint32_t configuration, std::uint64_t now);
  void set_periodic(bool periodic, std::uint64_t now);

  std::uint32_t initial_count() const { return initial_; }
  std::uint32_t current_count(std::uint64_t now) const;
  std::uint32_t divide_configuration() const { return divide_configuration_; }

  // How often the count has reached 0 since this was last asked.
  std::uint32_t take_expiries(std::uint64_t now);
  // When it will next; no_deadline if it will not.
  std::uint64_t next_expiry() const;

 private:
  std::uint64_t period() const { return std::uint64_t{initial_} << divide_shift_; }
  void settle(std::uint64_t now);
  std::uint64_t elapsed(std::uint64_t now) const { return now > start_ ? now - start_ : 0; }

  bool running_ = false;
  bool periodic_ = false;
  std::uint8_t divide_configuration_ = 0;
  std::uint8_t divide_shift_ = 1;
  std::uint32_t initial_ = 0;
  std::uint32_t expiries_ = 0;  // not yet taken
  std::uint64_t start_ = 0;     // when the count was the initial one
};

}  // namespace undercroft
