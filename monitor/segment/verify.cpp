// See verify.hpp.
#include "verify.hpp"

#include "load.hpp"

namespace undercroft {

namespace {

// The descriptor, or nothing if the selector is null or beyond its table.
Guarded<std::optional<Descriptor>> find(const Vcpu& vcpu, LinearMemory& memory,
                                        std::uint16_t selector) {
  if (selector::is_null(selector)) return std::optional<Descriptor>{};
  if (!descriptor_address(vcpu, selector).ok()) return std::optional<Descriptor>{};
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector));
  return std::optional<Descriptor>{entry.descriptor};
}

// Conforming code is visible to all; the rest from CPL and RPL up to its DPL.
bool visible(const Vcpu& vcpu, std::uint16_t selector, Descriptor descriptor) {
  if (descriptor.is_conforming()) return true;
  return vcpu.cpl <= descriptor.dpl() && selector::rpl(selector) <= descriptor.dpl();
}

// SDM volume 2, table 3-54 (LAR): segments, LDT, TSS, call and task gates.
bool has_access_rights(Descriptor d) {
  return d.is_code_or_data() || d.is_ldt() || d.is_tss() || d.is_call_gate() || d.is_task_gate();
}

// SDM volume 2, table 3-67 (LSL): what has a limit at all.
bool has_limit(Descriptor d) { return d.is_code_or_data() || d.is_ldt() || d.is_tss(); }

}  // namespace

Guarded<std::optional<std::uint32_t>> access_rights(const Vcpu& vcpu, LinearMemory& memory,
                                                    std::uint16_t selector) {
  const auto found = TRY(find(vcpu, memory, selector));
  if (!found || !has_access_rights(*found) || !visible(vcpu, selector, *found)) {
    return std::optional<std::uint32_t>{};
  }
  return std::optional<std::uint32_t>{found->high() & 0x00f0ff00};
}

Guarded<std::optional<std::uint32_t>> segment_limit(const Vcpu& vcpu, LinearMemory& memory,
                                                    std::uint16_t selector) {
  const auto found = TRY(find(vcpu, memory, selector));
  if (!found || !has_limit(*found) || !visible(vcpu, selector, *found)) {
    return std::optional<std::uint32_t>{};
  }
  return std::optional<std::uint32_t>{found->limit()};
}

Guarded<bool> verify_read(const Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector) {
  const auto found = TRY(find(vcpu, memory, selector));
  return found && found->is_readable() && visible(vcpu, selector, *found);
}

Guarded<bool> verify_write(const Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector) {
  const auto found = TRY(find(vcpu, memory, selector));
  return found && found->is_writable_data() && visible(vcpu, selector, *found);
}

}  // namespace undercroft
