// The host's HPET (IA-PC HPET Specification 1.0a): a counter of known frequency, and timer 0 as an
// alarm. With the legacy replacement route timer 0 interrupts on line 0 in the 8254's place.
#pragma once

#include <cstdint>

#include "host_paging.hpp"

namespace undercroft::x86 {

class Hpet {
 public:
  // address: from the ACPI tables; 0 if they tell of none. Starts the counter.
  void initialise(HostPaging&, std::uint32_t address);
  bool present() const { return frequency_ != 0; }
  bool has_alarm() const { return legacy_route_; }
  std::uint32_t frequency() const { return frequency_; }  // Hz

  std::uint32_t count() const;  // the lower 32 bits
  // From now on, alarms come on line 0 and the 8254's do not.
  void take_line_0();
  void start_alarm(std::uint32_t ticks);

 private:
  std::uint32_t frequency_ = 0;
  bool legacy_route_ = false;
};

}  // namespace undercroft::x86
