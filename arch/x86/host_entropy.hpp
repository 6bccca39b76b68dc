// What of this machine nobody foretells: the low bits of the time stamp counter, which depend on
// all that went before (interrupts, memory, the far end of the serial line), and the processor's
// random numbers where it has them. No more is promised than that.
#pragma once

#include "monitor/ports.hpp"

namespace undercroft::x86 {

class HostEntropy final : public EntropySource {
 public:
  HostEntropy();
  std::uint64_t sample() override;

 private:
  bool has_random_;
};

}  // namespace undercroft::x86
