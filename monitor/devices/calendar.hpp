// The proleptic Gregorian calendar as pure functions: seconds since 1970-01-01 00:00 UTC to a date
// and time of day, and back.
#pragma once

#include <cstdint>

namespace undercroft {

struct CalendarTime {
  std::uint32_t second = 0, minute = 0, hour = 0;
  std::uint32_t day = 1, month = 1, year = 1970;  // day and month from 1
  constexpr bool operator==(const CalendarTime&) const = default;
};

inline constexpr std::uint32_t seconds_per_day = 86400;

// Days since 1970-01-01. Years are counted from March, so that the leap day is the last of its
// year; 400 years have 146097 days. Out-of-range days and months carry over.
constexpr std::int64_t days_from_date(std::uint32_t year, std::uint32_t month, std::uint32_t day) {
  const std::int64_t march_year = std::int64_t{year} - (month <= 2 ? 1 : 0);
  const std::int64_t march_month = (month + 9) % 12;
  const std::int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
  return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year -
         719468;
}

constexpr std::int64_t seconds_from_calendar(const CalendarTime& t) {
  return days_from_date(t.year, t.month, t.day) * seconds_per_day + std::int64_t{t.hour} * 3600 +
         std::int64_t{t.minute} * 60 + t.second;
}

// For times from year 1 on.
constexpr CalendarTime calendar_from_seconds(std::int64_t seconds) {
  const std::int64_t days = seconds >= 0 ? seconds / seconds_per_day
                                         : (seconds - (seconds_per_day - 1)) / seconds_per_day;
  const auto rest = static_cast<std::uint32_t>(seconds - days * seconds_per_day);
  const std::int64_t shifted = days + 719468;
  const std::int64_t era = shifted / 146097;
  const auto day_of_era = static_cast<std::uint32_t>(shifted % 146097);
  const std::uint32_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::uint32_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint32_t march_month = (5 * day_of_year + 2) / 153;
  CalendarTime t;
  t.day = day_of_year - (153 * march_month + 2) / 5 + 1;
  t.month = march_month < 10 ? march_month + 3 : march_month - 9;
  t.year = static_cast<std::uint32_t>(era * 400) + year_of_era + (t.month <= 2 ? 1 : 0);
  t.hour = rest / 3600;
  t.minute = rest / 60 % 60;
  t.second = rest % 60;
  return t;
}

}  // namespace undercroft
