#include "page_store.hpp"

#include <cstring>

namespace undercroft {

// The first unit of `length` free ones in a row; `units` if there are none.
unsigned PageStore::first_free_run(std::uint32_t used, unsigned length) {
  const std::uint32_t wanted = (1u << length) - 1;
  unsigned first = 1;
  while (first + length <= units && (used >> first & wanted) != 0) ++first;
  return first + length <= units ? first : units;
}

unsigned PageStore::longest_free_run(std::uint32_t used) {
  unsigned length = units - 1;
  while (length != 0 && first_free_run(used, length) == units) --length;
  return length;
}

void PageStore::insert(HostPhysical frame, Header& header) {
  std::uint32_t& list = lists_[longest_free_run(header.used)];
  header.previous = 0;
  header.next = list;
  if (list != 0) {
    slots_.map(HostPhysical::of_page(list)).as<Header>()->previous = frame.page_number();
  }
  list = frame.page_number();
}

void PageStore::remove(const Header& header) {
  if (header.next != 0) {
    slots_.map(HostPhysical::of_page(header.next)).as<Header>()->previous = header.previous;
  }
  if (header.previous != 0) {
    slots_.map(HostPhysical::of_page(header.previous)).as<Header>()->next = header.next;
  } else {
    lists_[longest_free_run(header.used)] = header.next;
  }
}

// The tightest that has so many free units in a row; address 0 if there is none.
HostPhysical PageStore::frame_with_room(unsigned length) {
  for (; length < units; ++length) {
    if (lists_[length] != 0) return HostPhysical::of_page(lists_[length]);
  }
  return {};
}

HostPhysical PageStore::make_frame(HostPhysical frame) {
  const MappedFrame mapped = slots_.map(frame);
  Header& header = *mapped.as<Header>();
  header = {};
  header.used = 1;
  insert(frame, header);
  ++frames_;
  return frame;
}

HostPhysical PageStore::keep(std::span<const std::byte> bytes, HostPhysical own) {
  const unsigned length = units_of(static_cast<std::uint32_t>(bytes.size()));
  HostPhysical frame = frame_with_room(length);
  if (frame == HostPhysical{}) {
    frame = make_frame(own);
  } else {
    pool_.free(own);
  }
  const MappedFrame mapped = slots_.map(frame);
  Header& header = *mapped.as<Header>();
  remove(header);
  const unsigned unit = first_free_run(header.used, length);
  header.used |= ((1u << length) - 1) << unit;
  header.bytes[unit] = static_cast<std::uint16_t>(bytes.size());
  std::memcpy(mapped.bytes() + unit * unit_bytes, bytes.data(), bytes.size());
  insert(frame, header);
  return frame + unit * unit_bytes;
}

void PageStore::drop(HostPhysical place) {
  const HostPhysical frame = place.page();
  {
    const MappedFrame mapped = slots_.map(frame);
    Header& header = *mapped.as<Header>();
    const unsigned unit = place.page_offset() / unit_bytes;
    remove(header);
    header.used &= ~(((1u << units_of(header.bytes[unit])) - 1) << unit);
    header.bytes[unit] = 0;
    if (header.used != 1) return insert(frame, header);
  }
  --frames_;
  pool_.free(frame);
}

}  // namespace undercroft
