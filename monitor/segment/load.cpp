// See load.hpp.
#include "load.hpp"

namespace undercroft {

namespace {

Failure<Exception> refuse(Vector vector, std::uint16_t selector) {
  return Failure{Exception::with_code(vector, selector::error_code(selector))};
}

// An access byte changed in the table: one byte, so that the rest of the entry is not written.
Guarded<Done> write_access_byte(LinearMemory& memory, GuestLinear entry, Descriptor descriptor) {
  return memory.write(entry + 5, (descriptor.high() >> 8) & 0xff, 1, Privilege::supervisor);
}

}  // namespace

Guarded<GuestLinear> descriptor_address(const Vcpu& vcpu, std::uint16_t selector, Vector vector) {
  const std::uint32_t offset = selector::index(selector) * 8u;
  if (selector::in_ldt(selector)) {
    if (!vcpu.ldtr.usable || offset + 7 > vcpu.ldtr.limit) return refuse(vector, selector);
    return GuestLinear(vcpu.ldtr.base + offset);
  }
  if (offset + 7 > vcpu.gdtr.limit) return refuse(vector, selector);
  return vcpu.gdtr.base + offset;
}

Guarded<TableEntry> lookup_descriptor(const Vcpu& vcpu, LinearMemory& memory,
                                      std::uint16_t selector, Vector vector) {
  const GuestLinear address = TRY(descriptor_address(vcpu, selector, vector));
  const std::uint32_t low = TRY(memory.read(address, 4, Privilege::supervisor));
  const std::uint32_t high = TRY(memory.read(address + 4, 4, Privilege::supervisor));
  return TableEntry{Descriptor(low, high), address};
}

Guarded<Descriptor> mark_accessed(LinearMemory& memory, const TableEntry& entry) {
  if (entry.descriptor.accessed()) return entry.descriptor;
  const Descriptor marked = entry.descriptor.with_accessed();
  TRY(write_access_byte(memory, entry.address, marked));
  return marked;
}

Guarded<DescriptorCache> data_segment_for(const Vcpu& vcpu, LinearMemory& memory,
                                          std::uint16_t selector, unsigned cpl, Vector vector) {
  if (selector::is_null(selector)) return null_cache(selector);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector, vector));
  const Descriptor& descriptor = entry.descriptor;
  if (!descriptor.is_readable()) return refuse(vector, selector);
  const bool reachable = selector::rpl(selector) <= descriptor.dpl() && cpl <= descriptor.dpl();
  if (!descriptor.is_conforming() && !reachable) return refuse(vector, selector);
  if (!descriptor.present()) return refuse(Vector::segment_not_present, selector);
  return TRY(mark_accessed(memory, entry)).cache(selector);
}

Guarded<DescriptorCache> stack_segment_for(const Vcpu& vcpu, LinearMemory& memory,
                                           std::uint16_t selector, unsigned cpl, Vector vector) {
  if (selector::is_null(selector)) return refuse(vector, 0);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector, vector));
  const Descriptor& descriptor = entry.descriptor;
  if (selector::rpl(selector) != cpl || !descriptor.is_writable_data() || descriptor.dpl() != cpl) {
    return refuse(vector, selector);
  }
  if (!descriptor.present()) return refuse(Vector::stack_fault, selector);
  return TRY(mark_accessed(memory, entry)).cache(selector);
}

// A register that held a null selector when protected mode was left has nothing worth keeping: it
// gets real mode's own limit and type.
DescriptorCache real_mode_segment(const DescriptorCache& old, std::uint16_t selector) {
  const std::uint32_t base = std::uint32_t{selector} << 4;
  if (!old.usable) return {selector, attribute::real_mode_data, base, 0xffff, true};
  const unsigned attributes = (old.attributes & ~unsigned{attribute::dpl}) | attribute::present;
  return {selector, static_cast<std::uint16_t>(attributes), base, old.limit, true};
}

DescriptorCache virtual_8086_segment(std::uint16_t selector) {
  return {selector, attribute::virtual_8086_segment, std::uint32_t{selector} << 4, 0xffff, true};
}

Guarded<Done> load_segment(Vcpu& vcpu, LinearMemory& memory, Segment segment,
                           std::uint16_t selector) {
  if (!vcpu.protected_mode()) {
    vcpu[segment] = real_mode_segment(vcpu[segment], selector);
  } else if (vcpu.virtual_8086()) {
    vcpu[segment] = virtual_8086_segment(selector);
  } else if (segment == Segment::ss) {
    vcpu[segment] = TRY(stack_segment_for(vcpu, memory, selector, vcpu.cpl));
  } else {
    vcpu[segment] = TRY(data_segment_for(vcpu, memory, selector, vcpu.cpl));
  }
  return Done{};
}

Guarded<Done> load_ldtr(Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector) {
  if (selector::is_null(selector)) {
    vcpu.ldtr = null_cache(selector);
    return Done{};
  }
  if (selector::in_ldt(selector)) return refuse(Vector::general_protection, selector);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector));
  if (!entry.descriptor.is_ldt()) return refuse(Vector::general_protection, selector);
  if (!entry.descriptor.present()) return refuse(Vector::segment_not_present, selector);
  vcpu.ldtr = entry.descriptor.cache(selector);
  return Done{};
}

Guarded<Done> load_tr(Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector) {
  if (selector::is_null(selector)) return refuse(Vector::general_protection, 0);
  if (selector::in_ldt(selector)) return refuse(Vector::general_protection, selector);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector));
  if (!entry.descriptor.is_available_tss()) return refuse(Vector::general_protection, selector);
  if (!entry.descriptor.present()) return refuse(Vector::segment_not_present, selector);
  const Descriptor busy = entry.descriptor.with_busy(true);
  TRY(write_access_byte(memory, entry.address, busy));
  vcpu.tr = busy.cache(selector);
  return Done{};
}

}  // namespace undercroft
