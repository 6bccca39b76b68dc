// What small descriptor tables held when they were last looked at, and where in guest memory that
// is. What a difference means is the caller's affair.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "../memory/guest_memory.hpp"
#include "../memory/small_copy.hpp"
#include "descriptor_shadow.hpp"

namespace undercroft {

class TableSnapshot {
 public:
  void clear() { pieces_ = bytes_ = 0; }

  // The piece lies at the physical address, within a page. False: it is not in memory.
  bool add(const DescriptorShadow::Piece& piece, GuestPhysical address, GuestMemory& memory) {
    const auto frame = memory.direct_frame(address, false);
    if (!frame) return false;
    const MappedFrame page = memory.slots().map(frame->page());
    std::memcpy(seen_.data() + bytes_, page.bytes() + address.page_offset(), piece.bytes);
    places_[pieces_++] = {piece, address};
    bytes_ += piece.bytes;
    return true;
  }

  // Calls changed(GuestLinear, bytes) for what is not as it was, and keeps what is there now.
  template <class Changed>
  void compare(GuestMemory& memory, Changed changed) {
    std::byte* seen = seen_.data();
    for (const Place& place : std::span(places_).first(pieces_)) {
      if (const auto frame = memory.direct_frame(place.address, false)) {
        const MappedFrame page = memory.slots().map(frame->page());
        const std::byte* const now = page.bytes() + place.address.page_offset();
        compare_piece(place, seen, now, changed);
      } else {
        changed(place.piece.linear, place.piece.bytes);
      }
      seen += place.piece.bytes;
    }
  }

 private:
  struct Place {
    DescriptorShadow::Piece piece;
    GuestPhysical address;
  };

  static constexpr unsigned word = 4, step = 4 * word;

  // Two descriptors at a time: this is on the way to user code, and most often finds nothing.
  template <class Changed>
  static void compare_piece(const Place& place, std::byte* seen, const std::byte* now,
                            Changed changed) {
    const auto differ = [&](unsigned at) {
      return load_as<std::uint32_t>(seen + at) ^ load_as<std::uint32_t>(now + at);
    };
    unsigned at = 0;
    for (; at + step <= place.piece.bytes; at += step) {
      if (differ(at) | differ(at + 4) | differ(at + 8) | differ(at + 12)) {
        compare_words(place, seen, now, at, at + step, changed);
      }
    }
    compare_words(place, seen, now, at, place.piece.bytes, changed);
  }

  template <class Changed>
  static void compare_words(const Place& place, std::byte* seen, const std::byte* now, unsigned at,
                            unsigned end, Changed changed) {
    for (; at < end; at += word) {
      const unsigned size = std::min(word, end - at);
      const std::uint32_t value = load_bytes(now + at, size);
      if (value == load_bytes(seen + at, size)) continue;
      store_bytes(seen + at, value, size);
      changed(place.piece.linear + at, size);
    }
  }

  std::array<Place, DescriptorShadow::most_pieces> places_{};
  std::array<std::byte, DescriptorShadow::most_compared> seen_{};
  unsigned pieces_ = 0;
  unsigned bytes_ = 0;
};

}  // namespace undercroft
