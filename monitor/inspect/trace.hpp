// The last traps of a guest and its last interpreted instructions, in rings: cheap enough to be
// always on, and what a report shows first.
#pragma once

#include <array>
#include <cstdint>

#include "../ports.hpp"
#include "../processor.hpp"
#include "../translate/cache.hpp"
#include "../vcpu.hpp"

namespace undercroft {

struct TraceEntry {
  std::uint8_t view = 0;     // View
  std::uint16_t vector = 0;  // hardware vector
  std::uint32_t eip = 0;     // guest address, or window offset in the cache (kernel view)
  std::uint32_t error_code = 0;
  std::uint32_t address = 0;  // of a page fault
  std::uint32_t esp = 0;
};

class Trace {
 public:
  void record(View view, const GuestContext& context) {
    entries_[next_++ % entries_.size()] = {static_cast<std::uint8_t>(view),
                                           static_cast<std::uint16_t>(context.vector),
                                           context.eip,
                                           context.error_code,
                                           context.fault_address,
                                           context.esp};
  }
  // An instruction that the interpreter is about to run.
  void record_interpreted(const Vcpu& vcpu) {
    interpreted_[next_interpreted_++ % interpreted_.size()] = {vcpu[Segment::cs].selector,
                                                               vcpu.eip};
  }
  // Cache addresses are shown with the guest address they stand for, as the cache is now.
  void print(Console&, const TranslationCache&) const;

 private:
  struct Interpreted {
    std::uint16_t cs = 0;
    std::uint32_t eip = 0;
  };

  void print_interpreted(Console&) const;

  std::array<TraceEntry, 64> entries_{};
  std::uint32_t next_ = 0;
  std::array<Interpreted, 32> interpreted_{};
  std::uint32_t next_interpreted_ = 0;
};

}  // namespace undercroft
