#include "monitor/devices/entropy_pool.hpp"

#include <gtest/gtest.h>

namespace undercroft::test {
namespace {

// RFC 8439, section 2.3.2.
TEST(ChaCha20, TheBlockOfTheRfc) {
  const std::array<std::uint32_t, 16> input{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
                                            0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                            0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
                                            0x00000001, 0x09000000, 0x4a000000, 0x00000000};
  const std::array<std::uint32_t, 16> output{0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3,
                                             0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
                                             0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                             0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
  EXPECT_EQ(chacha20_block(input), output);
}

TEST(EntropyPool, AnswersDifferAndDependOnEverySample) {
  EntropyPool one, same, other;
  for (std::uint64_t i = 0; i < 10; ++i) {
    one.add(i);
    same.add(i);
    other.add(i == 3 ? i | 1ull << 63 : i);
  }
  std::array<std::byte, 100> first, second, from_same, from_other;
  one.take(first);
  one.take(second);
  same.take(from_same);
  other.take(from_other);
  EXPECT_EQ(first, from_same);
  EXPECT_NE(first, second);
  EXPECT_NE(first, from_other);
}

}  // namespace
}  // namespace undercroft::test
