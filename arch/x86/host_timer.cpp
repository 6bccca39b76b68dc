#include "host_timer.hpp"

#include <algorithm>

#include "instructions.hpp"
#include "pit.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t shortest_alarm = 1'000;
constexpr std::uint64_t longest_alarm = 50'000'000;
constexpr unsigned scale_bits = 24;
constexpr std::uint32_t power_timer_frequency = 3579545;  // ACPI 4.8.3.3
constexpr unsigned tries = 40;

// One part in a thousand is good enough.
bool is_good(const TickBounds& bounds) { return bounds.width() <= bounds.least / 1000; }

}  // namespace

void HostTimer::calibrate(std::uint16_t power_timer) {
  Pit::start_alarm(0xffff);  // ends the firmware's periodic tick
  const auto read_power_timer = [power_timer] { return port_in_32(power_timer); };
  const auto read_hpet = [this] { return hpet_.count(); };
  has_pit_ = measure_by_pit();
  if (!has_pit_ && !(hpet_.present() && measure_by_counter(read_hpet, ~0u, hpet_.frequency())) &&
      power_timer != 0) {
    measure_by_counter(read_power_timer, 0xffffff, power_timer_frequency);
  }
  start_ = read_time_stamp();
}

// What disturbs a measurement, such as a host that runs something else instead of us, widens its
// bounds; so the narrowest is taken.
bool HostTimer::measure_by_pit() {
  constexpr unsigned ticks = 11932;  // 10 ms
  TickBounds best;
  for (unsigned i = 0; i < tries && !is_good(best); ++i) {
    const auto bounds = Pit::measure(ticks);
    if (!bounds) return false;
    if (bounds->width() < best.width()) best = *bounds;
  }
  Pit::finish_measuring();
  set_frequency((best.least + best.width() / 2) * Pit::frequency / ticks);
  return true;
}

// The same by a counter that can be read at any time.
template <class Counter>
bool HostTimer::measure_by_counter(Counter read, std::uint32_t mask, std::uint32_t frequency) {
  constexpr std::uint64_t patience = 1'000'000'000;  // of the TSC
  const std::uint32_t wanted = frequency / 100;      // 10 ms
  TickBounds best;
  std::uint32_t best_count = 1;
  for (unsigned i = 0; i < tries && !is_good(best); ++i) {
    const std::uint64_t before_start = read_time_stamp();
    const std::uint32_t start = read();
    const std::uint64_t after_start = read_time_stamp();
    std::uint64_t before_end = after_start;
    std::uint32_t count = 0;
    while (count < wanted) {
      before_end = read_time_stamp();
      if (before_end - after_start > patience) return false;
      count = (read() - start) & mask;
    }
    const TickBounds bounds{before_end - after_start, read_time_stamp() - before_start};
    if (bounds.width() >= best.width()) continue;
    best = bounds;
    best_count = count;
  }
  set_frequency((best.least + best.width() / 2) * frequency / best_count);
  return true;
}

// Below 4 MHz the scale would not fit; no such processor has a TSC.
void HostTimer::set_frequency(std::uint64_t frequency) {
  frequency_ = std::max<std::uint64_t>(frequency, 4'000'000);
  scale_ = static_cast<std::uint32_t>((second << scale_bits) / frequency_);
}

std::uint64_t HostTimer::now() {
  const std::uint64_t ticks = read_time_stamp() - start_;
  const std::uint64_t high = (ticks >> 32) * scale_;
  const std::uint64_t low = (ticks & 0xffffffff) * scale_;
  last_ = std::max(last_, (high << (32 - scale_bits)) + (low >> scale_bits));
  return last_;
}

bool HostTimer::select_any() {
  return select(AlarmSource::pit) || select(AlarmSource::hpet) || select(AlarmSource::apic);
}

bool HostTimer::select(AlarmSource source) {
  switch (source) {
    case AlarmSource::none:
      return false;
    case AlarmSource::pit:
      if (!has_pit_) return false;
      alarm_frequency_ = Pit::frequency;
      break;
    case AlarmSource::hpet:
      if (!hpet_.has_alarm()) return false;
      hpet_.take_line_0();
      alarm_frequency_ = hpet_.frequency();
      break;
    case AlarmSource::apic:
      if (!apic_.present()) return false;
      alarm_frequency_ = measure_apic();
      break;
  }
  source_ = source;
  return true;
}

// Counts over 10 ms of the TSC.
std::uint64_t HostTimer::measure_apic() {
  constexpr std::uint32_t all = ~0u;
  const std::uint64_t wanted = frequency_ / 100;
  apic_.start_timer(all);
  const std::uint64_t start = read_time_stamp();
  while (read_time_stamp() - start < wanted) {
  }
  const std::uint32_t count = all - apic_.timer_count();
  const std::uint64_t took = read_time_stamp() - start;
  return std::max<std::uint64_t>(count * frequency_ / took, 1);
}

void HostTimer::set_alarm(std::uint64_t nanoseconds) {
  const std::uint64_t clamped =
      std::clamp<std::uint64_t>(nanoseconds, shortest_alarm, longest_alarm);
  const auto exact = static_cast<std::uint32_t>(clamped * alarm_frequency_ / second);
  const std::uint32_t ticks = std::max<std::uint32_t>(exact, 2);
  switch (source_) {
    case AlarmSource::none:
      return;
    case AlarmSource::pit:
      return Pit::start_alarm(ticks);
    case AlarmSource::hpet:
      return hpet_.start_alarm(ticks);
    case AlarmSource::apic:
      return apic_.start_timer(ticks);
  }
}

}  // namespace undercroft::x86
