#include "host_entropy.hpp"

#include <array>

#include "instructions.hpp"
#include "monitor/devices/entropy_estimate.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint32_t feature_random = 1u << 30;   // CPUID leaf 1, ECX
constexpr std::uint16_t system_control_port = 0x61;  // reading it changes nothing
constexpr unsigned key_bits = 256;
constexpr unsigned measured_samples = 1024;
// Neighbours depend on each other in ways that the estimate does not look for.
constexpr unsigned believed_part = 4;
// Of each sample half is a random number.
constexpr unsigned samples_with_random_numbers = key_bits / 32;

}  // namespace

HostEntropy::HostEntropy() {
  std::uint32_t words[4];
  read_cpuid(1, 0, words);
  has_random_ = (words[2] & feature_random) != 0;
  samples_of_a_key_ = has_random_ ? samples_with_random_numbers : measure();
}

// By the low bytes of the times between samples.
unsigned HostEntropy::measure() {
  std::array<std::uint8_t, measured_samples> times;
  std::uint64_t before = sample();
  for (std::uint8_t& time : times) {
    const std::uint64_t now = sample();
    time = static_cast<std::uint8_t>(now - before);
    before = now;
  }
  constexpr unsigned sixteenths_of_a_key = key_bits * 16;
  const unsigned sixteenths = estimated_entropy(times);
  return sixteenths == 0 ? 0 : sixteenths_of_a_key * believed_part / sixteenths;
}

// The high half of the counter moves too slowly to be worth anything.
std::uint64_t HostEntropy::sample() {
  const std::uint64_t random = has_random_ ? read_random() : 0;
  port_in_8(system_control_port);
  return read_time_stamp() ^ random << 32;
}

}  // namespace undercroft::x86
