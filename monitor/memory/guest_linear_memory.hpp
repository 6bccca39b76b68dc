// Guest memory by linear address, for one virtual CPU: the guest's tables walked, rights checked,
// accessed and dirty bits set, through GuestMemory. A small software TLB keeps walks off the
// interpreter's hot path. As on the processor it may be behind the guest's tables until it is
// flushed: on CR3 load, INVLPG, changes of CR0 or CR4 paging bits.
#pragma once

#include <array>
#include <cstdint>

#include "../vcpu.hpp"
#include "guest_memory.hpp"
#include "guest_walk.hpp"
#include "linear_memory.hpp"
#include "page_fault.hpp"

namespace undercroft {

// Sets A in every entry that the walk read, and D in the leaf on a write. Entries that have the
// bits already are not written.
void set_accessed_dirty(GuestMemory&, const Walk&, bool write);

// About 1 KB.
class GuestLinearMemory final : public LinearMemory {
 public:
  GuestLinearMemory(const Vcpu& vcpu, GuestMemory& memory,
                    AbsentMemory absent = AbsentMemory::floats)
      : vcpu_(vcpu), memory_(memory), absent_(absent) {}

  Guarded<std::uint32_t> read(GuestLinear, unsigned size, Privilege) override;
  Guarded<Done> write(GuestLinear, std::uint32_t value, unsigned size, Privilege) override;
  Guarded<std::uint32_t> read_to_modify(GuestLinear, unsigned size, Privilege) override;
  Guarded<Done> probe_write(GuestLinear, unsigned size, Privilege) override;
  Guarded<unsigned> fetch(GuestLinear, std::span<std::uint8_t> out, Privilege) override;
  bool is_code(GuestLinear, std::span<const std::uint8_t>, Privilege) override;

  // Drop cached translations: all, or those of one page. Cheap. Due whenever the hardware's own TLB
  // would be, and when a watched page-table frame was written.
  void flush();
  void flush_page(GuestLinear);

  // The device register at an address that a supervisor's access may reach, if such an access has
  // been made before and nothing has changed since; at a multiple of 4.
  std::optional<GuestPhysical> known_device(GuestLinear, bool write);

  // The walk of an address as the virtual CPU is set now; changes nothing.
  Walk walk(GuestLinear) const;

 private:
  // One linear page: which accesses are known to be allowed (with A and D set as they need), and
  // which of them may go straight to the machine's page.
  struct Cached {
    std::uint32_t page_number = 0;
    std::uint8_t allowed = 0;  // a bit for each Privilege and whether it writes; 0: nothing cached
    bool direct_read = false;
    bool direct_write = false;
    bool large = false;        // a piece of a large page
    GuestPhysical physical{};  // of the page
    HostPhysical host{};       // of the page, if direct
  };
  // Where an access to one page goes, and what has to be noted before it is made.
  struct Translation {
    GuestPhysical address{};
    bool cached = false;      // A and D are set already
    bool above_4_gb = false;  // nothing answers there
    bool large = false;       // in a large page
    Walk walk{};              // unless cached
  };
  // An access of one or two pages.
  struct Span {
    Translation first{}, second{};
    unsigned first_bytes = 0, second_bytes = 0;
  };

  const Cached* cached(GuestLinear, unsigned right);
  Guarded<Translation> translate(GuestLinear, PageAccess, Privilege);
  Guarded<Span> translate_span(GuestLinear, unsigned size, PageAccess, Privilege);
  void commit(GuestLinear, const Translation&, bool write, Privilege);
  void commit_span(GuestLinear, const Span&, bool write, Privilege);
  void remember(GuestLinear, const Translation&, bool write, Privilege);
  // Kept out of line, so that a cached access stays short.
  [[gnu::noinline]] Guarded<std::uint32_t> read_slowly(PageAccess, GuestLinear, unsigned size,
                                                       Privilege);
  [[gnu::noinline]] Guarded<Done> write_slowly(GuestLinear, std::uint32_t value, unsigned size,
                                               Privilege);
  std::uint32_t read_part(const Translation&, unsigned bytes);
  static constexpr unsigned cached_pages = 64;

  MappingSlots& slots() { return memory_.slots(); }

  const Vcpu& vcpu_;
  GuestMemory& memory_;
  AbsentMemory absent_;
  std::uint32_t seen_version_ = 0;
  bool large_page_cached_ = false;  // since the last flush
  bool holds_any_ = false;          // may hold a page
  std::array<Cached, cached_pages> cache_{};
};

}  // namespace undercroft
