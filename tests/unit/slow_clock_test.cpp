// The clock of a guest that cannot keep up with its own timer, and how long the host has to wait
// for it.
#include "monitor/slow_clock.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/device_fakes.hpp"

namespace undercroft {
namespace {

TEST(SlowClock, OneThatIsNotSlowIsTheHosts) {
  FakeClock host;
  SlowClock clock(host, 1);
  for (const std::uint64_t time : {std::uint64_t{0}, std::uint64_t{1}, no_deadline}) {
    host.time = time;
    EXPECT_EQ(clock.now(), time);
  }
}

TEST(SlowClock, TimePassesByTheFactor) {
  FakeClock host;
  SlowClock clock(host, 20);
  host.time = 999;
  EXPECT_EQ(clock.now(), 49u);
  host.time = 1000;
  EXPECT_EQ(clock.now(), 50u);
}

// An alarm that is set for the span of a deadline comes when the deadline is due, not before it:
// each would be a trap for nothing.
TEST(SlowClock, TheHostsSpanReachesTheDeadline) {
  FakeClock host;
  for (const std::uint32_t slowness : {1u, 2u, 3u, 20u, 1000u}) {
    SlowClock clock(host, slowness);
    for (std::uint64_t start = 1'000'000; start < 1'000'010; ++start) {
      for (const std::uint64_t span : {0u, 1u, 7u, 4'000'000u}) {
        host.time = start;
        const std::uint64_t deadline = clock.now() + span;
        host.time += host_span(span, slowness);
        EXPECT_GE(clock.now(), deadline) << slowness << ' ' << start << ' ' << span;
      }
    }
  }
}

TEST(HostSpan, WhatIsTooLongIsNoDeadline) {
  EXPECT_EQ(host_span(no_deadline, 1), no_deadline);
  EXPECT_EQ(host_span(no_deadline, 2), no_deadline);
  EXPECT_EQ(host_span(no_deadline / 20, 20), no_deadline / 20 * 20);
  EXPECT_EQ(host_span(no_deadline / 20 + 1, 20), no_deadline);
}

}  // namespace
}  // namespace undercroft
