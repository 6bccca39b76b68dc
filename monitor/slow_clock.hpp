// A clock that goes slower than the host's by a whole factor: for a guest that cannot keep up with
// its own timer's interrupts, as an interpreted one on a slow machine. The time-stamp counter stays
// the host's, so such a guest finds itself on a processor that is faster by that factor.
#pragma once

#include <cstdint>

#include "devices/device_ports.hpp"
#include "ports.hpp"

namespace undercroft {

class SlowClock final : public Clock {
 public:
  // slowness is at least 1.
  SlowClock(Clock& host, std::uint32_t slowness) : host_(host), slowness_(slowness) {}

  std::uint64_t now() override { return slowness_ == 1 ? host_.now() : host_.now() / slowness_; }

 private:
  Clock& host_;
  std::uint32_t slowness_;
};

// The host's nanoseconds in which `span` of such a clock pass; no_deadline if they are too many.
constexpr std::uint64_t host_span(std::uint64_t span, std::uint32_t slowness) {
  return span > no_deadline / slowness ? no_deadline : span * slowness;
}

}  // namespace undercroft
