#include "hpet.hpp"

#include "monitor/window_layout.hpp"

namespace undercroft::x86 {
namespace {

// Offsets of the registers (table 2).
enum Register : std::uint32_t {
  capabilities = 0x000,
  period = 0x004,  // femtoseconds
  configuration = 0x010,
  main_counter = 0x0f0,
  timer_configuration = 0x100,  // of timer 0; 32 bytes apart
  timer_comparator = 0x108,
};
constexpr std::uint32_t can_replace_legacy = 1u << 15, timers_shift = 8;
constexpr std::uint32_t enabled = 1u << 0, replaces_legacy = 1u << 1;
constexpr std::uint32_t timer_interrupts = 1u << 2, timer_32_bits = 1u << 8;
constexpr std::uint32_t timer_periodic = 1u << 3, timer_level = 1u << 1;
constexpr std::uint32_t longest_period = 100'000'000;  // 2.3.1
constexpr std::uint32_t shortest_period = 100'000;

volatile std::uint32_t& at(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(window::hpet + offset);
}

}  // namespace

void Hpet::initialise(HostPaging& paging, std::uint32_t address) {
  const HostPhysical place(address);
  if (address == 0 || place.page_offset() != 0) return;  // the window shows whole pages
  paging.show_device(window::hpet, place);
  const std::uint32_t femtoseconds = at(period);
  if (femtoseconds < shortest_period || femtoseconds > longest_period) return;
  frequency_ = static_cast<std::uint32_t>(1'000'000'000'000'000ull / femtoseconds);
  legacy_route_ = (at(capabilities) & can_replace_legacy) != 0;
  const std::uint32_t timers = (at(capabilities) >> timers_shift & 0x1f) + 1;
  for (std::uint32_t i = 0; i < timers; ++i) {
    volatile std::uint32_t& timer = at(timer_configuration + i * 32);
    timer = timer & ~(timer_interrupts | timer_periodic | timer_level);
  }
  at(configuration) = (at(configuration) & ~replaces_legacy) | enabled;
}

std::uint32_t Hpet::count() const { return at(main_counter); }

void Hpet::take_line_0() {
  at(configuration) = at(configuration) | replaces_legacy;
  at(timer_configuration) = at(timer_configuration) | timer_interrupts | timer_32_bits;
}

// The comparator has to be ahead of the counter when it is written, or nothing comes until the
// counter has gone round.
void Hpet::start_alarm(std::uint32_t ticks) {
  for (std::uint32_t ahead = ticks;; ahead *= 2) {
    const std::uint32_t target = count() + ahead;
    at(timer_comparator) = target;
    if (static_cast<std::int32_t>(target - count()) > 0) return;
  }
}

}  // namespace undercroft::x86
