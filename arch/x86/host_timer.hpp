// Time on the host: the TSC, calibrated once, is the clock; the 8254, the HPET or the local APIC is
// the alarm.
#pragma once

#include <cstdint>

#include "hpet.hpp"
#include "local_apic.hpp"
#include "monitor/ports.hpp"

namespace undercroft::x86 {

enum class AlarmSource : std::uint8_t { none, pit, hpet, apic };

class HostTimer final : public Clock {
 public:
  static constexpr unsigned irq = 0;

  constexpr HostTimer(Hpet& hpet, LocalApic& apic) : hpet_(hpet), apic_(apic) {}

  // Measures the TSC by the 8254, or by the HPET, or by the ACPI timer at port power_timer (0:
  // there is none); takes 10 to 400 ms. If none of them counts, frequency is 0.
  void calibrate(std::uint16_t power_timer);
  std::uint64_t now() override;
  std::uint64_t frequency() const { return frequency_; }  // of the TSC, Hz

  // Which one raises the alarms. False, and nothing changes, if the machine has no such.
  bool select(AlarmSource);
  // The first that there is: 8254, HPET, local APIC.
  bool select_any();
  AlarmSource alarm_source() const { return source_; }
  bool has_pit() const { return has_pit_; }

  // One interrupt `nanoseconds` from now; clamped to 1 us and 50 ms. A later call replaces it.
  void set_alarm(std::uint64_t nanoseconds);

 private:
  bool measure_by_pit();
  template <class Counter>
  bool measure_by_counter(Counter read, std::uint32_t mask, std::uint32_t frequency);
  void set_frequency(std::uint64_t frequency);
  std::uint64_t measure_apic();

  Hpet& hpet_;
  LocalApic& apic_;
  AlarmSource source_ = AlarmSource::none;
  bool has_pit_ = false;
  std::uint64_t alarm_frequency_ = 0;  // Hz
  std::uint64_t start_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t frequency_ = 0;
  std::uint32_t scale_ = 0;  // nanoseconds for each tick, 8.24 bits
};

}  // namespace undercroft::x86
