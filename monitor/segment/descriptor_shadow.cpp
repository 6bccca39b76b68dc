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

// The end of the part of the image that mirrors the guest: the LDT's whole, the GDT's up to the
// monitor's own entries.
unsigned DescriptorShadow::writable_end(const Shadow& shadow) const {
  return &shadow == &gdt_ ? first_reserved : entries;
}

// Copies guest entries [first, end) of the table into the image; true on a collision.
bool DescriptorShadow::sync(LinearMemory& memory, Shadow& shadow, unsigned first, unsigned end) {
  bool collision = false;
  for (unsigned i = first; i < end; ++i) {
    const Descriptor guest = read_entry(memory, shadow.base + i * 8);
    if (i >= writable_end(shadow)) {
      collision |= guest.present();
    } else {
      const bool null = &shadow == &gdt_ && i == 0;  // never used by the processor
      shadow.image[i] = null ? 0 : user_view_descriptor(guest);
    }
  }
  return collision;
}

DescriptorShadow::Refreshed DescriptorShadow::refresh(const Vcpu& vcpu, LinearMemory& memory) {
  const auto reload = [&](Shadow& shadow, GuestLinear base, unsigned count) {
    const unsigned old_end = std::min(shadow.count, writable_end(shadow));
    shadow.base = base;
    shadow.count = count;
    for (unsigned i = count; i < old_end; ++i) shadow.image[i] = 0;
    return sync(memory, shadow, 0, count);
  };
  Refreshed result;
  result.collision = reload(gdt_, vcpu.gdtr.base, (vcpu.gdtr.limit + 1u) / 8);
  const unsigned ldt_count =
      vcpu.ldtr.usable ? std::min(entries, vcpu.ldtr.limit / 8 + (vcpu.ldtr.limit % 8 == 7)) : 0;
  reload(ldt_, GuestLinear(vcpu.ldtr.base), ldt_count);
  result.ldt_entries = ldt_count;
  return result;
}

DescriptorShadow::Refreshed DescriptorShadow::written(LinearMemory& memory, GuestLinear address,
                                                      unsigned bytes) {
  Refreshed result;
  result.ldt_entries = ldt_.count;
  for (Shadow* shadow : {&gdt_, &ldt_}) {
    // Offsets from the base wrap like addresses: compare in 64 bits from a common origin.
    const std::uint32_t offset = address - shadow->base;
    const std::uint64_t end = std::uint64_t{offset} + bytes;
    const std::uint64_t wrapped_end =
        end > (std::uint64_t{1} << 32) ? end - (std::uint64_t{1} << 32) : 0;
    const auto to_entry = [&](std::uint64_t byte) {
      return static_cast<unsigned>(std::min<std::uint64_t>(byte / 8, shadow->count));
    };
    result.collision |= sync(memory, *shadow, to_entry(offset), to_entry(end + 7));
    result.collision |= sync(memory, *shadow, 0, to_entry(wrapped_end + 7));
  }
  return result;
}

Guarded<Done> DescriptorShadow::set_accessed(LinearMemory& memory, Table table, unsigned index) {
  Shadow& shadow = table == Table::gdt ? gdt_ : ldt_;
  if (index >= shadow.count || index >= writable_end(shadow)) return Done{};
  const GuestLinear address = shadow.base + index * 8;
  const Descriptor guest = read_entry(memory, address);
  if (!guest.is_code_or_data()) return Done{};
  const Descriptor marked = TRY(mark_accessed(memory, TableEntry{guest, address}));
  shadow.image[index] = user_view_descriptor(marked);
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

}  // namespace undercroft
