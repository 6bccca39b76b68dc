#include "host_calendar.hpp"

#include "instructions.hpp"
#include "monitor/devices/calendar.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint8_t second = 0, minute = 2, hour = 4, day = 7, month = 8, year = 9;
constexpr std::uint8_t status_a = 10, status_b = 11;
constexpr std::uint8_t update_in_progress = 0x80;       // A
constexpr std::uint8_t binary = 0x04, hours_24 = 0x02;  // B
constexpr std::uint8_t afternoon = 0x80;                // hour, in 12-hour mode

std::uint8_t read(std::uint8_t index) {
  port_out_8(0x70, index);
  return port_in_8(0x71);
}

std::uint32_t number(unsigned value, bool is_binary) {
  return is_binary ? value : (value >> 4) * 10 + (value & 15);
}

CalendarTime read_once() {
  const std::uint8_t format = read(status_b);
  const bool is_binary = format & binary;
  CalendarTime t;
  t.second = number(read(second), is_binary);
  t.minute = number(read(minute), is_binary);
  const std::uint8_t raw_hour = read(hour);
  t.hour = number(raw_hour & 0x7fu, is_binary);
  if (!(format & hours_24)) t.hour = t.hour % 12 + (raw_hour & afternoon ? 12 : 0);
  t.day = number(read(day), is_binary);
  t.month = number(read(month), is_binary);
  t.year = 2000 + number(read(year), is_binary);
  return t;
}

}  // namespace

// Two equal readings have no update between them.
std::uint64_t read_host_calendar() {
  CalendarTime last = read_once();
  for (unsigned i = 0; i < 10000; ++i) {
    if (read(status_a) & update_in_progress) continue;
    const CalendarTime now = read_once();
    if (now == last) break;
    last = now;
  }
  // Where no clock answers: the start of 2000.
  if (last.month == 0 || last.month > 12 || last.day == 0 || last.day > 31 || last.hour > 23 ||
      last.minute > 59 || last.second > 60 || last.year > 2099) {
    last = {0, 0, 0, 1, 1, 2000};
  }
  return static_cast<std::uint64_t>(seconds_from_calendar(last));
}

}  // namespace undercroft::x86
