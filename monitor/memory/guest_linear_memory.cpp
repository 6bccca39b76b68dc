#include "guest_linear_memory.hpp"

#include <algorithm>
#include <cstring>

#include "small_copy.hpp"

namespace undercroft {

namespace {

// Bit of Cached::allowed.
constexpr unsigned right(Privilege privilege, bool write) {
  return 1u << (static_cast<unsigned>(privilege) * 2 + write);
}

// All rights that follow from one: who may write may read (there is no write-only page), and what
// the user may do the supervisor may (there is neither SMEP nor SMAP).
constexpr unsigned rights_implied(Privilege privilege, bool write) {
  unsigned rights = right(Privilege::supervisor, false);
  if (write) rights |= right(Privilege::supervisor, true);
  if (privilege == Privilege::user) rights |= right(Privilege::user, false);
  if (privilege == Privilege::user && write) rights |= right(Privilege::user, true);
  return rights;
}

constexpr std::uint32_t left_in_page(GuestLinear address) {
  return page_size - address.page_offset();
}

}  // namespace

void set_accessed_dirty(GuestMemory& memory, const Walk& walk, bool write) {
  for (unsigned i = 0; i < walk.entry_count; ++i) {
    const bool is_leaf = i + 1u == walk.entry_count;
    const std::uint32_t wanted =
        page_bit::accessed | (is_leaf && write ? page_bit::dirty : std::uint32_t{0});
    const GuestPhysical address = walk.entries[i].address;
    if ((walk.entries[i].entry.low() & wanted) == wanted) continue;
    // Read again: in tables that map themselves, or under an access of two pages, the entry may
    // have gained bits since the walk.
    memory.write(address, memory.read(address, 4) | wanted, 4);
  }
}

Walk GuestLinearMemory::walk(GuestLinear address) const {
  return walk_guest(paging_of(vcpu_), address, memory_);
}

void GuestLinearMemory::flush() {
  if (holds_any_) {
    for (Cached& entry : cache_) entry.allowed = 0;
  }
  holds_any_ = false;
  large_page_cached_ = false;
  seen_version_ = memory_.version();
}

void GuestLinearMemory::flush_page(GuestLinear address) {
  // INVLPG drops the whole of a large page, whose pieces stand here one by one.
  if (large_page_cached_) return flush();
  Cached& entry = cache_[address.page_number() % cached_pages];
  if (entry.page_number == address.page_number()) entry.allowed = 0;
}

inline const GuestLinearMemory::Cached* GuestLinearMemory::cached(GuestLinear address,
                                                                  unsigned wanted) {
  if (memory_.version() != seen_version_) flush();
  const Cached& entry = cache_[address.page_number() % cached_pages];
  if (entry.page_number != address.page_number() || !(entry.allowed & wanted)) return nullptr;
  return &entry;
}

std::optional<GuestPhysical> GuestLinearMemory::known_device(GuestLinear address, bool write) {
  const Cached* const entry = cached(address, right(Privilege::supervisor, write));
  if (!entry || entry->direct_read) return std::nullopt;
  if (memory_.table().entry(entry->physical).kind != FrameKind::device) return std::nullopt;
  return entry->physical + address.page_offset();
}

Guarded<GuestLinearMemory::Translation> GuestLinearMemory::translate(GuestLinear address,
                                                                     PageAccess access,
                                                                     Privilege privilege) {
  const bool write = access == PageAccess::write;
  Translation translation;
  if (const Cached* entry = cached(address, right(privilege, write))) {
    translation.cached = true;
    translation.large = entry->large;
    translation.address = entry->physical + address.page_offset();
  } else {
    translation.walk = walk(address);
    if (!permitted(translation.walk, access, privilege, vcpu_.cr0 & cr0::write_protect))
      return Failure{
          Exception::page_fault(address, error_code(translation.walk, access, privilege))};
    translation.address = translation.walk.address;
    translation.above_4_gb = translation.walk.above_4_gb;
    translation.large = translation.walk.page_bytes != page_size;
  }
  if (absent_ == AbsentMemory::faults &&
      (translation.above_4_gb ||
       memory_.table().entry(translation.address).kind == FrameKind::absent))
    return Failure{Exception::page_fault(address, error_code(Walk{}, access, privilege))};
  return translation;
}

// Both pages are checked before anything is done to either.
Guarded<GuestLinearMemory::Span> GuestLinearMemory::translate_span(GuestLinear address,
                                                                   unsigned size, PageAccess access,
                                                                   Privilege privilege) {
  Span span;
  span.first_bytes = std::min<unsigned>(size, left_in_page(address));
  span.second_bytes = size - span.first_bytes;
  span.first = TRY(translate(address, access, privilege));
  if (span.second_bytes != 0)
    span.second = TRY(translate(address + span.first_bytes, access, privilege));
  return span;
}

// Sets A and D as the access needs, and keeps the translation.
void GuestLinearMemory::commit(GuestLinear address, const Translation& translation, bool write,
                               Privilege privilege) {
  if (!translation.cached) set_accessed_dirty(memory_, translation.walk, write);
  if (!translation.above_4_gb) remember(address, translation, write, privilege);
}

void GuestLinearMemory::commit_span(GuestLinear address, const Span& span, bool write,
                                    Privilege privilege) {
  commit(address, span.first, write, privilege);
  if (span.second_bytes != 0) commit(address + span.first_bytes, span.second, write, privilege);
}

void GuestLinearMemory::remember(GuestLinear address, const Translation& translation, bool write,
                                 Privilege privilege) {
  const GuestPhysical physical = translation.address.page();
  const auto readable = memory_.direct_frame(physical, false);
  const bool writable = write && memory_.direct_frame(physical, true);
  // direct_frame may have given the page a frame, which ends what is cached.
  if (memory_.version() != seen_version_) flush();
  Cached& entry = cache_[address.page_number() % cached_pages];
  if (entry.page_number != address.page_number() || entry.physical != physical) entry = {};
  entry.page_number = address.page_number();
  entry.physical = physical;
  entry.large = translation.large;
  large_page_cached_ |= translation.large;
  holds_any_ = true;
  entry.allowed = static_cast<std::uint8_t>(entry.allowed | rights_implied(privilege, write));
  entry.direct_read = readable.has_value();
  if (write) entry.direct_write = writable;
  if (readable) entry.host = *readable;
}

std::uint32_t GuestLinearMemory::read_part(const Translation& translation, unsigned bytes) {
  if (translation.above_4_gb) return ~0u >> (32 - 8 * bytes);
  return memory_.read(translation.address, bytes);
}

// A read with the rights of `access`, not straight from a cached page. A is set, D is not.
Guarded<std::uint32_t> GuestLinearMemory::read_slowly(PageAccess access, GuestLinear address,
                                                      unsigned size, Privilege privilege) {
  const Span span = TRY(translate_span(address, size, access, privilege));
  commit_span(address, span, false, privilege);
  const std::uint32_t low = read_part(span.first, span.first_bytes);
  if (span.second_bytes == 0) return low;
  return low | read_part(span.second, span.second_bytes) << (8 * span.first_bytes);
}

Guarded<Done> GuestLinearMemory::write_slowly(GuestLinear address, std::uint32_t value,
                                              unsigned size, Privilege privilege) {
  const Span span = TRY(translate_span(address, size, PageAccess::write, privilege));
  commit_span(address, span, true, privilege);
  if (!span.first.above_4_gb) memory_.write(span.first.address, value, span.first_bytes);
  if (span.second_bytes != 0 && !span.second.above_4_gb)
    memory_.write(span.second.address, value >> (8 * span.first_bytes), span.second_bytes);
  return Done{};
}

Guarded<std::uint32_t> GuestLinearMemory::read(GuestLinear address, unsigned size,
                                               Privilege privilege) {
  const Cached* entry = cached(address, right(privilege, false));
  if (entry && entry->direct_read && size <= left_in_page(address))
    return load_bytes(slots().map(entry->host).bytes() + address.page_offset(), size);
  return read_slowly(PageAccess::read, address, size, privilege);
}

// D stays as it is: the write that follows sets it, unless something between faults.
Guarded<std::uint32_t> GuestLinearMemory::read_to_modify(GuestLinear address, unsigned size,
                                                         Privilege privilege) {
  const Cached* entry = cached(address, right(privilege, true));
  if (entry && entry->direct_read && size <= left_in_page(address))
    return load_bytes(slots().map(entry->host).bytes() + address.page_offset(), size);
  return read_slowly(PageAccess::write, address, size, privilege);
}

Guarded<Done> GuestLinearMemory::write(GuestLinear address, std::uint32_t value, unsigned size,
                                       Privilege privilege) {
  const Cached* entry = cached(address, right(privilege, true));
  if (!entry || !entry->direct_write || size > left_in_page(address))
    return write_slowly(address, value, size, privilege);
  store_bytes(slots().map(entry->host).bytes() + address.page_offset(), value, size);
  return Done{};
}

Guarded<Done> GuestLinearMemory::probe_write(GuestLinear address, unsigned size,
                                             Privilege privilege) {
  TRY(translate_span(address, size, PageAccess::write, privilege));
  return Done{};
}

Guarded<unsigned> GuestLinearMemory::fetch(GuestLinear address, std::span<std::uint8_t> out,
                                           Privilege privilege) {
  unsigned fetched = 0;
  while (fetched < out.size()) {
    const GuestLinear next = address + fetched;
    const auto part =
        out.subspan(fetched, std::min<std::size_t>(out.size() - fetched, left_in_page(next)));
    const Cached* entry = cached(next, right(privilege, false));
    if (entry && entry->direct_read) {
      std::memcpy(part.data(), slots().map(entry->host).bytes() + next.page_offset(), part.size());
    } else {
      const auto translation = translate(next, PageAccess::execute, privilege);
      if (!translation) {
        if (fetched == 0) return Failure{translation.error()};
        break;
      }
      commit(next, translation.value(), false, privilege);
      if (translation.value().above_4_gb)
        std::memset(part.data(), 0xff, part.size());
      else
        memory_.read(translation.value().address, std::as_writable_bytes(part));
    }
    fetched += part.size();
  }
  return fetched;
}

bool GuestLinearMemory::is_code(GuestLinear address, std::span<const std::uint8_t> code,
                                Privilege privilege) {
  if (code.size() > left_in_page(address)) return false;
  const Cached* entry = cached(address, right(privilege, false));
  if (!entry || !entry->direct_read) return false;
  const auto frame = slots().map(entry->host);
  const std::byte* there = frame.bytes() + address.page_offset();
  const std::byte* here = std::as_bytes(code).data();
  auto left = static_cast<unsigned>(code.size());
  for (; left > 4; left -= 4, here += 4, there += 4) {
    if (load_bytes(here, 4) != load_bytes(there, 4)) return false;
  }
  return load_bytes(here, left) == load_bytes(there, left);
}

}  // namespace undercroft
