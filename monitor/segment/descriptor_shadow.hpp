// Keeps the user view's GDT and LDT images equal to the guest's tables (design section 5). It reads
// the guest's tables as supervisor; who watches the pages for writes and calls `written` is left to
// the monitor. The kernel view's images hold one descriptor per guest segment register and are not
// kept here.
#pragma once

#include <array>
#include <span>

#include "../memory/linear_memory.hpp"
#include "../processor.hpp"
#include "../vcpu.hpp"
#include "descriptor.hpp"

namespace undercroft {

class DescriptorShadow {
 public:
  using Image = std::span<std::uint64_t, 8192>;
  static constexpr unsigned entries = 8192;
  // To the end of the GDT's image nothing is shown of the guest: the monitor's entries are on the
  // last page, and it is writable, so that an accessed bit set there would not be noticed.
  static constexpr unsigned first_reserved = 7680;
  // A table of 64 KB that does not begin on a page boundary spans 17 pages.
  static constexpr unsigned max_pages = 2 * 17;

  DescriptorShadow(Image gdt, Image ldt) : gdt_{gdt, {}, 0}, ldt_{ldt, {}, 0} {}

  // After LGDT, LLDT or a change of the address space: reads both tables. Entries beyond the limit,
  // or on pages that cannot be read, become 0 (a use traps, and the interpreter finds out why).
  // unmapped: as for user_view_descriptor.
  void refresh(const Vcpu&, LinearMemory&, HostLinear unmapped);

  // After a write of the guest to `bytes` bytes at `address`: resyncs the entries it touched.
  void written(LinearMemory&, GuestLinear address, unsigned bytes);

  // Another place is unmapped now.
  void move_unmapped(HostLinear);

  // Whether user code with these registers runs on the images as it would on the guest's tables.
  bool exact_for(const Vcpu&) const;

  unsigned ldt_entries() const { return ldt_.count; }

  // The processor tried to set an accessed bit in an image: sets it in the guest's table and in the
  // image. #PF if the guest's table cannot be written. Entries that are no segments are left alone.
  enum class Table : std::uint8_t { gdt, ldt };
  Guarded<Done> set_accessed(LinearMemory&, Table, unsigned index);

  // The linear pages that the two tables span, for watching; returns how many were filled in.
  unsigned pages(std::span<GuestLinear, max_pages> out) const;

  // The two tables, cut at page boundaries; returns how many pieces, or 0 if the tables have more
  // than most_compared bytes.
  struct Piece {
    GuestLinear linear;
    unsigned bytes;
  };
  static constexpr unsigned most_compared = 1024;
  static constexpr unsigned most_pieces = 4;
  unsigned pieces(std::span<Piece, most_pieces> out) const;

 private:
  struct Shadow {
    Image image;
    GuestLinear base;
    unsigned count;  // entries of the guest's table
  };
  void sync(LinearMemory&, Shadow&, unsigned first, unsigned end);
  unsigned shown_end(const Shadow&) const;
  Descriptor image_of(std::uint16_t selector) const;

  Shadow gdt_, ldt_;
  HostLinear unmapped_{};
  bool names_unmapped_ = false;  // some entry may have it as its base
  bool hides_ = false;           // user code could find out about an entry that is not shown
};

}  // namespace undercroft
