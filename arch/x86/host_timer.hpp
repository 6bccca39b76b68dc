// Time on the host: the TSC, calibrated once against the 8254's channel 2, is the clock; channel 0
// is the alarm.
#pragma once

#include <cstdint>

#include "monitor/ports.hpp"

namespace undercroft::x86 {

class HostTimer final : public Clock {
 public:
  static constexpr unsigned irq = 0;

  void calibrate();  // takes 10 to 400 ms; uses channel 2 and port 0x61
  std::uint64_t now() override;
  std::uint64_t frequency() const { return frequency_; }  // of the TSC, Hz

  // One interrupt on line 0, `nanoseconds` from now; clamped to 1 us and 50 ms. A later call
  // replaces it.
  void set_alarm(std::uint64_t nanoseconds);

 private:
  std::uint64_t start_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t frequency_ = 1'000'000'000;
  std::uint32_t scale_ = 1u << 24;  // nanoseconds for each tick, 8.24 bits
};

}  // namespace undercroft::x86
