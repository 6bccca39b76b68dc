#include "power.hpp"

#include <string_view>

#include "device_ports.hpp"

namespace undercroft {
namespace {

constexpr unsigned event_status = 0, event_enable = 2, control = 4, timer_offset = 8;
constexpr std::uint8_t timer_event = 0x01;  // TMR_STS, written to clear it
constexpr std::uint8_t sci_enable = 0x01, bus_master_wakes = 0x02;
constexpr std::uint8_t control_sleep = 0x20;  // SLP_EN, bit 13 of PM1 control; reads as 0
constexpr std::uint8_t reset_processor = 0x04;
constexpr std::uint8_t port_a_reset = 0x01;
constexpr std::string_view shutdown_word = "Shutdown";

}  // namespace

std::uint8_t Power::read_acpi(unsigned offset, std::uint64_t now) const {
  if (offset >= timer_offset) {
    return static_cast<std::uint8_t>(timer(now) >> 8 * (offset - timer_offset));
  }
  if (offset >= control) return offset < control + 2 ? control_[offset - control] : std::uint8_t{0};
  if (offset >= event_enable) return event_enable_[offset - event_enable];
  return offset == event_status && timer_status(now) ? timer_event : std::uint8_t{0};
}

// Every sleep type is soft-off here: there is nothing to wake the machine.
void Power::write_acpi(unsigned offset, std::uint8_t value, std::uint64_t now) {
  if (offset == event_status) {
    if ((value & timer_event) != 0) half_periods_seen_ = half_periods(now);
  } else if (offset == event_enable || offset == event_enable + 1) {
    event_enable_[offset - event_enable] = value;
  } else if (offset == control) {
    control_[0] =
        static_cast<std::uint8_t>((control_[0] & sci_enable) | (value & bus_master_wakes));
  } else if (offset == control + 1) {
    control_[1] = value & static_cast<std::uint8_t>(~control_sleep);
    if ((value & control_sleep) != 0) ask({PcRequest::Kind::power_off, 0});
  }
}

// Late by a nanosecond for each half period, since the length of one is rounded up.
std::uint64_t Power::next_deadline(std::uint64_t now) const {
  if (!timer_event_enabled() || timer_status(now)) return no_deadline;
  constexpr std::uint64_t half_period = (std::uint64_t{1} << 63) / per_nanosecond + 1;
  return (half_periods_seen_ + 1) * half_period;
}

void Power::write_reset_control(std::uint8_t value) {
  if ((value & ~reset_control_ & reset_processor) != 0) ask({PcRequest::Kind::reset, 0});
  reset_control_ = value & 0x0e;
}

void Power::write_port_a(std::uint8_t value) {
  if ((value & ~port_a_ & port_a_reset) != 0) ask({PcRequest::Kind::reset, 0});
  port_a_ = value & 0x03;
}

void Power::write_bochs_shutdown(std::uint8_t value) {
  if (value != static_cast<std::uint8_t>(shutdown_word[shutdown_letters_])) {
    shutdown_letters_ = value == static_cast<std::uint8_t>(shutdown_word[0]) ? 1 : 0;
    return;
  }
  if (++shutdown_letters_ < shutdown_word.size()) return;
  shutdown_letters_ = 0;
  ask({PcRequest::Kind::power_off, 0});
}

}  // namespace undercroft
