// The local APIC's timer: a tick of its clock is a nanosecond.
#include "monitor/devices/apic_timer.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {
namespace {

constexpr std::uint64_t start = 1'000'000'000'000;  // beyond 32 bits
constexpr std::uint32_t by_1 = 0xb;

struct ApicTimerTest : testing::Test {
  ApicTimerTest() { timer.set_divide(by_1, start); }
  ApicTimer timer;
};

TEST_F(ApicTimerTest, RestsUntilItHasACount) {
  EXPECT_EQ(timer.next_expiry(), no_deadline);
  EXPECT_EQ(timer.current_count(start), 0u);
  EXPECT_EQ(timer.take_expiries(start + 1'000'000), 0u);
}

TEST_F(ApicTimerTest, CountsDownOnce) {
  timer.set_count(1000, start);
  EXPECT_EQ(timer.next_expiry(), start + 1000);
  EXPECT_EQ(timer.current_count(start), 1000u);
  EXPECT_EQ(timer.current_count(start + 999), 1u);
  EXPECT_EQ(timer.take_expiries(start + 999), 0u);
  EXPECT_EQ(timer.current_count(start + 1000), 0u);
  EXPECT_EQ(timer.take_expiries(start + 5000), 1u);
  EXPECT_EQ(timer.take_expiries(start + 9000), 0u);
  EXPECT_EQ(timer.next_expiry(), no_deadline);
  EXPECT_EQ(timer.initial_count(), 1000u);
}

TEST_F(ApicTimerTest, CountsAgainAndAgainWithoutLosingTime) {
  timer.set_periodic(true, start);
  timer.set_count(1000, start);
  EXPECT_EQ(timer.take_expiries(start + 1300), 1u);
  EXPECT_EQ(timer.next_expiry(), start + 2000);
  EXPECT_EQ(timer.current_count(start + 1300), 700u);
  EXPECT_EQ(timer.take_expiries(start + 5999), 4u);
  EXPECT_EQ(timer.next_expiry(), start + 6000);
}

TEST_F(ApicTimerTest, ACountOfZeroStopsIt) {
  timer.set_periodic(true, start);
  timer.set_count(1000, start);
  timer.set_count(0, start + 500);
  EXPECT_EQ(timer.take_expiries(start + 5000), 0u);
  EXPECT_EQ(timer.next_expiry(), no_deadline);
}

TEST_F(ApicTimerTest, EveryDivisor) {
  const struct {
    std::uint32_t code, divisor;
  } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
  for (const auto& row : rows) {
    ApicTimer fresh;
    fresh.set_divide(row.code, start);
    EXPECT_EQ(fresh.divide_configuration(), row.code);
    fresh.set_count(1000, start);
    EXPECT_EQ(fresh.next_expiry(), start + std::uint64_t{1000} * row.divisor) << row.code;
    EXPECT_EQ(fresh.current_count(start + 10ull * row.divisor), 990u) << row.code;
  }
  timer.set_divide(~0u, start);
  EXPECT_EQ(timer.divide_configuration(), 0x0bu);  // bit 2 is reserved
}

TEST_F(ApicTimerTest, ANewDivisorTakesOverWhereTheCountIs) {
  timer.set_count(1000, start);
  timer.set_divide(3, start + 400);
  EXPECT_EQ(timer.current_count(start + 400), 600u);
  EXPECT_EQ(timer.next_expiry(), start + 400 + 600 * 16);
}

TEST_F(ApicTimerTest, TheLongestPeriodDoesNotOverflow) {
  timer.set_divide(10, start);
  timer.set_count(~0u, start);
  EXPECT_EQ(timer.next_expiry(), start + std::uint64_t{0xffffffff} * 128);
}

TEST_F(ApicTimerTest, WhatIsDueAndNotTakenIsDueAtOnce) {
  timer.set_count(1000, start);
  timer.set_periodic(true, start + 2000);  // notices the expiry on the way
  EXPECT_LE(timer.next_expiry(), start + 2000);
  EXPECT_EQ(timer.take_expiries(start + 2000), 1u);
}

}  // namespace
}  // namespace undercroft
