// LAR, LSL, VERR, VERW and ARPL: asking about a selector without loading it (SDM volume 2).
// Protected mode only: the caller raises #UD in real and V86 mode. The only exception possible is a
// #PF from the guest's table; everything else shows as "not accessible" (ZF = 0).
#pragma once

#include <optional>

#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "descriptor.hpp"

namespace undercroft {

// LAR: the second doubleword masked by 00F0FF00 (a 16-bit destination takes the low half).
Guarded<std::optional<std::uint32_t>> access_rights(const Vcpu&, LinearMemory&,
                                                    std::uint16_t selector);
// LSL: the limit in bytes.
Guarded<std::optional<std::uint32_t>> segment_limit(const Vcpu&, LinearMemory&,
                                                    std::uint16_t selector);
// VERR and VERW: the new ZF.
Guarded<bool> verify_read(const Vcpu&, LinearMemory&, std::uint16_t selector);
Guarded<bool> verify_write(const Vcpu&, LinearMemory&, std::uint16_t selector);

// ARPL: the adjusted destination, if its RPL was below the source's (ZF = 1).
constexpr std::optional<std::uint16_t> adjusted_rpl(std::uint16_t destination,
                                                    std::uint16_t source) {
  if (selector::rpl(destination) >= selector::rpl(source)) return std::nullopt;
  return selector::with_rpl(destination, selector::rpl(source));
}

}  // namespace undercroft
