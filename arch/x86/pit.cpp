#include "pit.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t channel_0 = 0x40;
constexpr std::uint16_t channel_2 = 0x42;
constexpr std::uint16_t control = 0x43;
constexpr std::uint16_t gate_port = 0x61;  // bit 0: gate 2, bit 1: speaker, bit 5: OUT 2
constexpr std::uint8_t gate = 0x01, speaker = 0x02, output = 0x20;
// Of the TSC; no processor gets there within the 55 ms that the longest count takes.
constexpr std::uint64_t patience = 1'000'000'000;

void set_gate_port(std::uint8_t clear, std::uint8_t set) {
  port_out_8(gate_port, static_cast<std::uint8_t>((port_in_8(gate_port) & ~clear) | set));
}

}  // namespace

// Mode 0: OUT is low from the control word on, and rises at the end.
std::optional<TickBounds> Pit::measure(std::uint32_t ticks) {
  set_gate_port(speaker, gate);
  port_out_8(control, 0xb0);
  port_out_8(channel_2, static_cast<std::uint8_t>(ticks));
  const std::uint64_t before_start = read_time_stamp();
  port_out_8(channel_2, static_cast<std::uint8_t>(ticks >> 8));
  const std::uint64_t after_start = read_time_stamp();
  std::uint64_t before_end = after_start;  // a time at which OUT was still low
  for (;;) {
    const std::uint64_t before_reading = read_time_stamp();
    if (port_in_8(gate_port) & output) break;
    if (before_reading - after_start > patience) return std::nullopt;
    before_end = before_reading;
  }
  if (before_end == after_start) return std::nullopt;  // OUT was never low: nobody counts
  return TickBounds{before_end - after_start, read_time_stamp() - before_start};
}

void Pit::finish_measuring() { set_gate_port(gate | speaker, 0); }

void Pit::start_alarm(std::uint32_t ticks) {
  port_out_8(control, 0x30);  // channel 0, both bytes, mode 0
  port_out_8(channel_0, static_cast<std::uint8_t>(ticks));
  port_out_8(channel_0, static_cast<std::uint8_t>(ticks >> 8));
}

}  // namespace undercroft::x86
