#include "timer.hpp"

#include <algorithm>

#include "device_ports.hpp"

namespace undercroft {
namespace {

constexpr std::int64_t counter_range(bool bcd) { return bcd ? 10000 : 0x10000; }

constexpr std::uint16_t to_bcd(std::uint32_t value) {
  return static_cast<std::uint16_t>(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
                                    value / 1000 % 10 << 12);
}

constexpr std::uint32_t from_bcd(std::uint32_t value) {
  return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 +
         (value >> 12 & 15) * 1000;
}

}  // namespace

std::int64_t TimerChannel::elapsed(std::int64_t now) const {
  return counting_ ? now - start_ : held_;
}

// Modes 0 and 1 end with the count; the strobe of modes 4 and 5 is low for one more clock.
std::int64_t TimerChannel::one_shot_edge() const {
  return start_ + count_ + (mode_ == 4 || mode_ == 5 ? 1 : 0);
}

std::int64_t TimerChannel::edges_until(std::int64_t tick) const {
  if (periodic()) return std::max<std::int64_t>(tick - start_, 0) / count_;
  return tick >= one_shot_edge() ? 1 : 0;
}

void TimerChannel::start(std::int64_t at) {
  count_ = next_count_;
  start_ = at;
  held_ = 0;
  started_ = true;
  counting_ = true;
  pending_ = false;
}

// The written count takes over at the end of the period (mode 2) or half period (mode 3). In the
// latter case the cycle is dated back so that its second half begins now.
void TimerChannel::adopt_pending() {
  const bool end_of_high = mode_ == 3 && (pending_at_ - start_) % count_ != 0;
  start(pending_at_);
  if (end_of_high) start_ -= high_part();
}

// Accounts for all edges up to `now`, before anything changes.
void TimerChannel::settle(std::int64_t now) {
  const auto account = [this](std::int64_t until) {
    if (counting_) edges_ += static_cast<std::uint32_t>(edges_until(until) - edges_until(seen_));
    seen_ = until;
  };
  if (pending_ && pending_at_ <= now) {
    account(pending_at_);
    adopt_pending();
  }
  account(now);
}

bool TimerChannel::output(std::int64_t now) const {
  if (pending_ && pending_at_ <= now) {
    TimerChannel later = *this;
    later.settle(now);
    return later.output(now);
  }
  if (mode_ == 0) return started_ && elapsed(now) >= count_;
  if (!started_) return true;
  const std::int64_t since = std::max<std::int64_t>(elapsed(now), 0);
  switch (mode_) {
    case 1:
      return since >= count_;
    case 2:
      return !gate_ || since % count_ != count_ - 1;
    case 3:
      return !gate_ || since % count_ < high_part();
    default:
      return since != count_;
  }
}

// Setting a mode gives the output its resting level: low in mode 0, high in all others.
void TimerChannel::write_control(std::uint8_t control, std::int64_t now) {
  settle(now);
  const bool was_low = !output(now);
  const std::uint8_t mode = control >> 1 & 7;
  mode_ = mode > 5 ? mode & 3 : mode;
  access_ = control >> 4 & 3;
  bcd_ = (control & 1) != 0;
  loaded_ = started_ = counting_ = pending_ = false;
  write_high_next_ = read_high_next_ = false;
  count_latched_ = status_latched_ = false;
  if (was_low && mode_ != 0) ++edges_;
}

void TimerChannel::write_count(std::uint8_t byte, std::int64_t now) {
  settle(now);
  if (access_ == 1) return load(byte, now);
  if (access_ == 2) return load(static_cast<std::uint32_t>(byte) << 8, now);
  write_high_next_ = !write_high_next_;
  if (write_high_next_) {
    write_low_ = byte;
    if (mode_ == 0) loaded_ = started_ = counting_ = false;  // output low until the second byte
    return;
  }
  load(static_cast<std::uint32_t>(byte) << 8 | write_low_, now);
}

void TimerChannel::load(std::uint32_t written, std::int64_t now) {
  const std::int64_t value = bcd_ ? from_bcd(written) : written;
  next_count_ = value == 0 ? counter_range(bcd_) : value;
  if (periodic()) next_count_ = std::max<std::int64_t>(next_count_, 2);  // 1 is illegal
  loaded_ = true;
  if (started_by_gate()) return;  // waits for a trigger
  if (periodic() && started_) {
    if (!counting_) return;  // the gate's rise will load it
    const std::int64_t phase = std::max<std::int64_t>(now - start_, 0) % count_;
    const bool in_high = mode_ == 3 && phase < high_part();
    pending_ = true;
    pending_at_ = std::max(now, start_) - phase + (in_high ? high_part() : count_);
    return;
  }
  start(now + 1);
  if (!gate_) {
    counting_ = false;
    held_ = 0;
  }
}

void TimerChannel::set_gate(bool high, std::int64_t now) {
  if (gate_ == high) return;
  settle(now);
  gate_ = high;
  if (started_by_gate()) {
    if (high && loaded_) start(now + 1);
  } else if (periodic()) {
    if (high && loaded_) {
      start(now + 1);
    } else if (started_) {
      held_ = elapsed(now);
      counting_ = false;
    }
  } else if (started_) {  // modes 0 and 4: the gate holds the count
    if (high) {
      start_ = now - held_;
    } else {
      held_ = elapsed(now);
    }
    counting_ = high;
  }
}

std::uint32_t TimerChannel::take_rising_edges(std::int64_t now) {
  settle(now);
  const std::uint32_t edges = edges_;
  edges_ = 0;
  return edges;
}

std::int64_t TimerChannel::next_rising_edge(std::int64_t now) const {
  if (!counting_) return -1;
  if (!periodic()) return one_shot_edge() > now ? one_shot_edge() : -1;
  const std::int64_t next = start_ + (edges_until(now) + 1) * count_;
  if (!pending_ || next <= pending_at_) return next;
  TimerChannel later = *this;
  later.adopt_pending();
  return later.start_ + (later.edges_until(now) + 1) * later.count_;
}

std::uint16_t TimerChannel::counter(std::int64_t now) const {
  if (!started_) return 0;
  const std::int64_t range = counter_range(bcd_);
  const std::int64_t since = std::max<std::int64_t>(elapsed(now), 0);
  std::int64_t value = 0;
  if (mode_ == 2) {
    value = count_ - since % count_;
  } else if (mode_ == 3) {  // counts by two, each half from the even part of N
    const std::int64_t phase = since % count_;
    value = (count_ & ~std::int64_t{1}) - 2 * (phase < high_part() ? phase : phase - high_part());
  } else {
    value = range + (count_ - since) % range;  // goes on below zero
  }
  value %= range;
  return bcd_ ? to_bcd(static_cast<std::uint32_t>(value)) : static_cast<std::uint16_t>(value);
}

// Read-back status: OUT, null count, access, mode, BCD (data sheet, figure 11).
std::uint8_t TimerChannel::status(std::int64_t now) const {
  const bool null_count = !started_ || pending_ || elapsed(now) < 0 || next_count_ != count_;
  return static_cast<std::uint8_t>((output(now) ? 0x80 : 0) | (null_count ? 0x40 : 0) |
                                   access_ << 4 | mode_ << 1 | (bcd_ ? 1 : 0));
}

void TimerChannel::latch_count(std::int64_t now) {
  if (count_latched_) return;  // until it has been read
  settle(now);
  latched_count_ = counter(now);
  count_latched_ = true;
}

void TimerChannel::latch_status(std::int64_t now) {
  if (status_latched_) return;
  settle(now);
  latched_status_ = status(now);
  status_latched_ = true;
}

std::uint8_t TimerChannel::read(std::int64_t now) {
  if (status_latched_) {
    status_latched_ = false;
    return latched_status_;
  }
  settle(now);
  const std::uint16_t value = count_latched_ ? latched_count_ : counter(now);
  const bool high = access_ == 2 || (access_ == 3 && read_high_next_);
  if (access_ == 3) read_high_next_ = !read_high_next_;
  if (high || access_ != 3) count_latched_ = false;
  return static_cast<std::uint8_t>(high ? value >> 8 : value);
}

namespace {

constexpr std::uint8_t control_word(unsigned access, unsigned mode) {
  return static_cast<std::uint8_t>(access << 4 | mode << 1);
}
constexpr std::uint32_t refresh_ticks = 18;  // channel 1's usual count: DRAM refresh, 15 us

}  // namespace

Timer::Timer(std::uint64_t now) {
  const std::int64_t tick = ticks(now);
  channels_[0].write_control(control_word(3, 2), tick);
  channels_[1].write_control(control_word(1, 2), tick);
  channels_[2].write_control(control_word(3, 3), tick);
  channels_[2].set_gate(false, tick);
  channels_[0].write_count(0, tick);
  channels_[0].write_count(0, tick);
  channels_[1].write_count(refresh_ticks, tick);
  channels_[0].take_rising_edges(tick);
}

std::uint8_t Timer::read(unsigned offset, std::uint64_t now) {
  return offset < 3 ? channels_[offset].read(ticks(now)) : std::uint8_t{0xff};
}

void Timer::write(unsigned offset, std::uint8_t value, std::uint64_t now) {
  const std::int64_t tick = ticks(now);
  if (offset < 3) return channels_[offset].write_count(value, tick);
  const unsigned channel = value >> 6;
  if (channel == 3) return read_back(value, tick);
  if ((value & 0x30) == 0) return channels_[channel].latch_count(tick);
  channels_[channel].write_control(value, tick);
}

// Bits 5 and 4 low: latch count, latch status; bits 3 to 1: for channels 2 to 0.
void Timer::read_back(std::uint8_t command, std::int64_t now) {
  for (unsigned channel = 0; channel < 3; ++channel) {
    if ((command >> (channel + 1) & 1) == 0) continue;
    if ((command & 0x20) == 0) channels_[channel].latch_count(now);
    if ((command & 0x10) == 0) channels_[channel].latch_status(now);
  }
}

std::uint8_t Timer::read_port_b(std::uint64_t now) const {
  const std::int64_t tick = ticks(now);
  const bool refresh = (tick / refresh_ticks & 1) != 0;
  return static_cast<std::uint8_t>((channels_[2].output(tick) ? 0x20 : 0) | (refresh ? 0x10 : 0) |
                                   port_b_);
}

void Timer::write_port_b(std::uint8_t value, std::uint64_t now) {
  port_b_ = value & 0x0f;
  channels_[2].set_gate((value & 1) != 0, ticks(now));
}

std::uint32_t Timer::take_interrupts(std::uint64_t now) {
  return channels_[0].take_rising_edges(ticks(now));
}

std::uint64_t Timer::next_deadline(std::uint64_t now) const {
  const std::int64_t next = channels_[0].next_rising_edge(ticks(now));
  return next < 0 ? no_deadline : nanoseconds_at(static_cast<std::uint64_t>(next), timer_hertz);
}

bool Timer::interrupt_line(std::uint64_t now) const { return channels_[0].output(ticks(now)); }

}  // namespace undercroft
