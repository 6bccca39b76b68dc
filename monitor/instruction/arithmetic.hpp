// The results and flags of the integer instructions, as pure functions over 8, 16 and 32 bit
// values. Operands come zero-extended, results leave so. SDM volume 1, appendix A is the table of
// flags; where it says undefined, the comment says what is done: it is what current processors do,
// found by tests/differential/native_test.
#pragma once

#include <cstdint>
#include <optional>

#include "../vcpu.hpp"

namespace undercroft::arithmetic {

// A value and the six arithmetic flags. The other bits of flags are 0.
struct Outcome {
  std::uint32_t value = 0;
  std::uint32_t flags = 0;
};

constexpr unsigned bits(unsigned width) { return 8 * width; }
constexpr std::uint32_t mask(unsigned width) { return 0xffffffffu >> (32 - bits(width)); }
constexpr std::uint32_t sign_bit(unsigned width) { return 1u << (bits(width) - 1); }
constexpr std::uint32_t sign_extend(std::uint32_t value, unsigned width) {
  const std::uint32_t sign = sign_bit(width);
  return ((value & mask(width)) ^ sign) - sign;
}
constexpr std::uint32_t flag(bool condition, std::uint32_t bit) { return condition ? bit : 0; }

// PF looks at the low byte only; 0x9669 is the table of even parity of four bits.
constexpr std::uint32_t parity_flag(std::uint32_t value) {
  return (0x9669u >> ((value ^ value >> 4) & 0xf) & 1) * eflags::parity;
}
constexpr std::uint32_t sign_zero_parity(std::uint32_t value, unsigned width) {
  return flag(value & sign_bit(width), eflags::sign) | flag(value == 0, eflags::zero) |
         parity_flag(value);
}

constexpr Outcome add(std::uint32_t a, std::uint32_t b, std::uint32_t carry, unsigned width) {
  const std::uint32_t value = (a + b + carry) & mask(width);
  const std::uint32_t carries = (a & b) | ((a | b) & ~value);
  return {value, sign_zero_parity(value, width) | flag(carries & sign_bit(width), eflags::carry) |
                     ((a ^ b ^ value) & eflags::adjust) |
                     flag((a ^ value) & (b ^ value) & sign_bit(width), eflags::overflow)};
}

constexpr Outcome subtract(std::uint32_t a, std::uint32_t b, std::uint32_t borrow, unsigned width) {
  const std::uint32_t value = (a - b - borrow) & mask(width);
  const std::uint32_t borrows = (~a & b) | ((~a | b) & value);
  return {value, sign_zero_parity(value, width) | flag(borrows & sign_bit(width), eflags::carry) |
                     ((a ^ b ^ value) & eflags::adjust) |
                     flag((a ^ b) & (a ^ value) & sign_bit(width), eflags::overflow)};
}

// AND, OR, XOR, TEST: CF = OF = 0; AF is undefined, cleared.
constexpr Outcome logic(std::uint32_t value, unsigned width) {
  return {value, sign_zero_parity(value, width)};
}

// INC and DEC leave CF alone: their flags do not hold it.
constexpr Outcome increment(std::uint32_t a, unsigned width) {
  Outcome outcome = add(a, 1, 0, width);
  outcome.flags &= ~eflags::carry;
  return outcome;
}
constexpr Outcome decrement(std::uint32_t a, unsigned width) {
  Outcome outcome = subtract(a, 1, 0, width);
  outcome.flags &= ~eflags::carry;
  return outcome;
}

// The shifts take a count that is masked to 5 bits and is not 0: a count of 0 changes no flag,
// which is the caller's business. OF is defined for a count of 1 only, and computed by the same
// rule for all. AF is undefined, cleared. CF for a count beyond the width is 0 (SAR: the sign).
constexpr Outcome shift_left(std::uint32_t a, unsigned count, unsigned width) {
  const std::uint64_t wide = std::uint64_t{a} << count;
  const std::uint32_t value = static_cast<std::uint32_t>(wide) & mask(width);
  const bool carry = wide >> bits(width) & 1;
  return {value, sign_zero_parity(value, width) | flag(carry, eflags::carry) |
                     flag(bool(value & sign_bit(width)) != carry, eflags::overflow)};
}
constexpr Outcome shift_right(std::uint32_t a, unsigned count, unsigned width) {
  const std::uint32_t value = a >> count;
  // The top two bits of the result differ only after a shift by one of a negative value.
  return {value, sign_zero_parity(value, width) | flag(a >> (count - 1) & 1, eflags::carry) |
                     flag((value << 1 ^ value) & sign_bit(width), eflags::overflow)};
}
constexpr Outcome shift_arithmetic_right(std::uint32_t a, unsigned count, unsigned width) {
  const std::int32_t extended = static_cast<std::int32_t>(sign_extend(a, width));
  const std::uint32_t value = static_cast<std::uint32_t>(extended >> count) & mask(width);
  return {value, sign_zero_parity(value, width) | flag(extended >> (count - 1) & 1, eflags::carry)};
}

// Rotates change CF and OF only: their flags hold nothing else. Masked count, not 0.
constexpr Outcome rotate_left(std::uint32_t a, unsigned count, unsigned width) {
  const unsigned turn = count % bits(width);
  const std::uint32_t value = turn == 0 ? a : (a << turn | a >> (bits(width) - turn)) & mask(width);
  const bool carry = value & 1;
  return {value, flag(carry, eflags::carry) |
                     flag(bool(value & sign_bit(width)) != carry, eflags::overflow)};
}
constexpr Outcome rotate_right(std::uint32_t a, unsigned count, unsigned width) {
  const unsigned turn = count % bits(width);
  const std::uint32_t value = turn == 0 ? a : (a >> turn | a << (bits(width) - turn)) & mask(width);
  return {value, flag(value & sign_bit(width), eflags::carry) |
                     flag((value << 1 ^ value) & sign_bit(width), eflags::overflow)};
}

// Rotates through carry go round in width + 1 bits; a full turn leaves value and CF as they were
// (OF, undefined, follows the rule all the same).
constexpr Outcome rotate_left_through_carry(std::uint32_t a, bool carry, unsigned count,
                                            unsigned width) {
  const unsigned turn = count % (bits(width) + 1);
  std::uint64_t ring = std::uint64_t{carry} << bits(width) | a;
  ring = turn == 0 ? ring : ring << turn | ring >> (bits(width) + 1 - turn);
  const std::uint32_t value = static_cast<std::uint32_t>(ring) & mask(width);
  const bool out = ring >> bits(width) & 1;
  return {value,
          flag(out, eflags::carry) | flag(bool(value & sign_bit(width)) != out, eflags::overflow)};
}
constexpr Outcome rotate_right_through_carry(std::uint32_t a, bool carry, unsigned count,
                                             unsigned width) {
  const unsigned turn = count % (bits(width) + 1);
  std::uint64_t ring = std::uint64_t{carry} << bits(width) | a;
  ring = turn == 0 ? ring : ring >> turn | ring << (bits(width) + 1 - turn);
  const std::uint32_t value = static_cast<std::uint32_t>(ring) & mask(width);
  return {value, flag(ring >> bits(width) & 1, eflags::carry) |
                     flag((value << 1 ^ value) & sign_bit(width), eflags::overflow)};
}

// SHLD and SHRD: width 2 or 4, masked count, not 0. With 16 bits and a count beyond 16 the result
// is undefined; the operands are taken to go round (destination : source : destination). OF
// (undefined but for a count of 1) is whether the sign changed in the last step. AF is undefined,
// cleared.
constexpr Outcome shift_left_double(std::uint32_t a, std::uint32_t fill, unsigned count,
                                    unsigned width) {
  const std::uint64_t line =
      width == 4 ? std::uint64_t{a} << 32 | fill : std::uint64_t{a} << 32 | fill << 16 | a;
  const std::uint32_t value = static_cast<std::uint32_t>(line << count >> 32) & mask(width);
  const bool carry = line << (count - 1) >> (31 + bits(width)) & 1;
  return {value, sign_zero_parity(value, width) | flag(carry, eflags::carry) |
                     flag(bool(value & sign_bit(width)) != carry, eflags::overflow)};
}
constexpr Outcome shift_right_double(std::uint32_t a, std::uint32_t fill, unsigned count,
                                     unsigned width) {
  const std::uint64_t line =
      width == 4 ? std::uint64_t{fill} << 32 | a : std::uint64_t{a} << 32 | fill << 16 | a;
  const std::uint32_t value = static_cast<std::uint32_t>(line >> count) & mask(width);
  return {value, sign_zero_parity(value, width) | flag(line >> (count - 1) & 1, eflags::carry) |
                     flag((value << 1 ^ value) & sign_bit(width), eflags::overflow)};
}

// A product of twice the width. CF = OF = whether the upper half is needed. SF and PF (undefined)
// follow the lower half, ZF and AF (undefined) are cleared.
struct Product {
  std::uint32_t low = 0, high = 0;
  std::uint32_t flags = 0;
};
constexpr Product product_of(std::uint64_t wide, bool overflow, unsigned width) {
  const std::uint32_t low = static_cast<std::uint32_t>(wide) & mask(width);
  return {low, static_cast<std::uint32_t>(wide >> bits(width)) & mask(width),
          (sign_zero_parity(low, width) & ~eflags::zero) |
              flag(overflow, eflags::carry | eflags::overflow)};
}
constexpr Product multiply(std::uint32_t a, std::uint32_t b, unsigned width) {
  const std::uint64_t wide = std::uint64_t{a} * b;
  return product_of(wide, wide >> bits(width), width);
}
constexpr Product multiply_signed(std::uint32_t a, std::uint32_t b, unsigned width) {
  const auto extended = [width](std::uint32_t value) {
    return std::int64_t{static_cast<std::int32_t>(sign_extend(value, width))};
  };
  const std::int64_t wide = extended(a) * extended(b);
  const std::int64_t kept = extended(static_cast<std::uint32_t>(wide) & mask(width));
  return product_of(static_cast<std::uint64_t>(wide), wide != kept, width);
}

struct Quotient {
  std::uint32_t quotient = 0, remainder = 0;
};
// Empty: #DE. dividend has twice the width. The flags are undefined and stay as they were.
constexpr std::optional<Quotient> divide(std::uint64_t dividend, std::uint32_t divisor,
                                         unsigned width) {
  // Compared before dividing: the upper half tells whether the quotient fits.
  if (divisor == 0 || dividend >> bits(width) >= divisor) return std::nullopt;
  return Quotient{static_cast<std::uint32_t>(dividend / divisor),
                  static_cast<std::uint32_t>(dividend % divisor)};
}
// By magnitudes, so that no signed division can overflow.
constexpr std::optional<Quotient> divide_signed(std::uint64_t dividend, std::uint32_t divisor,
                                                unsigned width) {
  const unsigned spare = 64 - 2 * bits(width);
  const auto wide = static_cast<std::int64_t>(dividend << spare) >> spare;
  const std::uint32_t narrow = sign_extend(divisor, width);
  const bool negative = wide < 0;
  const bool divisor_negative = narrow >> 31;
  const auto magnitude =
      negative ? 0 - static_cast<std::uint64_t>(wide) : static_cast<std::uint64_t>(wide);
  const auto unsigned_result = divide(magnitude, divisor_negative ? 0 - narrow : narrow, width);
  if (!unsigned_result) return std::nullopt;
  const bool quotient_negative = negative != divisor_negative;
  const std::uint32_t largest = mask(width) >> 1;
  if (unsigned_result->quotient > (quotient_negative ? largest + 1 : largest)) return std::nullopt;
  const auto signed_value = [width](std::uint32_t value, bool minus) {
    return (minus ? 0 - value : value) & mask(width);
  };
  return Quotient{signed_value(unsigned_result->quotient, quotient_negative),
                  signed_value(unsigned_result->remainder, negative)};
}

// The condition of Jcc, SETcc and CMOVcc: the low four bits of the opcode (SDM volume 2, B.1.4.7).
constexpr bool condition_holds(unsigned condition, std::uint32_t flags) {
  const bool less = bool(flags & eflags::sign) != bool(flags & eflags::overflow);
  bool holds = false;
  switch (condition >> 1 & 7) {
    case 0:
      holds = flags & eflags::overflow;
      break;
    case 1:
      holds = flags & eflags::carry;
      break;
    case 2:
      holds = flags & eflags::zero;
      break;
    case 3:
      holds = flags & (eflags::carry | eflags::zero);
      break;
    case 4:
      holds = flags & eflags::sign;
      break;
    case 5:
      holds = flags & eflags::parity;
      break;
    case 6:
      holds = less;
      break;
    case 7:
      holds = less || (flags & eflags::zero);
      break;
  }
  return holds != bool(condition & 1);
}

}  // namespace undercroft::arithmetic
