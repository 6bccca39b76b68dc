// See shadow_descriptor.hpp.
#include "shadow_descriptor.hpp"

#include "code_segment.hpp"

namespace undercroft {

namespace {

// Whether the register could be loaded with this descriptor at the current CPL. For CS: whether a
// transfer within the level leaves it as it is.
bool loadable(const Vcpu& vcpu, Segment segment, std::uint16_t selector, Descriptor descriptor) {
  const unsigned rpl = selector::rpl(selector);
  if (!descriptor.present()) return false;
  if (segment == Segment::cs) {
    return descriptor.is_code() && rpl == vcpu.cpl && may_return(descriptor, selector);
  }
  if (segment == Segment::ss) {
    return descriptor.is_writable_data() && rpl == vcpu.cpl && descriptor.dpl() == vcpu.cpl;
  }
  if (!descriptor.is_readable()) return false;
  return descriptor.is_conforming() || (rpl <= descriptor.dpl() && vcpu.cpl <= descriptor.dpl());
}

}  // namespace

bool reload_gives(const Vcpu& vcpu, Segment segment, Descriptor descriptor) {
  const DescriptorCache& cache = vcpu[segment];
  const bool needs_segment = segment == Segment::cs || segment == Segment::ss;
  // The return to ring 3 makes every null selector 0 (SDM volume 2, IRET).
  if (selector::is_null(cache.selector)) {
    return !needs_segment && !cache.usable && cache.selector == 0;
  }
  if (!cache.usable || !loadable(vcpu, segment, cache.selector, descriptor)) return false;
  if (!needs_segment && !descriptor.accessed()) return false;
  DescriptorCache held = cache;
  held.attributes |= attribute::accessed;
  return held == descriptor.with_accessed().cache(cache.selector);
}

}  // namespace undercroft
