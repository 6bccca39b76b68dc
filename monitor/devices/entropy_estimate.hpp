// How hard samples of a noise source are to foretell, estimated with care. Source: NIST SP 800-90B,
// section 6.3.1 (the most common value estimate, with its 99 % bound). What the samples are is
// their source's business.
#pragma once

#include <cstdint>
#include <span>

namespace undercroft {

// Min-entropy of one of the values in sixteenths of a bit, rounded down: 0 to 128. The smaller of
// the estimates for the values and for their differences, so that steady counting is worth nothing;
// other patterns are not looked for. At least 2 and at most 4096 values.
unsigned estimated_entropy(std::span<const std::uint8_t> values);

}  // namespace undercroft
