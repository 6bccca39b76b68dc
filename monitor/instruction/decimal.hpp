// Decimal adjustment: DAA DAS AAA AAS AAM AAD as pure functions over AX and the flags, after the
// pseudo-code of SDM volume 2. Flags that it leaves undefined are chosen as in arithmetic.hpp.
#pragma once

#include <cstdint>
#include <optional>

#include "arithmetic.hpp"

namespace undercroft::arithmetic {

// DAA and DAS on AL. OF is undefined, cleared.
constexpr Outcome decimal_adjust(std::uint32_t al, std::uint32_t flags, bool subtraction) {
  const bool low = (al & 0xf) > 9 || (flags & eflags::adjust);
  const bool high = al > 0x99 || (flags & eflags::carry);
  const std::uint32_t correction = (low ? 6u : 0u) + (high ? 0x60u : 0u);
  const std::uint32_t value = (subtraction ? al - correction : al + correction) & 0xff;
  // DAS also sets CF if taking 6 away borrows, which DAA's rule for CF covers already.
  const bool borrow = subtraction && low && al < 6;
  return {value, sign_zero_parity(value, 1) | flag(low, eflags::adjust) |
                     flag(high || borrow, eflags::carry)};
}

// AAA and AAS on AX. OF, SF, ZF and PF are undefined: OF is cleared, the others follow AL.
constexpr Outcome ascii_adjust(std::uint32_t ax, std::uint32_t flags, bool subtraction) {
  const bool adjust = (ax & 0xf) > 9 || (flags & eflags::adjust);
  if (adjust) ax = subtraction ? ax - 0x106 : ax + 0x106;
  ax &= 0xff0f;
  return {ax, sign_zero_parity(ax & 0xff, 1) | flag(adjust, eflags::adjust | eflags::carry)};
}

// AAM; empty: #DE. OF, AF and CF are undefined, cleared.
constexpr std::optional<Outcome> ascii_adjust_multiply(std::uint32_t al, std::uint32_t base) {
  if (base == 0) return std::nullopt;
  const std::uint32_t low = al % base;
  return Outcome{(al / base) << 8 | low, sign_zero_parity(low, 1)};
}

// AAD. OF, AF and CF are undefined, cleared.
constexpr Outcome ascii_adjust_divide(std::uint32_t ax, std::uint32_t base) {
  const std::uint32_t value = ((ax & 0xff) + (ax >> 8 & 0xff) * base) & 0xff;
  return {value, sign_zero_parity(value, 1)};
}

}  // namespace undercroft::arithmetic
