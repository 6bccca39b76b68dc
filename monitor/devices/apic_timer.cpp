#include "apic_timer.hpp"

#include <algorithm>

#include "device_ports.hpp"

namespace undercroft {
namespace {

// Bits 3, 1 and 0 of the divide configuration register (figure 10-10): 2, 4 ... 128, 1.
constexpr std::uint8_t shift_of(std::uint32_t configuration) {
  const unsigned bits = (configuration & 3) | (configuration >> 1 & 4);
  return static_cast<std::uint8_t>(bits == 7 ? 0 : bits + 1);
}

}  // namespace

// Accounts for what has happened up to `now`, so that start_ is the beginning of the count under
// way. Most often at most one period has passed, and nothing is divided.
void ApicTimer::settle(std::uint64_t now) {
  if (!running_ || elapsed(now) < period()) return;
  if (!periodic_) {
    running_ = false;
    ++expiries_;
    return;
  }
  const std::uint64_t passed = elapsed(now);
  // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): only with a count does it run
  const std::uint64_t periods = passed < 2 * period() ? 1 : passed / period();
  start_ += periods * period();
  expiries_ += static_cast<std::uint32_t>(std::min<std::uint64_t>(periods, 0x10000));
}

void ApicTimer::set_count(std::uint32_t initial, std::uint64_t now) {
  settle(now);
  initial_ = initial;
  start_ = now;
  running_ = initial != 0;
}

// The count goes on from where it is, at the new speed.
void ApicTimer::set_divide(std::uint32_t configuration, std::uint64_t now) {
  settle(now);
  const std::uint64_t counted = elapsed(now) >> divide_shift_;
  divide_configuration_ = configuration & 0x0b;
  divide_shift_ = shift_of(configuration);
  const std::uint64_t counted_now = counted << divide_shift_;
  start_ = now > counted_now ? now - counted_now : 0;
}

void ApicTimer::set_periodic(bool periodic, std::uint64_t now) {
  settle(now);
  periodic_ = periodic;
}

std::uint32_t ApicTimer::current_count(std::uint64_t now) const {
  ApicTimer then = *this;
  then.settle(now);
  if (!then.running_) return 0;
  return initial_ - static_cast<std::uint32_t>(then.elapsed(now) >> divide_shift_);
}

std::uint32_t ApicTimer::take_expiries(std::uint64_t now) {
  settle(now);
  const std::uint32_t expiries = expiries_;
  expiries_ = 0;
  return expiries;
}

std::uint64_t ApicTimer::next_expiry() const {
  if (expiries_ != 0) return start_;
  return running_ ? start_ + period() : no_deadline;
}

}  // namespace undercroft
