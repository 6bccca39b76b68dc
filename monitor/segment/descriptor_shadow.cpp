// See descriptor_shadow.hpp.
#include "descriptor_shadow.hpp"

#include <algorithm>

#include "load.hpp"
#include "shadow_descriptor.hpp"

namespace undercroft {

namespace {

// An entry on an unreadable page reads as 0.
Descriptor read_entry(LinearMemory& memory, GuestLinear address) {
  const auto low = memory.read(address, 4, Privilege::supervisor);
  const auto high = memory.read(address + 4, 4, Privilege::supervisor);
  if (!low.ok() || !high.ok()) return {};
  return Descriptor(low.value(), high.value());
}

}  // namespace

// The end of the part of the image that shows the guest's entries: the LDT's whole.
unsigned DescriptorShadow::shown_end(const Shadow& shadow) const {
  return &shadow == &gdt_ ? first_reserved : entries;
}

// Copies guest entries [first, end) of the table into the image. If there is any beyond what is
// shown, all of those are looked at.
void DescriptorShadow::sync(LinearMemory& memory, Shadow& shadow, unsigned first, unsigned end) {
  const unsigned shown = shown_end(shadow);
  for (unsigned i = first; i < std::min(end, shown); ++i) {
    const bool null = &shadow == &gdt_ && i == 0;  // never used by the processor
    const Descriptor guest = null ? Descriptor{} : read_entry(memory, shadow.base + i * 8);
    names_unmapped_ |= guest.is_tss();
    shadow.image[i] = user_view_descriptor(guest, unmapped_).raw();
  }
  if (end <= shown) return;
  hides_ = false;
  for (unsigned i = shown; i < shadow.count && !hides_; ++i) {
    hides_ = visible_to_user(read_entry(memory, shadow.base + i * 8));
  }
}

void DescriptorShadow::refresh(const Vcpu& vcpu, LinearMemory& memory, HostLinear unmapped) {
  const auto reload = [&](Shadow& shadow, GuestLinear base, unsigned count) {
    const unsigned old_end = std::min(shadow.count, shown_end(shadow));
    shadow.base = base;
    shadow.count = count;
    for (unsigned i = count; i < old_end; ++i) shadow.image[i] = 0;
    sync(memory, shadow, 0, count);
  };
  unmapped_ = unmapped;
  names_unmapped_ = false;
  hides_ = false;
  reload(gdt_, vcpu.gdtr.base, (vcpu.gdtr.limit + 1u) / 8);
  const unsigned ldt_count =
      vcpu.ldtr.usable ? std::min(entries, vcpu.ldtr.limit / 8 + (vcpu.ldtr.limit % 8 == 7)) : 0;
  reload(ldt_, GuestLinear(vcpu.ldtr.base), ldt_count);
}

void DescriptorShadow::written(LinearMemory& memory, GuestLinear address, unsigned bytes) {
  for (Shadow* shadow : {&gdt_, &ldt_}) {
    // Offsets from the base wrap like addresses: compare in 64 bits from a common origin.
    const std::uint32_t offset = address - shadow->base;
    const std::uint64_t end = std::uint64_t{offset} + bytes;
    const std::uint64_t wrapped_end =
        end > (std::uint64_t{1} << 32) ? end - (std::uint64_t{1} << 32) : 0;
    const auto to_entry = [&](std::uint64_t byte) {
      return static_cast<unsigned>(std::min<std::uint64_t>(byte / 8, shadow->count));
    };
    if (to_entry(offset) < to_entry(end + 7)) {
      sync(memory, *shadow, to_entry(offset), to_entry(end + 7));
    }
    if (wrapped_end) sync(memory, *shadow, 0, to_entry(wrapped_end + 7));
  }
}

void DescriptorShadow::move_unmapped(HostLinear unmapped) {
  unmapped_ = unmapped;
  if (!names_unmapped_) return;
  for (Shadow* shadow : {&gdt_, &ldt_}) {
    for (unsigned i = 0; i < std::min(shadow->count, shown_end(*shadow)); ++i) {
      const Descriptor shown(shadow->image[i]);
      if (shown.is_tss()) shadow->image[i] = user_view_descriptor(shown, unmapped).raw();
    }
  }
}

// What the processor finds for the selector; nothing where it finds what is not the guest's.
Descriptor DescriptorShadow::image_of(std::uint16_t selector) const {
  const Shadow& shadow = selector::in_ldt(selector) ? ldt_ : gdt_;
  const unsigned index = selector::index(selector);
  return index < shown_end(shadow) ? Descriptor(shadow.image[index]) : Descriptor{};
}

bool DescriptorShadow::exact_for(const Vcpu& vcpu) const {
  if (hides_) return false;
  // Going out by IRET the processor leaves the upper half of ESP as the monitor has it.
  if (!vcpu[Segment::ss].is_32_bit()) return false;
  for (unsigned s = 0; s < vcpu.segments.size(); ++s) {
    const auto segment = static_cast<Segment>(s);
    if (!reload_gives(vcpu, segment, image_of(vcpu[segment].selector))) return false;
  }
  return true;
}

Guarded<Done> DescriptorShadow::set_accessed(LinearMemory& memory, Table table, unsigned index) {
  Shadow& shadow = table == Table::gdt ? gdt_ : ldt_;
  if (index >= shadow.count || index >= shown_end(shadow)) return Done{};
  const GuestLinear address = shadow.base + index * 8;
  const Descriptor guest = read_entry(memory, address);
  if (!guest.is_code_or_data()) return Done{};
  const Descriptor marked = TRY(mark_accessed(memory, TableEntry{guest, address}));
  shadow.image[index] = user_view_descriptor(marked, unmapped_).raw();
  return Done{};
}

unsigned DescriptorShadow::pages(std::span<GuestLinear, max_pages> out) const {
  unsigned filled = 0;
  for (const Shadow* shadow : {&gdt_, &ldt_}) {
    if (shadow->count == 0) continue;
    const std::uint32_t bytes = shadow->count * 8 + shadow->base.page_offset();
    for (std::uint32_t at = 0; at < bytes; at += page_size) {
      out[filled++] = shadow->base.page() + at;
    }
  }
  return filled;
}

unsigned DescriptorShadow::pieces(std::span<Piece, most_pieces> out) const {
  unsigned filled = 0;
  unsigned left = most_compared;
  for (const Shadow* shadow : {&gdt_, &ldt_}) {
    unsigned bytes = shadow->count * 8;
    if (bytes > left) return 0;
    left -= bytes;
    for (GuestLinear at = shadow->base; bytes != 0; ++filled) {
      const unsigned part = std::min(bytes, page_size - at.page_offset());
      out[filled] = {at, part};
      at = at + part;
      bytes -= part;
    }
  }
  return filled;
}

}  // namespace undercroft
