// The MC146818A real-time clock and the CMOS memory behind ports 0x70 and 0x71. Data sheet:
// Motorola MC146818A; CMOS layout as PC firmware fills it. The time is computed from the Clock;
// daylight saving is not modelled.
#pragma once

#include <array>
#include <cstdint>

#include "calendar.hpp"

namespace undercroft {

class RealTimeClock {
 public:
  RealTimeClock(std::uint64_t unix_seconds, std::uint64_t ram_bytes, std::uint64_t now);

  // Offset 0 is port 0x70 (index; bit 7 masks NMI), offset 1 port 0x71 (data).
  std::uint8_t read(unsigned offset, std::uint64_t now);
  void write(unsigned offset, std::uint8_t value, std::uint64_t now);

  void advance(std::uint64_t now);  // sets the flags of all that is due
  bool interrupt_line() const { return (registers_[register_c] & 0x80) != 0; }  // IRQ 8
  // When the line can next rise. With an alarm armed this is each second, as the chip compares.
  std::uint64_t next_deadline(std::uint64_t now) const;
  bool nmi_enabled() const { return nmi_enabled_; }

 private:
  static constexpr unsigned register_a = 10;
  static constexpr unsigned register_b = 11;
  static constexpr unsigned register_c = 12;
  static constexpr unsigned register_d = 13;
  static constexpr unsigned century = 0x32;

  static bool is_time(unsigned index) { return index <= 9 || index == century; }
  bool stopped() const;  // SET, or the divider held in reset
  std::uint64_t elapsed(std::uint64_t now) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(now) - phase_);
  }
  std::uint64_t seconds_at(std::uint64_t now) const { return elapsed(now) / 1'000'000'000u; }
  void show_time();  // time registers from time_
  void take_time();  // time_ from the time registers
  void catch_up_seconds(std::uint64_t now);
  void catch_up_periodic(std::uint64_t now);
  bool alarm_matches(const CalendarTime&) const;
  void update_line();
  bool update_in_progress(std::uint64_t now) const;
  std::uint32_t periodic_ticks() const;  // of 32768 Hz; 0 if off
  std::uint64_t oscillator_ticks(std::uint64_t now) const;
  void write_register(unsigned index, std::uint8_t value, std::uint64_t now);
  void write_control_a(std::uint8_t value, std::uint64_t now);
  void fill_memory_size(std::uint64_t ram_bytes);
  std::uint8_t encode(std::uint32_t value) const;
  std::uint32_t decode(std::uint8_t value) const;
  std::uint32_t decode_hour(std::uint8_t value) const;

  std::array<std::uint8_t, 128> registers_{};
  std::uint8_t index_ = 0;
  bool nmi_enabled_ = true;
  // Seconds begin at this moment, perhaps before the Clock's zero, and each 10^9 ns after it.
  std::int64_t phase_ = 0;
  std::uint64_t seconds_ = 0;  // of those that have been accounted for
  std::uint64_t periods_ = 0;  // periodic interrupts accounted for
  CalendarTime time_{};
  std::uint32_t weekday_ = 1;  // 1 is Sunday
};

}  // namespace undercroft
