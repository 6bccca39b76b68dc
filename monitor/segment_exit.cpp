// MOV and POP to DS, ES, FS and GS in the translation cache, which kernels do several times at each
// way in and out: done within the exit, without the interpreter and without leaving the cache.
#include "breakpoints.hpp"
#include "general_registers.hpp"
#include "monitor.hpp"
#include "segment/load.hpp"

namespace undercroft {
namespace {

constexpr unsigned selector_bytes = 4;  // on the stack

}  // namespace

// Nothing if the stack is not flat, or would fault.
std::optional<std::uint32_t> Monitor::popped_selector() {
  const DescriptorCache& ss = vcpu_[Segment::ss];
  const bool flat = ss.base == 0 && ss.limit == 0xffffffff && !ss.expands_down();
  if (!flat || context_.esp > 0u - selector_bytes) return std::nullopt;
  const auto word = linear_.read(GuestLinear(context_.esp), selector_bytes, Privilege::supervisor);
  if (!word.ok()) return std::nullopt;
  return word.value();
}

// False: nothing has been done; the instruction faults, or may meet a breakpoint.
bool Monitor::load_segment_at_once(const CacheExit& exit) {
  if (breakpoints_armed(vcpu_)) return false;
  const SegmentLoad& load = exit.load;
  const auto word = load.pops
                        ? popped_selector()
                        : std::optional(register_of(context_, static_cast<Register>(load.reg)));
  if (!word) return false;
  // Setting an accessed bit is a write, which may drop this very code.
  const std::uint32_t generation = cache_.generation();
  const auto selector = static_cast<std::uint16_t>(*word);
  const auto loaded = data_segment_for(vcpu_, linear_, selector, vcpu_.cpl);
  if (!loaded.ok() || generation != cache_.generation() || code_suspect_ || window_suspect_) {
    return false;
  }
  vcpu_[load.segment] = loaded.value();
  make_kernel_segment(load.segment);
  segments_exact_ = false;
  if (load.pops) context_.esp += selector_bytes;
  context_.eflags &= ~eflags::resume;
  switch (load.segment) {
    case Segment::ds:
      context_.ds = kernel_selector(Segment::ds);
      break;
    case Segment::es:
      context_.es = kernel_selector(Segment::es);
      break;
    case Segment::fs:
      context_.fs = kernel_selector(Segment::fs);
      break;
    case Segment::gs:  // the processor's is the monitor's
    case Segment::cs:
    case Segment::ss:
      break;
  }
  return true;
}

}  // namespace undercroft
