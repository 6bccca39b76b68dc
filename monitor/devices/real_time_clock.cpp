#include "real_time_clock.hpp"

#include <algorithm>

#include "device_ports.hpp"
#include "timer.hpp"

namespace undercroft {
namespace {

// Register B, and the same interrupts' flags in register C (data sheet, "Registers").
constexpr std::uint8_t b_set = 0x80;
constexpr std::uint8_t periodic = 0x40;
constexpr std::uint8_t alarm = 0x20;
constexpr std::uint8_t update_ended = 0x10;
constexpr std::uint8_t b_binary = 0x04;
constexpr std::uint8_t b_24_hours = 0x02;
constexpr std::uint8_t c_request = 0x80;
constexpr std::uint8_t a_update_in_progress = 0x80;
constexpr std::uint8_t d_valid = 0x80;  // the battery is good

constexpr std::uint8_t hour_pm = 0x80;       // 12-hour mode
constexpr std::uint8_t alarm_any = 0xc0;     // both high bits: matches every value
constexpr std::uint32_t oscillator = 32768;  // Hz
constexpr std::uint64_t second = 1'000'000'000u;
constexpr std::uint64_t half_second = second / 2;
// The update cycle takes 1984 us with a 32768 Hz crystal, and UIP rises 244 us before it.
constexpr std::uint64_t update_time = 2'228'000;

// CMOS bytes that guests read.
constexpr unsigned cmos_equipment = 0x14;
constexpr unsigned cmos_base_memory = 0x15;
constexpr unsigned cmos_extended_memory = 0x17;
constexpr unsigned cmos_checksum = 0x2e;
constexpr unsigned cmos_extended_memory_again = 0x30;
constexpr unsigned cmos_memory_above_16m = 0x34;  // in 64 KB

}  // namespace

RealTimeClock::RealTimeClock(std::uint64_t unix_seconds, std::uint64_t ram_bytes, std::uint64_t now)
    : phase_(static_cast<std::int64_t>(now)),
      time_(calendar_from_seconds(static_cast<std::int64_t>(unix_seconds))) {
  weekday_ = static_cast<std::uint32_t>((unix_seconds / seconds_per_day + 4) % 7) + 1;
  registers_[register_a] = 0x26;  // 32768 Hz, 1024 Hz periodic rate
  registers_[register_b] = b_24_hours;
  registers_[register_d] = d_valid;
  show_time();
  fill_memory_size(ram_bytes);
}

void RealTimeClock::fill_memory_size(std::uint64_t ram_bytes) {
  const auto put = [this](unsigned at, std::uint64_t value) {
    value = std::min<std::uint64_t>(value, 0xffff);
    registers_[at] = static_cast<std::uint8_t>(value);
    registers_[at + 1] = static_cast<std::uint8_t>(value >> 8);
  };
  constexpr std::uint64_t megabyte = 0x100000;
  const auto above = [ram_bytes](std::uint64_t start) {
    return ram_bytes > start ? ram_bytes - start : 0;
  };
  put(cmos_base_memory, std::min<std::uint64_t>(ram_bytes / 1024, 640));
  put(cmos_extended_memory, above(megabyte) / 1024);
  put(cmos_extended_memory_again, above(megabyte) / 1024);
  put(cmos_memory_above_16m, above(16 * megabyte) / 65536);
  registers_[cmos_equipment] = 0x02;  // a coprocessor, a VGA, no floppy disk
  unsigned sum = 0;
  for (unsigned i = 0x10; i < cmos_checksum; ++i) sum += registers_[i];
  registers_[cmos_checksum] = static_cast<std::uint8_t>(sum >> 8);  // high byte first
  registers_[cmos_checksum + 1] = static_cast<std::uint8_t>(sum);
}

bool RealTimeClock::stopped() const {
  // Divider bits 11x hold the chain in reset; of the rest only 010 fits the crystal.
  return (registers_[register_b] & b_set) != 0 || (registers_[register_a] & 0x60) == 0x60;
}

std::uint8_t RealTimeClock::encode(std::uint32_t value) const {
  if (registers_[register_b] & b_binary) return static_cast<std::uint8_t>(value);
  return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
}

std::uint32_t RealTimeClock::decode(std::uint8_t value) const {
  if (registers_[register_b] & b_binary) return value;
  return (value >> 4) * 10u + (value & 15u);
}

std::uint32_t RealTimeClock::decode_hour(std::uint8_t value) const {
  if (registers_[register_b] & b_24_hours) return decode(value);
  const std::uint32_t hour = decode(value & static_cast<std::uint8_t>(~hour_pm)) % 12;
  return hour + ((value & hour_pm) != 0 ? 12 : 0);
}

void RealTimeClock::show_time() {
  const bool afternoon = time_.hour >= 12;
  registers_[0] = encode(time_.second);
  registers_[2] = encode(time_.minute);
  if (registers_[register_b] & b_24_hours) {
    registers_[4] = encode(time_.hour);
  } else {
    registers_[4] = encode((time_.hour + 11) % 12 + 1);
    if (afternoon) registers_[4] |= hour_pm;
  }
  registers_[6] = encode(weekday_);
  registers_[7] = encode(time_.day);
  registers_[8] = encode(time_.month);
  registers_[9] = encode(time_.year % 100);
  registers_[century] = encode(time_.year / 100);
}

// What a guest writes may be no date at all; it is brought into range, so that the clock can count.
void RealTimeClock::take_time() {
  time_.second = std::min(decode(registers_[0]), 59u);
  time_.minute = std::min(decode(registers_[2]), 59u);
  time_.hour = std::min(decode_hour(registers_[4]), 23u);
  weekday_ = std::clamp(decode(registers_[6]), 1u, 7u);
  time_.day = std::clamp(decode(registers_[7]), 1u, 31u);
  time_.month = std::clamp(decode(registers_[8]), 1u, 12u);
  time_.year = decode(registers_[century]) * 100 + std::min(decode(registers_[9]), 99u);
  time_.year = std::max(time_.year, 1u);
}

bool RealTimeClock::alarm_matches(const CalendarTime& t) const {
  const auto any = [](std::uint8_t value) { return (value & alarm_any) == alarm_any; };
  return (any(registers_[1]) || decode(registers_[1]) == t.second) &&
         (any(registers_[3]) || decode(registers_[3]) == t.minute) &&
         (any(registers_[5]) || decode_hour(registers_[5]) == t.hour);
}

// Seconds that have passed since the last look: the time moves on, UF and AF are set.
void RealTimeClock::catch_up_seconds(std::uint64_t now) {
  if (stopped()) return;
  const std::uint64_t passed = seconds_at(now) - seconds_;
  if (passed == 0) return;
  seconds_ += passed;
  const std::int64_t before = seconds_from_calendar(time_);
  const std::int64_t after = before + static_cast<std::int64_t>(passed);
  registers_[register_c] |= update_ended;
  // A day has every alarm in it.
  const auto compared = std::min<std::uint64_t>(passed, seconds_per_day);
  for (std::uint64_t i = 0; i < compared && (registers_[register_c] & alarm) == 0; ++i) {
    if (alarm_matches(calendar_from_seconds(after - static_cast<std::int64_t>(i)))) {
      registers_[register_c] |= alarm;
    }
  }
  const std::int64_t days = after / seconds_per_day - before / seconds_per_day;
  weekday_ = static_cast<std::uint32_t>((weekday_ - 1 + days) % 7) + 1;
  time_ = calendar_from_seconds(after);
  show_time();
}

// Register A's low bits (data sheet, table 5): rates 1 and 2 are those of 8 and 9.
std::uint32_t RealTimeClock::periodic_ticks() const {
  const unsigned rate = registers_[register_a] & 15;
  if (rate == 0 || (registers_[register_a] & 0x60) == 0x60) return 0;
  return 1u << (rate < 3 ? rate + 6 : rate - 1);
}

std::uint64_t RealTimeClock::oscillator_ticks(std::uint64_t now) const {
  return ticks_at(elapsed(now), oscillator);
}

void RealTimeClock::catch_up_periodic(std::uint64_t now) {
  const std::uint32_t ticks = periodic_ticks();
  if (ticks == 0) return;
  const std::uint64_t periods = oscillator_ticks(now) / ticks;
  if (periods != periods_) registers_[register_c] |= periodic;
  periods_ = periods;
}

void RealTimeClock::update_line() {
  const std::uint8_t enabled = registers_[register_b] & (periodic | alarm | update_ended);
  const bool request = (registers_[register_c] & enabled) != 0;
  registers_[register_c] =
      static_cast<std::uint8_t>((registers_[register_c] & ~c_request) | (request ? c_request : 0));
}

void RealTimeClock::advance(std::uint64_t now) {
  catch_up_seconds(now);
  catch_up_periodic(now);
  update_line();
}

std::uint64_t RealTimeClock::next_deadline(std::uint64_t now) const {
  const std::uint8_t enabled = registers_[register_b];
  std::uint64_t deadline = no_deadline;
  const auto moment = [this](std::uint64_t ticks, std::uint32_t hertz) {
    return static_cast<std::uint64_t>(phase_) + nanoseconds_at(ticks, hertz);
  };
  if (registers_[register_c] & c_request) return deadline;  // the line is up already
  if ((enabled & (alarm | update_ended)) != 0 && !stopped()) {
    deadline = moment(seconds_at(now) + 1, 1);
  }
  const std::uint32_t ticks = periodic_ticks();
  if ((enabled & periodic) != 0 && ticks != 0) {
    const std::uint64_t next = (oscillator_ticks(now) / ticks + 1) * ticks;
    deadline = std::min(deadline, moment(next, oscillator));
  }
  return deadline;
}

bool RealTimeClock::update_in_progress(std::uint64_t now) const {
  return !stopped() && elapsed(now) % second >= second - update_time;
}

std::uint8_t RealTimeClock::read(unsigned offset, std::uint64_t now) {
  if (offset == 0) return 0xff;  // the index cannot be read back
  advance(now);
  if (index_ == register_a && update_in_progress(now)) {
    return registers_[register_a] | a_update_in_progress;
  }
  const std::uint8_t value = registers_[index_];
  if (index_ == register_c) registers_[register_c] = 0;
  return value;
}

void RealTimeClock::write(unsigned offset, std::uint8_t value, std::uint64_t now) {
  if (offset == 0) {
    index_ = value & 0x7f;
    nmi_enabled_ = (value & 0x80) == 0;
    return;
  }
  advance(now);
  write_register(index_, value, now);
  update_line();
}

void RealTimeClock::write_register(unsigned index, std::uint8_t value, std::uint64_t now) {
  switch (index) {
    case register_a:
      return write_control_a(value, now);
    case register_b: {
      const bool was_stopped = stopped();
      // The data mode says how registers are read, not what is in them: a guest that changes it
      // has to set the time again. SET ends a pending update-ended interrupt.
      if (value & b_set) value &= static_cast<std::uint8_t>(~update_ended);
      registers_[register_b] = value;
      if (was_stopped || !stopped()) take_time();
      if (was_stopped && !stopped()) seconds_ = seconds_at(now);
      return;
    }
    case register_c:
    case register_d:
      return;  // read only
    default:
      registers_[index] = value;
      if (is_time(index) && !stopped()) take_time();
  }
}

// Leaving the divider's reset starts the first second half a second later.
void RealTimeClock::write_control_a(std::uint8_t value, std::uint64_t now) {
  const bool was_reset = (registers_[register_a] & 0x60) == 0x60;
  const bool was_stopped = stopped();
  registers_[register_a] = value & 0x7f;
  const bool is_reset = (value & 0x60) == 0x60;
  if (was_reset && !is_reset) {
    phase_ = static_cast<std::int64_t>(now) - static_cast<std::int64_t>(half_second);
    seconds_ = 0;
  }
  if (was_stopped && !stopped()) take_time();
  const std::uint32_t ticks = periodic_ticks();
  periods_ = ticks == 0 ? 0 : oscillator_ticks(now) / ticks;
}

}  // namespace undercroft
