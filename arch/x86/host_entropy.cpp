#include "host_entropy.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint32_t feature_random = 1u << 30;  // CPUID leaf 1, ECX

}  // namespace

HostEntropy::HostEntropy() {
  std::uint32_t words[4];
  read_cpuid(1, 0, words);
  has_random_ = (words[2] & feature_random) != 0;
}

// The high half of the counter moves too slowly to be worth anything.
std::uint64_t HostEntropy::sample() {
  const std::uint64_t random = has_random_ ? read_random() : 0;
  return read_time_stamp() ^ random << 32;
}

}  // namespace undercroft::x86
