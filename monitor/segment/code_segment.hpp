// Checks that far transfers, interrupt delivery and task switches make of a code segment before CS
// is loaded (SDM volume 3, 5.8.1 to 5.8.4). Used inside segment/ and by interrupts.
#pragma once

#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "load.hpp"

namespace undercroft {

inline Failure<Exception> refuse_selector(Vector vector, std::uint16_t selector) {
  return Failure{Exception::with_code(vector, selector::error_code(selector))};
}

// Whether the selector's segment may be entered from privilege level `cpl` without a gate: by far
// JMP and CALL to its own selector.
constexpr bool may_jump(Descriptor code, std::uint16_t selector, unsigned cpl) {
  if (code.is_conforming()) return code.dpl() <= cpl;
  return selector::rpl(selector) <= cpl && code.dpl() == cpl;
}

// Whether a return may go to the segment: privilege level = the selector's RPL.
constexpr bool may_return(Descriptor code, std::uint16_t selector) {
  const unsigned rpl = selector::rpl(selector);
  return code.is_conforming() ? code.dpl() <= rpl : code.dpl() == rpl;
}

// The entry of a code segment, present; `vector`(selector) if it is no code, `vector`(0) if null.
inline Guarded<TableEntry> lookup_code(const Vcpu& vcpu, LinearMemory& memory,
                                       std::uint16_t selector,
                                       Vector vector = Vector::general_protection) {
  if (selector::is_null(selector)) return refuse_selector(vector, 0);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector, vector));
  if (!entry.descriptor.is_code()) return refuse_selector(vector, selector);
  return entry;
}

inline Guarded<Done> require_present(Descriptor descriptor, std::uint16_t selector) {
  if (!descriptor.present()) return refuse_selector(Vector::segment_not_present, selector);
  return Done{};
}

// #GP(0) if a transfer to `offset` would leave the segment.
inline Guarded<Done> require_offset(std::uint32_t offset, std::uint32_t limit) {
  if (offset > limit) return Failure{Exception::general_protection()};
  return Done{};
}

// Null the data registers that the outer privilege level must not use (SDM volume 2, RET and IRET).
// A null selector's RPL goes too, as on processors, where its hidden part has DPL 0.
constexpr void drop_inner_segments(Vcpu& vcpu) {
  for (const Segment segment : {Segment::es, Segment::ds, Segment::fs, Segment::gs}) {
    DescriptorCache& cache = vcpu[segment];
    const bool usable_here = cache.is_conforming() || cache.dpl() >= vcpu.cpl;
    if (!cache.usable || !usable_here) cache = null_cache(0);
  }
}

}  // namespace undercroft
