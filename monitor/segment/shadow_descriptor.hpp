// What stands in the hardware's descriptor tables for a guest's descriptor or descriptor cache
// (design section 5). Pure functions; where the images live is descriptor_shadow's business.
#pragma once

#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "descriptor.hpp"

namespace undercroft {

// Kernel view: a descriptor of DPL 3 that gives the processor the cache's base, limit and type. The
// accessed bit is set, so that the processor never writes it; conforming is cleared. An unusable
// cache gives 0, the null descriptor: loading it faults as not present. An execute-only code cache
// stays so: it cannot be loaded into a data register, just as the guest cannot read through it.
constexpr std::uint64_t kernel_view_descriptor(const DescriptorCache& cache) {
  if (!cache.usable) return 0;
  std::uint16_t attributes = cache.attributes | attribute::dpl | attribute::present |
                             attribute::code_or_data | attribute::accessed;
  attributes &= static_cast<std::uint16_t>(~attribute::reserved_long);
  if (cache.is_code()) {
    attributes &= static_cast<std::uint16_t>(~attribute::conforming_or_expand_down);
  }
  return Descriptor::segment(cache.base, cache.limit, attributes).raw();
}

// User view: as the guest's, with its true DPL, so that the processor's own checks and LAR, LSL,
// VERR and VERW at CPL 3 tell the truth. What could take the processor out of the guest is made to
// trap:
// - gates keep everything but their target selector, which is null: a use raises #GP(0);
// - a TSS of DPL 3 (all others are out of CPL 3's reach, and LAR and LSL cannot see them) gets
// limit 0
//   and base 0, so that a jump to it raises #TS before anything is switched. LAR stays right but
//   for the G bit; LSL gives 0 there, the one departure. TSSs of other DPLs get the same treatment
//   unseen.
// LDT descriptors and reserved types can only fault at CPL 3 and are kept.
constexpr std::uint64_t user_view_descriptor(Descriptor guest) {
  if (guest.is_code_or_data()) return guest.raw();
  if (guest.is_gate()) return guest.with_gate_selector(0).raw();
  if (guest.is_tss()) {
    return Descriptor::segment(0, 0, guest.attributes()).raw();
  }
  return guest.raw();
}

// Whether reloading the register's selector at the current CPL from the guest's tables would
// succeed and give the cache now held (design section 1: the rule for direct execution). The
// accessed bit is not compared: a reload sets it.
bool matches_table(const Vcpu&, LinearMemory&, Segment);

}  // namespace undercroft
