// The guest's debug registers at work: which of its breakpoints an instruction or an access meets
// (SDM volume 3, 17.2). The monitor hides the pages of armed breakpoints from the processor, so
// that each instruction that runs there or reaches there is interpreted, with its memory accesses
// seen here; so breakpoints are exact, free when there are none, and cheap for all other pages.
// While one on ports is armed, all of the guest is interpreted. Delivery of #DB is interrupts.hpp's
// business.
#pragma once

#include <array>
#include <cstdint>

#include "memory/linear_memory.hpp"
#include "vcpu.hpp"

namespace undercroft {

// DR7: whether any of the four breakpoints is enabled, locally or globally.
constexpr bool breakpoints_armed(const Vcpu& vcpu) { return vcpu.dr7 & 0xff; }

// Whether one on ports is enabled, which needs CR4.DE.
bool port_breakpoints_armed(const Vcpu&);

// The linear page numbers of the enabled breakpoints on execution and data, each in its own place.
// A breakpoint's bytes are aligned and so lie in one page.
inline constexpr std::uint32_t no_breakpoint_page = ~0u;
using BreakpointPages = std::array<std::uint32_t, 4>;
BreakpointPages breakpoint_pages(const Vcpu&);

// DR6 bits B0 to B3 of the breakpoints met by executing the instruction at the address.
std::uint32_t execution_breakpoints(const Vcpu&, GuestLinear address);
// The same for a data access of size bytes.
std::uint32_t data_breakpoints(const Vcpu&, GuestLinear address, unsigned size, bool write);

// The same for an access to I/O ports; only CR4.DE lets a breakpoint mean ports.
std::uint32_t port_breakpoints(const Vcpu&, std::uint16_t port, unsigned size);

// Hands every access on and notes which breakpoints it met.
class WatchedMemory final : public LinearMemory {
 public:
  WatchedMemory(const Vcpu& vcpu, LinearMemory& memory) : vcpu_(vcpu), memory_(memory) {}

  Guarded<std::uint32_t> read(GuestLinear, unsigned size, Privilege) override;
  Guarded<Done> write(GuestLinear, std::uint32_t value, unsigned size, Privilege) override;
  Guarded<std::uint32_t> read_to_modify(GuestLinear, unsigned size, Privilege) override;
  Guarded<Done> probe_write(GuestLinear address, unsigned size, Privilege privilege) override {
    return memory_.probe_write(address, size, privilege);
  }
  Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out,
                          Privilege privilege) override {
    return memory_.fetch(address, out, privilege);
  }
  bool is_code(GuestLinear address, std::span<const std::uint8_t> code,
               Privilege privilege) override {
    return memory_.is_code(address, code, privilege);
  }

  void note_port(std::uint16_t port, unsigned size) {
    if (breakpoints_armed(vcpu_)) hits_ |= port_breakpoints(vcpu_, port, size);
  }

  bool has_hits() const { return hits_ != 0; }
  // DR6 bits of the breakpoints met since the last call.
  std::uint32_t take_hits() {
    const std::uint32_t hits = hits_;
    hits_ = 0;
    return hits;
  }

 private:
  void note(GuestLinear address, unsigned size, bool write) {
    if (breakpoints_armed(vcpu_)) hits_ |= data_breakpoints(vcpu_, address, size, write);
  }

  const Vcpu& vcpu_;
  LinearMemory& memory_;
  std::uint32_t hits_ = 0;
};

}  // namespace undercroft
