// Waiting for something by the time stamp counter: long for what is to come, short for what is not.
#pragma once

#include "cpu.hpp"

namespace guest {

inline u64 time_stamp() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

inline constexpr u64 longest_wait = 40'000'000'000;  // ticks

template <class Condition>
bool comes_within(u64 ticks, Condition condition) {
  const u64 start = time_stamp();
  do {
    if (condition()) return true;
  } while (time_stamp() - start < ticks);
  return condition();
}
// Ends as soon as it is so.
template <class Condition>
bool comes(Condition condition) {
  return comes_within(longest_wait, condition);
}
// For what should not: long enough for a few milliseconds of anything.
template <class Condition>
bool comes_soon(Condition condition) {
  return comes_within(10'000'000, condition);
}

}  // namespace guest
