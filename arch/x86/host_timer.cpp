#include "host_timer.hpp"

#include <algorithm>

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint64_t timer_frequency = 1193182;
constexpr std::uint16_t channel_0 = 0x40;
constexpr std::uint16_t channel_2 = 0x42;
constexpr std::uint16_t control = 0x43;
constexpr std::uint16_t gate_port = 0x61;  // bit 0: gate 2, bit 1: speaker, bit 5: OUT 2

constexpr std::uint64_t shortest_alarm = 1'000;
constexpr std::uint64_t longest_alarm = 50'000'000;
constexpr unsigned scale_bits = 24;
constexpr unsigned calibration_ticks = 11932;  // 10 ms

// How many TSC ticks channel 2 needs to count calibration_ticks down (mode 0: OUT rises at the
// end): somewhere between the two.
struct Bounds {
  std::uint64_t least = 0, most = ~std::uint64_t{0};

  std::uint64_t width() const { return most - least; }
};

Bounds measure() {
  port_out_8(gate_port, static_cast<std::uint8_t>((port_in_8(gate_port) & ~0x02u) | 0x01));
  port_out_8(control, 0xb0);
  port_out_8(channel_2, calibration_ticks & 0xff);
  const std::uint64_t before_start = read_time_stamp();
  port_out_8(channel_2, calibration_ticks >> 8);
  const std::uint64_t after_start = read_time_stamp();
  std::uint64_t before_end = after_start;  // a time at which OUT was still low
  for (;;) {
    const std::uint64_t before_reading = read_time_stamp();
    if (port_in_8(gate_port) & 0x20) break;
    before_end = before_reading;
  }
  return {before_end - after_start, read_time_stamp() - before_start};
}

}  // namespace

// What disturbs a measurement, such as a host that runs something else instead of us, widens its
// bounds; so the narrowest is taken, and one part in a thousand is good enough.
void HostTimer::calibrate() {
  constexpr unsigned tries = 40;
  set_alarm(longest_alarm);  // ends the firmware's periodic tick
  Bounds best;
  for (unsigned i = 0; i < tries && best.width() > best.least / 1000; ++i) {
    const Bounds bounds = measure();
    if (bounds.width() < best.width()) best = bounds;
  }
  const std::uint64_t ticks = best.least + best.width() / 2;
  port_out_8(gate_port, static_cast<std::uint8_t>(port_in_8(gate_port) & ~0x03u));
  frequency_ = ticks * timer_frequency / calibration_ticks;
  // Below 4 MHz the scale would not fit; no such processor has a TSC.
  frequency_ = std::max<std::uint64_t>(frequency_, 4'000'000);
  scale_ = static_cast<std::uint32_t>((1'000'000'000ull << scale_bits) / frequency_);
  start_ = read_time_stamp();
}

std::uint64_t HostTimer::now() {
  const std::uint64_t ticks = read_time_stamp() - start_;
  const std::uint64_t high = (ticks >> 32) * scale_;
  const std::uint64_t low = (ticks & 0xffffffff) * scale_;
  last_ = std::max(last_, (high << (32 - scale_bits)) + (low >> scale_bits));
  return last_;
}

void HostTimer::set_alarm(std::uint64_t nanoseconds) {
  const std::uint64_t clamped =
      std::clamp<std::uint64_t>(nanoseconds, shortest_alarm, longest_alarm);
  const auto ticks = static_cast<std::uint32_t>(clamped * timer_frequency / 1'000'000'000);
  const std::uint32_t count = std::max<std::uint32_t>(ticks, 2);
  port_out_8(control, 0x30);  // channel 0, both bytes, mode 0
  port_out_8(channel_0, static_cast<std::uint8_t>(count));
  port_out_8(channel_0, static_cast<std::uint8_t>(count >> 8));
}

}  // namespace undercroft::x86
