// The host's 8254: channel 2 measures, channel 0 is an alarm on line 0. Machines exist where it
// does not count.
#pragma once

#include <cstdint>
#include <optional>

namespace undercroft::x86 {

// How many ticks of the TSC something took: somewhere between the two.
struct TickBounds {
  std::uint64_t least = 0, most = ~std::uint64_t{0};
  std::uint64_t width() const { return most - least; }
};

class Pit {
 public:
  static constexpr std::uint32_t frequency = 1193182;  // Hz

  // Counts `ticks` down (up to 65535); uses channel 2 and port 0x61. Empty if the end does not
  // come.
  static std::optional<TickBounds> measure(std::uint32_t ticks);
  static void finish_measuring();
  // One interrupt on line 0; 2 to 65535 ticks.
  static void start_alarm(std::uint32_t ticks);
};

}  // namespace undercroft::x86
