#include "hpet.hpp"

#include <algorithm>

#include "device_ports.hpp"

namespace undercroft {
namespace {

constexpr std::uint64_t nanoseconds_per_tick = 10;

// Section 2.3: offsets, and the bits of the registers. Low and high words are 4 apart.
constexpr unsigned capabilities = 0x000, configuration = 0x010, interrupt_status = 0x020,
                   main_counter = 0x0f0, first_timer = 0x100, timer_bytes = 0x20;
constexpr unsigned timer_configuration = 0x00, timer_routes = 0x04, timer_value = 0x08,
                   timer_value_high = 0x0c;

// Revision 1, three timers, 64 bits, legacy replacement, Intel; femtoseconds of a tick.
constexpr std::uint32_t capabilities_low = 0x8086a201;
constexpr std::uint32_t period_femtoseconds = nanoseconds_per_tick * 1'000'000;

constexpr std::uint32_t enable = 1u << 0, legacy_replacement = 1u << 1;

constexpr std::uint32_t by_level = 1u << 1, interrupts = 1u << 2, periodic = 1u << 3,
                        value_set = 1u << 6, narrow = 1u << 8;
constexpr unsigned route_shift = 9;
constexpr std::uint32_t route_mask = 0x1f << route_shift;
constexpr std::uint32_t timer_writable =
    by_level | interrupts | periodic | value_set | narrow | route_mask;
constexpr std::uint32_t timer_capable = 1u << 4 | 1u << 5;  // periodic, 64 bits
// Pin 2 of the I/O APIC, as on QEMU's pc.
constexpr std::uint32_t possible_routes = 1u << 2;

constexpr std::uint64_t with_half(std::uint64_t value, bool high, std::uint32_t half) {
  return high ? (value & 0xffffffff) | std::uint64_t{half} << 32
              : (value & ~std::uint64_t{0xffffffff}) | half;
}

}  // namespace

bool Hpet::counting() const { return (configuration_ & enable) != 0; }
bool Hpet::replaces_legacy() const { return (configuration_ & legacy_replacement) != 0; }

unsigned Hpet::route(unsigned timer) const {
  return (timers_[timer].configuration & route_mask) >> route_shift;
}

bool Hpet::level(unsigned timer) const {
  return timers_[timer].has(interrupts) && (status_ >> timer & 1) != 0;
}

std::uint32_t Hpet::take_edges(unsigned timer) {
  const std::uint32_t edges = timers_[timer].edges;
  timers_[timer].edges = 0;
  return edges;
}

std::uint64_t Hpet::counter(std::uint64_t now) const {
  if (!counting() || now <= start_) return counter_;
  return counter_ + (now - start_) / nanoseconds_per_tick;
}

// When the counter will be next at the comparator's value: a wide one that it has passed comes no
// more, a narrow one when its 32 bits have gone round.
void Hpet::find_match(Comparator& timer, std::uint64_t counted) const {
  if (timer.has(narrow)) {
    const auto ahead = static_cast<std::uint32_t>(timer.value - counted);
    timer.match = counted + (ahead == 0 ? std::uint64_t{1} << 32 : ahead);
  } else {
    timer.match = timer.value > counted ? timer.value : never;
  }
}

// Status is for levels only (2.3.5); it is set also if the interrupt is off.
void Hpet::matched(unsigned number, std::uint64_t counted) {
  Comparator& timer = timers_[number];
  std::uint64_t times = 1;
  if (!timer.has(periodic)) {
    timer.match = timer.has(narrow) ? timer.match + (std::uint64_t{1} << 32) : never;
  } else if (timer.period == 0) {
    timer.match = never;
  } else {
    const std::uint64_t behind = counted - timer.match;
    times += behind < timer.period ? 0 : behind / timer.period;
    timer.match += times * timer.period;
    timer.value = timer.match;
  }
  if (timer.has(by_level)) {
    status_ |= 1u << number;
  } else if (timer.has(interrupts)) {
    timer.edges += static_cast<std::uint32_t>(std::min<std::uint64_t>(times, 0x10000));
  }
}

void Hpet::advance(std::uint64_t now) {
  if (!counting()) return;
  const std::uint64_t counted = counter(now);
  for (unsigned i = 0; i < timer_count; ++i) {
    if (timers_[i].match <= counted) matched(i, counted);
  }
}

std::uint64_t Hpet::next_deadline() const {
  std::uint64_t first = never;
  if (!counting()) return no_deadline;
  for (const Comparator& timer : timers_) {
    if (timer.has(interrupts)) first = std::min(first, timer.match);
  }
  constexpr std::uint64_t far = std::uint64_t{1} << 58;  // nine years, and no overflow
  if (first == never || first - counter_ > far) return no_deadline;
  return start_ + (first - counter_) * nanoseconds_per_tick;
}

bool Hpet::depends_on_matches(unsigned offset) {
  return offset >= first_timer || (offset & ~7u) == interrupt_status;
}

bool Hpet::sets_up_ticks(unsigned offset) {
  return offset == configuration || (offset >= first_timer && offset < first_timer + timer_bytes);
}

std::uint32_t Hpet::read(unsigned offset, unsigned size, std::uint64_t now) const {
  const unsigned part = offset & 3;
  if (part + size > 4) return 0;
  return read_register(offset - part, now) >> 8 * part;
}

std::uint32_t Hpet::read_register(unsigned offset, std::uint64_t now) const {
  if (offset >= first_timer && offset < first_timer + timer_count * timer_bytes) {
    return read_comparator((offset - first_timer) / timer_bytes, offset % timer_bytes);
  }
  switch (offset) {
    case capabilities:
      return capabilities_low;
    case capabilities + 4:
      return period_femtoseconds;
    case configuration:
      return configuration_;
    case interrupt_status:
      return status_;
    case main_counter:
      return static_cast<std::uint32_t>(counter(now));
    case main_counter + 4:
      return static_cast<std::uint32_t>(counter(now) >> 32);
  }
  return 0;
}

std::uint32_t Hpet::read_comparator(unsigned number, unsigned offset) const {
  const Comparator& timer = timers_[number];
  switch (offset) {
    case timer_configuration:
      return timer.configuration | timer_capable;
    case timer_routes:
      return possible_routes;
    case timer_value:
      return static_cast<std::uint32_t>(timer.value);
    case timer_value_high:
      return timer.has(narrow) ? 0 : static_cast<std::uint32_t>(timer.value >> 32);
  }
  return 0;
}

void Hpet::write(unsigned offset, std::uint32_t value, std::uint64_t now) {
  if (offset >= first_timer && offset < first_timer + timer_count * timer_bytes) {
    const unsigned timer = (offset - first_timer) / timer_bytes;
    write_comparator(timer, offset % timer_bytes, value);
    return find_match(timers_[timer], counter(now));
  }
  switch (offset) {
    case configuration:
      return write_configuration(value, now);
    case interrupt_status:
      status_ &= ~value;
      return;
    case main_counter:
    case main_counter + 4:  // to be written while it stands (2.3.7)
      counter_ = with_half(counter(now), offset != main_counter, value);
      start_ = now;
      for (Comparator& timer : timers_) find_match(timer, counter_);
      return;
  }
}

void Hpet::write_configuration(std::uint32_t value, std::uint64_t now) {
  counter_ = counter(now);
  start_ = now;
  configuration_ = value & (enable | legacy_replacement);
}

// A route that is not possible is not taken over (2.3.8). What is written to a periodic comparator
// is its period; its value only by leave of the bit that each write takes back.
void Hpet::write_comparator(unsigned number, unsigned offset, std::uint32_t value) {
  Comparator& timer = timers_[number];
  if (offset == timer_configuration) {
    const bool possible = (possible_routes >> (value >> route_shift & 0x1f) & 1) != 0;
    const std::uint32_t kept = possible ? 0 : route_mask;
    timer.configuration = (value & timer_writable & ~kept) | (timer.configuration & kept);
    if (!timer.has(by_level)) status_ &= ~(1u << number);
  } else if (offset == timer_value || offset == timer_value_high) {
    const bool high = offset == timer_value_high;
    if (high && timer.has(narrow)) return;
    timer.period = with_half(timer.period, high, value);
    if (timer.has(narrow)) timer.period &= 0xffffffff;
    if (!timer.has(periodic) || timer.has(value_set)) {
      timer.value = with_half(timer.value, high, value);
    }
    timer.configuration &= ~value_set;
  }
}

}  // namespace undercroft
