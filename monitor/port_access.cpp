// IN and OUT of code in the translation cache: done within the exit, without the interpreter
// and without leaving the cache, unless the device has something for the loop to do.
#include "monitor.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t mask_of(unsigned size) { return size == 4 ? ~0u : (1u << 8 * size) - 1; }

}  // namespace

// By IOPL the guest may reach every port, and no breakpoint is armed while translated code runs.
Monitor::Next Monitor::port_exit(const CacheExit& exit) {
  const std::uint32_t generation = cache_.generation();
  if (!read_port_at_once(exit.access)) {
    access_port(exit.access);
    // The device may have written the guest's memory, and this very code.
    if (!settle_access() || generation != cache_.generation()) {
      save_kernel_context({exit.eip + exit.access.length, PointState::boundary});
      attention_ = true;
      return Next::leave;
    }
  }
  context_.eip += port_exit_size;
  return Next::resume;
}

// IN, if the time alone decides what the port gives.
bool Monitor::read_port_at_once(PortAccess access) {
  if (access.writes) return false;
  const auto port = access.in_dx ? static_cast<std::uint16_t>(context_.edx) : access.port;
  const auto value = vm_.pc.read_time_port(port, access.size);
  if (!value) return false;
  const std::uint32_t mask = mask_of(access.size);
  context_.eax = (context_.eax & ~mask) | (*value & mask);
  return true;
}

void Monitor::access_port(PortAccess access) {
  const auto port = access.in_dx ? static_cast<std::uint16_t>(context_.edx) : access.port;
  const std::uint32_t mask = mask_of(access.size);
  if (access.writes) {
    vm_.pc.port_write(port, context_.eax & mask, access.size);
    if (vm_.pc.a20_enabled() == vcpu_.a20_masked) a20_changed();
  } else {
    context_.eax = (context_.eax & ~mask) | (vm_.pc.port_read(port, access.size) & mask);
  }
}

// What the loop does after an access, as far as it is done without leaving the guest's code. False:
// the loop has to do it.
bool Monitor::settle_access() {
  if (attention_ || input_waits_ || window_suspect_ || code_suspect_ || end_) return false;
  const bool pending = vm_.pc.interrupt_pending();
  if (pending && cpu_page_.interrupt_flag != 0) return false;
  if (nmi_deliverable() || vm_.pc.needs_service() || vm_.withdrawal.starved()) return false;
  if (vm_.pc.request().kind != PcRequest::Kind::none) return false;
  cpu_page_.interrupt_pending = pending ? eflags::interrupt : 0;
  const std::uint64_t now = vm_.pc.present();
  if (screen_.waits()) screen_.tend(now);
  arm_alarm(now);
  return true;
}

}  // namespace undercroft
