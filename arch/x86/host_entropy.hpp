// What of this machine nobody foretells: the processor's random numbers where it has them, and how
// long a port of the chipset takes to answer, in ticks of the time stamp counter: the two have
// clocks of their own, and what is between them has other work to do. How much that is worth is
// measured at the start.
#pragma once

#include "monitor/ports.hpp"

namespace undercroft::x86 {

class HostEntropy final : public EntropySource {
 public:
  // Takes a thousand samples where the processor has no random numbers: a millisecond or two.
  HostEntropy();
  std::uint64_t sample() override;
  unsigned samples_of_a_key() const override { return samples_of_a_key_; }

  bool has_random_numbers() const { return has_random_; }

 private:
  unsigned measure();

  bool has_random_;
  unsigned samples_of_a_key_;
};

}  // namespace undercroft::x86
