#include "monitor/devices/entropy_estimate.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <vector>

namespace undercroft {
namespace {

unsigned estimate(const std::function<unsigned(unsigned)>& value, unsigned count = 1024) {
  std::vector<std::uint8_t> values(count);
  for (unsigned i = 0; i < count; ++i) values[i] = static_cast<std::uint8_t>(value(i));
  return estimated_entropy(values);
}

TEST(EntropyEstimate, WhatCanBeForetoldIsWorthNothing) {
  EXPECT_EQ(estimate([](unsigned) { return 77; }), 0u);
  EXPECT_EQ(estimate([](unsigned i) { return i; }), 0u) << "counting";
  EXPECT_EQ(estimate([](unsigned i) { return i * 13; }), 0u) << "a processor's cycles of a loop";
  EXPECT_EQ(estimate([](unsigned i) { return i % 100 == 99 ? i : 5; }), 0u) << "one in a hundred";
}

// Of n equally likely values the logarithm is the most there can be; a tenth of it is lost to care.
TEST(EntropyEstimate, ChanceIsWorthSomewhatLessThanItIs) {
  std::mt19937 chance(1);
  for (const unsigned bits : {1u, 2u, 4u}) {
    const unsigned got = estimate([&](unsigned) { return chance() % (1u << bits); }, 4096);
    EXPECT_LE(got, bits * 16) << bits;
    EXPECT_GE(got, bits * 16 * 8 / 10) << bits;
  }
  const unsigned all = estimate([&](unsigned) { return chance(); }, 4096);
  EXPECT_GT(all, 80u);
  EXPECT_LE(all, 128u);
}

// Nine times in ten the same: 0.152 bits.
TEST(EntropyEstimate, RareChanceIsWorthLittle) {
  std::mt19937 chance(2);
  const unsigned got = estimate([&](unsigned) { return chance() % 10 == 0 ? chance() : 0; });
  EXPECT_LE(got, 2u);
}

TEST(EntropyEstimate, FewValuesAreWorthLessThanTheirNumber) {
  EXPECT_EQ(estimate([](unsigned i) { return i * i; }, 2), 0u);
  EXPECT_LE(estimate([](unsigned i) { return i * i * 7; }, 8), 2 * 16u) << "of eight: three bits";
}

}  // namespace
}  // namespace undercroft
