#include "host_clock.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

std::uint8_t read_register(std::uint8_t index) {
  port_out_8(0x70, index);
  return port_in_8(0x71);
}

constexpr std::uint8_t seconds = 0, minutes = 2, hours = 4, day = 7, month = 8, year = 9;
constexpr std::uint8_t status_a = 10, status_b = 11;

// Days since 1970 of a date of the Gregorian calendar, by years that begin in March.
constexpr std::uint32_t days_since_1970(std::uint32_t y, std::uint32_t m, std::uint32_t d) {
  if (m <= 2) {
    --y;
    m += 12;
  }
  return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m - 457) / 5 + d - 719469;
}
static_assert(days_since_1970(1970, 1, 1) == 0);
static_assert(days_since_1970(2020, 2, 29) == 18321);

}  // namespace

std::uint64_t read_host_clock() {
  while (read_register(status_a) & 0x80) {
  }
  const std::uint8_t format = read_register(status_b);
  const bool binary = format & 4;
  const bool of_24_hours = format & 2;
  const auto value = [binary](std::uint8_t index) -> std::uint32_t {
    const std::uint32_t raw = read_register(index);
    return binary ? raw : (raw >> 4) * 10 + (raw & 15);
  };
  const std::uint32_t raw_hour = read_register(hours);
  std::uint32_t hour = binary ? raw_hour & 0x7f : ((raw_hour >> 4) & 7) * 10 + (raw_hour & 15);
  if (!of_24_hours) hour = hour % 12 + (raw_hour & 0x80 ? 12 : 0);
  const std::uint32_t days = days_since_1970(2000 + value(year), value(month), value(day));
  return ((std::uint64_t{days} * 24 + hour) * 60 + value(minutes)) * 60 + value(seconds);
}

}  // namespace undercroft::x86
