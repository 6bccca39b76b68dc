// The flag arithmetic, whole for 8 bits, against slow definitions that share no code with it.
#include <gtest/gtest.h>

#include "monitor/instruction/arithmetic.hpp"
#include "monitor/instruction/decimal.hpp"

namespace undercroft {
namespace {

namespace math = arithmetic;

std::uint32_t expected_flags(int unsigned_result, int signed_result, int nibble_result) {
  std::uint32_t flags = 0;
  const unsigned value = static_cast<unsigned>(unsigned_result) & 0xff;
  if (unsigned_result < 0 || unsigned_result > 255) flags |= eflags::carry;
  if (signed_result < -128 || signed_result > 127) flags |= eflags::overflow;
  if (nibble_result < 0 || nibble_result > 15) flags |= eflags::adjust;
  if (value == 0) flags |= eflags::zero;
  if (value >= 128) flags |= eflags::sign;
  unsigned ones = 0;
  for (unsigned bit = 0; bit < 8; ++bit) ones += value >> bit & 1;
  if (ones % 2 == 0) flags |= eflags::parity;
  return flags;
}

int as_signed(unsigned value) { return static_cast<std::int8_t>(value); }

TEST(Arithmetic, AddAndSubtractOfAllBytes) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      for (unsigned c = 0; c < 2; ++c) {
        const int x = static_cast<int>(a), y = static_cast<int>(b), carry = static_cast<int>(c);
        const auto sum = math::add(a, b, c, 1);
        ASSERT_EQ(sum.value, (a + b + c) & 0xff);
        ASSERT_EQ(sum.flags, expected_flags(x + y + carry, as_signed(a) + as_signed(b) + carry,
                                            x % 16 + y % 16 + carry));
        const auto difference = math::subtract(a, b, c, 1);
        ASSERT_EQ(difference.value, (a - b - c) & 0xff);
        ASSERT_EQ(difference.flags,
                  expected_flags(x - y - carry, as_signed(a) - as_signed(b) - carry,
                                 x % 16 - y % 16 - carry));
      }
    }
  }
}

TEST(Arithmetic, WidthsHaveTheirOwnSignAndCarry) {
  EXPECT_EQ(math::add(0xffff, 1, 0, 2).flags,
            eflags::carry | eflags::zero | eflags::parity | eflags::adjust);
  EXPECT_EQ(math::add(0xffff, 1, 0, 4).value, 0x10000u);
  EXPECT_EQ(math::add(0x7fffffff, 1, 0, 4).flags,
            eflags::overflow | eflags::sign | eflags::parity | eflags::adjust);
  EXPECT_EQ(math::subtract(0, 1, 0, 4).value, 0xffffffffu);
}

TEST(Arithmetic, IncrementAndDecrementKeepCarryOut) {
  EXPECT_EQ(math::increment(0xff, 1).flags & eflags::carry, 0u);
  EXPECT_EQ(math::decrement(0, 1).flags & eflags::carry, 0u);
  EXPECT_NE(math::increment(0x7f, 1).flags & eflags::overflow, 0u);
}

// One bit at a time, as the manual's pseudo-code has it.
struct Bitwise {
  unsigned value;
  bool carry;
};
Bitwise turn(Bitwise state, unsigned kind, unsigned count, unsigned width) {
  const unsigned top = 1u << (8 * width - 1);
  const unsigned mask = top | (top - 1);
  for (unsigned i = 0; i < count; ++i) {
    const bool high = state.value & top, low = state.value & 1;
    const bool carry = state.carry;
    switch (kind) {
      case 0:
        state = {(state.value << 1 | unsigned(high)) & mask, high};
        break;
      case 1:
        state = {state.value >> 1 | (low ? top : 0), low};
        break;
      case 2:
        state = {(state.value << 1 | unsigned(carry)) & mask, high};
        break;
      case 3:
        state = {state.value >> 1 | (carry ? top : 0), low};
        break;
      case 4:
        state = {(state.value << 1) & mask, high};
        break;
      case 5:
        state = {state.value >> 1, low};
        break;
      case 7:
        state = {state.value >> 1 | (high ? top : 0), low};
        break;
    }
  }
  return state;
}
math::Outcome shifted(unsigned kind, unsigned value, bool carry, unsigned count, unsigned width) {
  switch (kind) {
    case 0:
      return math::rotate_left(value, count, width);
    case 1:
      return math::rotate_right(value, count, width);
    case 2:
      return math::rotate_left_through_carry(value, carry, count, width);
    case 3:
      return math::rotate_right_through_carry(value, carry, count, width);
    case 4:
      return math::shift_left(value, count, width);
    case 5:
      return math::shift_right(value, count, width);
    default:
      return math::shift_arithmetic_right(value, count, width);
  }
}

TEST(Arithmetic, ShiftsAndRotatesBitByBit) {
  for (unsigned width : {1u, 2u, 4u}) {
    for (unsigned kind : {0u, 1u, 2u, 3u, 4u, 5u, 7u}) {
      for (unsigned count = 1; count < 32; ++count) {
        for (unsigned pattern = 0; pattern < 512; ++pattern) {
          const unsigned seed = (pattern & 0xff) * 0x01010101u ^ pattern << 9;
          const unsigned value = seed & math::mask(width);
          const bool carry = pattern & 0x100;
          const Bitwise expected = turn({value, carry}, kind, count, width);
          const auto outcome = shifted(kind, value, carry, count, width);
          ASSERT_EQ(outcome.value, expected.value) << kind << " " << value << " by " << count;
          ASSERT_EQ(bool(outcome.flags & eflags::carry), expected.carry)
              << kind << " " << value << " by " << count << " width " << width;
          // OF for a count of 1: whether the sign has changed, for SAR never.
          const bool sign_changed = (value ^ outcome.value) & math::sign_bit(width);
          if (count == 1) {
            ASSERT_EQ(bool(outcome.flags & eflags::overflow), kind != 7 && sign_changed);
          }
        }
      }
    }
  }
}

