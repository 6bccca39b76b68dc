// The host's 8259 pair: remapped to host_interrupt_base, only asked-for lines unmasked.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

class HostInterrupts {
 public:
  static constexpr unsigned lines = 16;

  void initialise();  // everything masked but the cascade
  void unmask(unsigned line);
  // Ends the interrupt; false if it was a spurious one (line 7 or 15 not in service).
  bool end(unsigned line);

 private:
  std::uint16_t mask_ = 0xffff;
};

}  // namespace undercroft::x86
