// Which shadow entries point at a guest frame or at a shadow table: doubly linked lists whose links
// lie in companion frames beside each shadow table, so that an entry is unlinked in constant time
// and needs no storage of its own.
#pragma once

#include <cstdint>

#include "mapping_slots.hpp"

namespace undercroft {

// Names one shadow entry: shadow table number (never 0) and index in it.
class ShadowEntryId {
 public:
  constexpr ShadowEntryId() = default;
  constexpr ShadowEntryId(unsigned table, unsigned index) : value_(table << 10 | index) {}
  static constexpr ShadowEntryId from_value(std::uint32_t value) {
    ShadowEntryId id;
    id.value_ = value;
    return id;
  }
  constexpr unsigned table() const { return value_ >> 10; }
  constexpr unsigned index() const { return value_ & 0x3ff; }
  constexpr std::uint32_t value() const { return value_; }
  constexpr bool none() const { return value_ == 0; }

 private:
  std::uint32_t value_ = 0;
};

// The machine frames of one shadow table: its entries and their links.
struct ShadowFrames {
  HostPhysical entries{};
  HostPhysical next{};      // ShadowEntryId of the next in the list, 0 at its end
  HostPhysical previous{};  // of the one before, or list_head | the list's number in the first
};

inline constexpr std::uint32_t list_head = 0x80000000;

// Storage: given a table number, where its frames are; and where each list's head is kept.
template <class Storage>
class ReverseMap {
 public:
  ReverseMap(MappingSlots& slots, Storage& storage) : slots_(slots), storage_(storage) {}

  void insert(std::uint32_t list, ShadowEntryId id) {
    const ShadowEntryId first = storage_.head(list);
    next(id) = first.value();
    previous(id) = list_head | list;
    if (!first.none()) previous(first) = id.value();
    storage_.set_head(list, id);
  }

  void remove(ShadowEntryId id) {
    const ShadowEntryId following = after(id);
    const std::uint32_t before = previous(id);
    if (!following.none()) previous(following) = before;
    if (before & list_head)
      storage_.set_head(before & ~list_head, following);
    else
      next(ShadowEntryId::from_value(before)) = following.value();
  }

  ShadowEntryId after(ShadowEntryId id) { return ShadowEntryId::from_value(next(id)); }

  // The number of the list that the entry is in.
  std::uint32_t list_of(ShadowEntryId id) {
    std::uint32_t before = previous(id);
    while (!(before & list_head)) before = previous(ShadowEntryId::from_value(before));
    return before & ~list_head;
  }

 private:
  // The reference is good until the next call: the slot is not pinned any longer than that.
  std::uint32_t& next(ShadowEntryId id) {
    return slots_.map(storage_.frames(id.table()).next).words()[id.index()];
  }
  std::uint32_t& previous(ShadowEntryId id) {
    return slots_.map(storage_.frames(id.table()).previous).words()[id.index()];
  }

  MappingSlots& slots_;
  Storage& storage_;
};

}  // namespace undercroft