TEST(Arithmetic, DoubleShifts) {
  const auto left = math::shift_left_double(0x80000001, 0xc0000000, 1, 4);
  EXPECT_EQ(left.value, 0x00000003u);
  EXPECT_NE(left.flags & eflags::carry, 0u);
  EXPECT_NE(left.flags & eflags::overflow, 0u);
  const auto right = math::shift_right_double(0x80000001, 0x3, 2, 4);
  EXPECT_EQ(right.value, 0xe0000000u);
  EXPECT_EQ(right.flags & eflags::carry, 0u);
  EXPECT_EQ(math::shift_left_double(0x1234, 0xabcd, 8, 2).value, 0x34abu);
  EXPECT_EQ(math::shift_right_double(0x1234, 0xabcd, 8, 2).value, 0xcd12u);
  EXPECT_EQ(math::shift_left_double(0x1234, 0xabcd, 16, 2).value, 0xabcdu);
}

TEST(Arithmetic, ProductsOfAllBytes) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      const auto product = math::multiply(a, b, 1);
      ASSERT_EQ(product.high << 8 | product.low, a * b);
      ASSERT_EQ(bool(product.flags & eflags::carry), a * b > 0xff);
      ASSERT_EQ(bool(product.flags & eflags::overflow), a * b > 0xff);
      const int wanted = as_signed(a) * as_signed(b);
      const auto with_sign = math::multiply_signed(a, b, 1);
      ASSERT_EQ(with_sign.high << 8 | with_sign.low, static_cast<unsigned>(wanted) & 0xffff);
      ASSERT_EQ(bool(with_sign.flags & eflags::carry), wanted < -128 || wanted > 127);
    }
  }
}

TEST(Arithmetic, QuotientsOfAllWordsByBytes) {
  for (unsigned dividend = 0; dividend < 0x10000; ++dividend) {
    for (unsigned divisor = 0; divisor < 256; divisor += 1 + dividend % 3) {
      const auto result = math::divide(dividend, divisor, 1);
      const bool fits = divisor != 0 && dividend / divisor <= 0xff;
      ASSERT_EQ(result.has_value(), fits);
      if (fits) {
        ASSERT_EQ(result->quotient * divisor + result->remainder, dividend);
      }
      const int wide = static_cast<std::int16_t>(dividend), narrow = as_signed(divisor);
      const bool signed_fits = narrow != 0 && wide / narrow >= -128 && wide / narrow <= 127;
      const auto signed_result = math::divide_signed(dividend, divisor, 1);
      ASSERT_EQ(signed_result.has_value(), signed_fits) << wide << " / " << narrow;
      if (!signed_fits) continue;
      ASSERT_EQ(as_signed(signed_result->quotient), wide / narrow);
      ASSERT_EQ(as_signed(signed_result->remainder), wide % narrow);
    }
  }
}

TEST(Arithmetic, TheMostNegativeDividend) {
  EXPECT_FALSE(math::divide_signed(0x8000000000000000, 0xffffffff, 4).has_value());
  EXPECT_FALSE(math::divide_signed(0x8000000000000000, 0x80000000, 4).has_value());
  const auto result = math::divide_signed(0xc000000000000000, 0x80000000, 4);
  EXPECT_FALSE(result.has_value());  // 2^31 does not fit
  const auto fits = math::divide_signed(0xffffffff80000000, 1, 4);
  ASSERT_TRUE(fits.has_value());
  EXPECT_EQ(fits->quotient, 0x80000000u);
}

TEST(Arithmetic, DecimalAdjustOfAllSums) {
  for (unsigned a = 0; a < 100; ++a) {
    for (unsigned b = 0; b < 100; ++b) {
      const auto bcd = [](unsigned n) { return n / 10 * 16 + n % 10; };
      const auto sum = math::add(bcd(a), bcd(b), 0, 1);
      const auto adjusted = math::decimal_adjust(sum.value, sum.flags, false);
      ASSERT_EQ(adjusted.value, bcd((a + b) % 100));
      ASSERT_EQ(bool(adjusted.flags & eflags::carry), a + b >= 100);
      const auto difference = math::subtract(bcd(a), bcd(b), 0, 1);
      const auto corrected = math::decimal_adjust(difference.value, difference.flags, true);
      ASSERT_EQ(corrected.value, bcd((a + 100 - b) % 100));
      ASSERT_EQ(bool(corrected.flags & eflags::carry), a < b);
    }
  }
}

TEST(Arithmetic, ConditionsOverAllFlags) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    const bool c = bits & 1, z = bits & 2, s = bits & 4, o = bits & 8, p = bits & 16;
    const std::uint32_t flags = math::flag(c, eflags::carry) | math::flag(z, eflags::zero) |
                                math::flag(s, eflags::sign) | math::flag(o, eflags::overflow) |
                                math::flag(p, eflags::parity);
    const bool expected[16] = {o, !o, c, !c, z,      !z,     c || z,        !(c || z),
                               s, !s, p, !p, s != o, s == o, z || (s != o), !z && s == o};
    for (unsigned condition = 0; condition < 16; ++condition) {
      ASSERT_EQ(math::condition_holds(condition, flags), expected[condition]) << condition;
    }
  }
}

}  // namespace
}  // namespace undercroft
