// What stands in the hardware's descriptor tables for a guest's descriptor or descriptor cache
// (design section 5). Pure functions; where the images live is descriptor_shadow's business.
#pragma once

#include "../address.hpp"
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
// - a TSS of DPL 3 gets a base where nothing is mapped, `unmapped`: a jump to it raises #GP if it
//   is busy, else #PF, by the processor's own reading, before anything is switched (SDM volume 3,
//   7.3). The base is what LAR and LSL do not tell. All other TSSs are out of CPL 3's reach and
//   stay away.
// LDT descriptors and reserved types can only fault at CPL 3 and are kept.
constexpr Descriptor user_view_descriptor(Descriptor guest, HostLinear unmapped) {
  if (guest.is_code_or_data()) return guest;
  if (guest.is_gate()) return guest.with_gate_selector(0);
  if (!guest.is_tss()) return guest;
  return guest.dpl() == 3 ? guest.with_base(unmapped.value()) : Descriptor{};
}

// Whether LAR, LSL, VERR or VERW at CPL 3 may find out anything about the descriptor.
constexpr bool visible_to_user(Descriptor d) { return d.dpl() == 3 || d.is_conforming(); }

// Whether loading the register's selector at the current CPL, with this descriptor for it, would
// succeed, give the cache now held and change nothing in the table (design section 1: the rule for
// direct execution). CS and SS may lack the accessed bit: SYSEXIT loads them without a table.
bool reload_gives(const Vcpu&, Segment, Descriptor);

}  // namespace undercroft
