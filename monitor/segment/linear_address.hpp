// Segment and offset to linear address: what the processor checks at every access (SDM volume 3,
// 5.3, 5.4, 5.5; real and virtual-8086 mode 20.1.1). Only the descriptor cache is consulted; paging
// comes after, in LinearMemory.
#pragma once

#include "../exception.hpp"
#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "descriptor.hpp"

namespace undercroft {

enum class Access : std::uint8_t { read, write, execute };

// Whose rights the current instruction's own accesses have.
constexpr Privilege privilege_of(unsigned cpl) {
  return cpl == 3 ? Privilege::user : Privilege::supervisor;
}

// Whether offset to offset + size - 1 lies within the segment. size is at least 1. A segment of 4
// GB has no end: an access may wrap there, as on processors since the 486.
constexpr bool within_limit(const DescriptorCache& cache, std::uint32_t offset, unsigned size) {
  const std::uint32_t last = size - 1;
  if (cache.is_code_or_data() && cache.expands_down()) {
    const std::uint32_t top = cache.is_32_bit() ? 0xffffffff : 0xffff;
    return offset > cache.limit && offset <= top && last <= top - offset;
  }
  if (cache.limit == 0xffffffff) return true;
  return last <= cache.limit && offset <= cache.limit - last;
}

// Whether the segment's type allows the access in protected mode; V86 caches allow all of them.
constexpr bool type_allows(const DescriptorCache& cache, Access access) {
  switch (access) {
    case Access::read:
      return cache.is_readable();
    case Access::write:
      return cache.is_writable_data();
    case Access::execute:
      return true;  // settled when CS was loaded
  }
  return false;
}

constexpr Exception segment_violation(Segment segment) {
  return segment == Segment::ss ? Exception::stack_fault() : Exception::general_protection();
}

// Everything but the fast path below. In real mode only the limit counts: the type left over from
// protected mode is not looked at.
constexpr Guarded<GuestLinear> checked_linear_address(const Vcpu& vcpu, Segment segment,
                                                      std::uint32_t offset, unsigned size,
                                                      Access access) {
  const DescriptorCache& cache = vcpu[segment];
  const bool permitted = !vcpu.protected_mode() || type_allows(cache, access);
  if (!cache.usable || !permitted || !within_limit(cache, offset, size)) {
    return Failure{segment_violation(segment)};
  }
  return GuestLinear(cache.base + offset);
}

// The linear address of `size` bytes at segment:offset, or #GP(0), #SS(0) for SS. `offset` is the
// effective address, already truncated to the address size.
constexpr Guarded<GuestLinear> linear_address(const Vcpu& vcpu, Segment segment,
                                              std::uint32_t offset, unsigned size, Access access) {
  const DescriptorCache& cache = vcpu[segment];
  constexpr unsigned flat_mask = 0x1e, flat_writable = 0x12;  // expand-up, writable data
  if (cache.limit == 0xffffffff && (cache.attributes & flat_mask) == flat_writable && cache.usable)
    return GuestLinear(cache.base + offset);
  return checked_linear_address(vcpu, segment, offset, size, access);
}

}  // namespace undercroft
