#include "breakpoints.hpp"

namespace undercroft {
namespace {

enum class BreakOn : std::uint8_t { execution, write, port, access };

// One breakpoint's fields of DR7 (SDM volume 3, 17.2.4).
struct Breakpoint {
  bool enabled;
  BreakOn on;
  std::uint32_t bytes;  // 1, 2, 4 or 8
  std::uint32_t first;  // linear, cut to a multiple of `bytes`
};

Breakpoint breakpoint(const Vcpu& vcpu, unsigned n) {
  constexpr std::uint32_t lengths[4] = {1, 2, 8, 4};
  const std::uint32_t fields = vcpu.dr7 >> (16 + 4 * n);
  const std::uint32_t bytes = lengths[fields >> 2 & 3];
  return {(vcpu.dr7 >> (2 * n) & 3) != 0, static_cast<BreakOn>(fields & 3), bytes,
          vcpu.breakpoints[n] & ~(bytes - 1)};
}

// Without CR4.DE what would mean ports means nothing (SDM volume 3, 17.2.4: undefined).
bool meets_memory(const Breakpoint& b) { return b.enabled && b.on != BreakOn::port; }

}  // namespace

bool port_breakpoints_armed(const Vcpu& vcpu) {
  if (!(vcpu.cr4 & cr4::debugging_extensions)) return false;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(vcpu, n);
    if (b.enabled && b.on == BreakOn::port) return true;
  }
  return false;
}

BreakpointPages breakpoint_pages(const Vcpu& vcpu) {
  BreakpointPages pages{};
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(vcpu, n);
    const GuestLinear first(b.on == BreakOn::execution ? vcpu.breakpoints[n] : b.first);
    pages[n] = meets_memory(b) ? first.page_number() : no_breakpoint_page;
  }
  return pages;
}

std::uint32_t execution_breakpoints(const Vcpu& vcpu, GuestLinear address) {
  std::uint32_t hits = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(vcpu, n);
    if (b.enabled && b.on == BreakOn::execution && vcpu.breakpoints[n] == address.value()) {
      hits |= 1u << n;
    }
  }
  return hits;
}

std::uint32_t data_breakpoints(const Vcpu& vcpu, GuestLinear address, unsigned size, bool write) {
  std::uint32_t hits = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(vcpu, n);
    const bool kind = b.on == BreakOn::access || (write && b.on == BreakOn::write);
    const bool overlap = address.value() - b.first < b.bytes || b.first - address.value() < size;
    if (b.enabled && kind && overlap) hits |= 1u << n;
  }
  return hits;
}

std::uint32_t port_breakpoints(const Vcpu& vcpu, std::uint16_t port, unsigned size) {
  if (!(vcpu.cr4 & cr4::debugging_extensions)) return 0;
  std::uint32_t hits = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(vcpu, n);
    const bool overlap = port - b.first < b.bytes || b.first - port < size;
    if (b.enabled && b.on == BreakOn::port && overlap) hits |= 1u << n;
  }
  return hits;
}

Guarded<std::uint32_t> WatchedMemory::read(GuestLinear address, unsigned size,
                                           Privilege privilege) {
  const auto value = memory_.read(address, size, privilege);
  if (value) note(address, size, false);
  return value;
}

Guarded<Done> WatchedMemory::write(GuestLinear address, std::uint32_t value, unsigned size,
                                   Privilege privilege) {
  const auto done = memory_.write(address, value, size, privilege);
  if (done) note(address, size, true);
  return done;
}

Guarded<std::uint32_t> WatchedMemory::read_to_modify(GuestLinear address, unsigned size,
                                                     Privilege privilege) {
  const auto value = memory_.read_to_modify(address, size, privilege);
  if (value) note(address, size, false);
  return value;
}

}  // namespace undercroft
