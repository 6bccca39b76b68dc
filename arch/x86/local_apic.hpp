// The host's local APIC (SDM volume 3, chapter 11): made to let the 8259's interrupts and NMIs
// through, whatever the firmware has left, and a timer of one shot.
#pragma once

#include <cstdint>

#include "host_paging.hpp"

namespace undercroft::x86 {

class LocalApic {
 public:
  // Lines of its own, behind the sixteen of the 8259 (monitor/processor.hpp).
  static constexpr unsigned timer_line = 16, spurious_line = 31;

  // Nothing happens if there is none, or if it is switched off.
  void initialise(HostPaging&);
  bool present() const { return present_; }
  void end_of_interrupt();

  // Counts down at the bus's frequency / 16, and interrupts at the end; 0 stops it.
  void start_timer(std::uint32_t count);
  std::uint32_t timer_count() const;

 private:
  bool present_ = false;
};

}  // namespace undercroft::x86
