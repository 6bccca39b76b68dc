// Packed pages side by side in machine frames. It allocates nothing: a frame comes from whoever
// brings a page, and goes to the pool when the last page in it is gone. Pages do not move. Which
// guest page is kept where, the frame table knows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../address.hpp"
#include "frame_pool.hpp"
#include "mapping_slots.hpp"

namespace undercroft {

class PageStore {
 public:
  // Places are multiples of this; so the low byte of a place is free for others.
  static constexpr std::uint32_t unit_bytes = 256;
  // A page that is larger gains too little: two of them would not share a frame.
  static constexpr std::uint32_t most_bytes = 10 * unit_bytes;

  PageStore(MappingSlots& slots, FramePool& pool) : slots_(slots), pool_(pool) {}

  // Keeps 1 to most_bytes bytes; the answer is where. own: the frame that the page had, whose
  // contents nobody needs any more. It goes to the pool, or becomes one of the store's.
  HostPhysical keep(std::span<const std::byte>, HostPhysical own);

  // Calls use(span of the bytes) while they are mapped.
  template <class Use>
  void read(HostPhysical place, Use use) const {
    const MappedFrame frame = slots_.map(place);
    const unsigned unit = place.page_offset() / unit_bytes;
    use(std::span(frame.bytes() + place.page_offset(), frame.as<Header>()->bytes[unit]));
  }
  void drop(HostPhysical place);

  // Frames that are the store's now.
  std::uint32_t frames() const { return frames_; }

 private:
  static constexpr unsigned units = page_size / unit_bytes;
  // In the first unit of each frame.
  struct Header {
    std::uint32_t next, previous;            // in its list: page numbers, 0 at the ends
    std::uint32_t used;                      // bit n: unit n, the header's own too
    std::array<std::uint16_t, units> bytes;  // of the page that begins in each unit
  };
  static_assert(sizeof(Header) <= unit_bytes);

  static unsigned units_of(std::uint32_t bytes) { return (bytes + unit_bytes - 1) / unit_bytes; }
  static unsigned first_free_run(std::uint32_t used, unsigned length);
  static unsigned longest_free_run(std::uint32_t used);
  HostPhysical frame_with_room(unsigned length);
  HostPhysical make_frame(HostPhysical);
  void insert(HostPhysical frame, Header&);
  void remove(const Header&);

  MappingSlots& slots_;
  FramePool& pool_;
  // Lists of frames by their longest run of free units; page numbers.
  std::array<std::uint32_t, units> lists_{};
  std::uint32_t frames_ = 0;
};

}  // namespace undercroft
