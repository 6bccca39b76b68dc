// The calendar, day by day against a plain count.
#include "monitor/devices/calendar.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

static_assert(calendar_from_seconds(0) == CalendarTime{0, 0, 0, 1, 1, 1970});
static_assert(calendar_from_seconds(951782400) == CalendarTime{0, 0, 0, 29, 2, 2000});
static_assert(calendar_from_seconds(1577836800 + 86399) == CalendarTime{59, 59, 23, 1, 1, 2020});
static_assert(calendar_from_seconds(4107542400) == CalendarTime{0, 0, 0, 1, 3, 2100});

TEST(Calendar, CountsEveryDayOf430Years) {
  constexpr std::uint32_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::int64_t day = 0;
  for (std::uint32_t year = 1970; year < 2400; ++year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (std::uint32_t month = 1; month <= 12; ++month) {
      const std::uint32_t length = lengths[month - 1] + (month == 2 && leap ? 1 : 0);
      for (std::uint32_t d = 1; d <= length; ++d, ++day) {
        const CalendarTime expected{1, 2, 3, d, month, year};
        const std::int64_t seconds = day * seconds_per_day + 3 * 3600 + 2 * 60 + 1;
        ASSERT_EQ(seconds_from_calendar(expected), seconds) << year << '-' << month << '-' << d;
        ASSERT_EQ(calendar_from_seconds(seconds), expected) << year << '-' << month << '-' << d;
      }
    }
  }
}

}  // namespace
}  // namespace undercroft
