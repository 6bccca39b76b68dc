#include "entropy_estimate.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace undercroft {
namespace {

using Counts = std::array<std::uint16_t, 256>;

// Sixteen times the logarithm to base 2, rounded down. value is not 0 and below 65536.
constexpr unsigned log2_sixteenths(std::uint32_t value) {
  const unsigned whole = static_cast<unsigned>(std::bit_width(value)) - 1;
  std::uint32_t rest = value << (15 - whole);  // 1 to 2, in units of 1/32768
  unsigned result = whole;
  for (unsigned i = 0; i < 4; ++i) {
    rest = rest * rest >> 15;
    const bool one = rest >= 1u << 16;
    result = result * 2 + (one ? 1 : 0);
    if (one) rest >>= 1;
  }
  return result;
}
static_assert(log2_sixteenths(1) == 0 && log2_sixteenths(1024) == 160);
static_assert(log2_sixteenths(3) == 25);  // 1.585

constexpr std::uint32_t root(std::uint32_t value) {
  std::uint32_t result = 0;
  while ((result + 1) * (result + 1) <= value) ++result;
  return result;
}

// Of the commonest value's share 2.576 standard deviations more are assumed.
unsigned by_most_common(const Counts& counts, std::uint32_t all) {
  const std::uint32_t most = *std::max_element(counts.begin(), counts.end());
  const std::uint32_t variance = most * (all - most) / all;
  const std::uint32_t bound = std::min(all, most + root(variance * 6636 / 1000) + 1);
  const unsigned whole = log2_sixteenths(all), common = log2_sixteenths(bound) + 1;
  return whole > common ? whole - common : 0;
}

}  // namespace

unsigned estimated_entropy(std::span<const std::uint8_t> values) {
  Counts of_values{}, of_differences{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    ++of_values[values[i]];
    if (i != 0) ++of_differences[static_cast<std::uint8_t>(values[i] - values[i - 1])];
  }
  const auto all = static_cast<std::uint32_t>(values.size());
  return std::min(by_most_common(of_values, all), by_most_common(of_differences, all - 1));
}

}  // namespace undercroft
