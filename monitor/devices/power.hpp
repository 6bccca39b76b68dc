// What ends or restarts the machine: the ACPI power-management block, the reset control register,
// system control port A, Bochs' shutdown port, and isa-debug-exit. Sources: ACPI 1.0, section 4.7;
// Intel 82371AB (PIIX4) and 82441FX; Bochs' iodebug; QEMU's documentation.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

// What the guest has asked of the machine as a whole.
struct PcRequest {
  enum class Kind : std::uint8_t { none, power_off, reset, exit };
  Kind kind = Kind::none;
  std::uint32_t value = 0;  // exit: what was written to isa-debug-exit
  constexpr bool operator==(const PcRequest&) const = default;
};

class Power {
 public:
  Power() = default;
  // Whether the firmware has switched ACPI on, which the guest sees in SCI_EN and cannot change.
  explicit Power(bool acpi) : control_{acpi ? std::uint8_t{1} : std::uint8_t{0}, 0} {}

  // The ACPI block: offsets 0 to 3 PM1 event, 4 and 5 PM1 control, 8 to 11 the 3.579545 MHz timer.
  std::uint8_t read_acpi(unsigned offset, std::uint64_t now) const;
  void write_acpi(unsigned offset, std::uint8_t value, std::uint64_t now);
  // The interrupt of ACPI: the timer's highest bit has changed, and that is enabled.
  bool interrupt_line(std::uint64_t now) const {
    return timer_event_enabled() && timer_status(now);
  }
  std::uint64_t next_deadline(std::uint64_t now) const;  // when it rises; no_deadline if not
  // The timer's 24 bits; by a fixed-point factor, since guests read it in tight loops. It is one
  // part in 10^10 too fast.
  static constexpr std::uint32_t timer(std::uint64_t now) { return ticks(now) & 0xffffff; }

  // Port 0xcf9: bit 2 resets as it rises, bit 1 says how hard.
  std::uint8_t read_reset_control() const { return reset_control_; }
  void write_reset_control(std::uint8_t value);

  // Port 0x92: bit 1 is A20, bit 0 resets as it rises.
  std::uint8_t read_port_a() const { return port_a_; }
  void write_port_a(std::uint8_t value);
  bool a20() const { return (port_a_ & 2) != 0; }

  void write_bochs_shutdown(std::uint8_t value);  // port 0x8900: the word "Shutdown"
  void write_debug_exit(std::uint32_t value) { ask({PcRequest::Kind::exit, value}); }

  void ask(PcRequest request) {  // the first request stays
    if (request_.kind == PcRequest::Kind::none) request_ = request;
  }
  PcRequest request() const { return request_; }

 private:
  static constexpr std::uint64_t timer_hertz = 3579545;
  // In 2^-40.
  static constexpr std::uint64_t per_nanosecond = (timer_hertz << 40) / 1'000'000'000 + 1;
  static constexpr std::uint32_t ticks(std::uint64_t now) {
    return static_cast<std::uint32_t>(now * per_nanosecond >> 40);
  }
  // How often the highest of the 24 bits has changed.
  static constexpr std::uint64_t half_periods(std::uint64_t now) {
    const std::uint64_t low = (now & 0xffffffff) * per_nanosecond >> 32;
    return ((now >> 32) * per_nanosecond + low) >> (8 + 23);
  }
  bool timer_status(std::uint64_t now) const { return half_periods(now) != half_periods_seen_; }
  bool timer_event_enabled() const { return (event_enable_[0] & 1) != 0; }

  std::array<std::uint8_t, 2> event_enable_{};
  std::array<std::uint8_t, 2> control_{};
  std::uint64_t half_periods_seen_ = 0;  // when the guest cleared the status
  std::uint8_t reset_control_ = 0;
  std::uint8_t port_a_ = 0x02;
  std::uint8_t shutdown_letters_ = 0;
  PcRequest request_{};
};

}  // namespace undercroft
