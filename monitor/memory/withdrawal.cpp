#include "withdrawal.hpp"

#include <cstring>

#include "page_codec.hpp"

namespace undercroft {

bool Withdrawal::restore(GuestPhysical page) {
  if (!has_spare() && !starved_) reclaim();
  const auto frame = has_spare() ? pool_.allocate() : std::nullopt;
  if (!frame) {
    starved_ = true;
    return false;
  }
  const FrameEntry entry = table_.entry(page);
  const MappedFrame mapped = slots_.map(*frame);
  if (entry.frame == HostPhysical{}) {
    std::memset(mapped.bytes(), 0, page_size);
  } else {
    store_.read(entry.frame, [&](std::span<const std::byte> packed) {
      unpack_page(packed, std::span<std::uint32_t, page_words>(mapped.words(), page_words));
    });
    store_.drop(entry.frame);
  }
  if (entry.kind == FrameKind::withdrawn) {
    ++counts_.restored;
    --away_;
  }
  count_gain();
  // The entry exists, since the page has a kind: setting it needs no frame.
  return table_.set_frame(page, FrameKind::ram, *frame);
}

bool Withdrawal::withdraw(GuestPhysical page) {
  const FrameEntry entry = table_.entry(page);
  if (entry.kind != FrameKind::ram) return false;
  std::optional<std::uint32_t> bytes = 0;
  {
    const MappedFrame mapped = slots_.map(entry.frame);
    const PageView words(mapped.words(), page_words);
    if (!is_zero_page(words)) bytes = pack_page(words, packed_);
  }
  if (!bytes) {
    ++counts_.unpackable;
    table_.set_stubborn(page, true);
    return false;
  }
  if (entry.reverse_map_head != 0 && unmapper_) unmapper_->unmap(page);
  HostPhysical place{};
  if (*bytes == 0) {
    ++counts_.zero;
    pool_.free(entry.frame);
  } else {
    ++counts_.packed;
    place = store_.keep(std::span(packed_).first(*bytes), entry.frame);
  }
  ++away_;
  count_gain();
  return table_.set_frame(page, FrameKind::withdrawn, place);
}

void Withdrawal::count_gain() {
  counts_.gained = away_ - store_.frames();
  if (counts_.gained > counts_.most_gained) counts_.most_gained = counts_.gained;
}

// What did not pack is not tried again before it has been in use.
void Withdrawal::age(GuestPhysical page) {
  const FrameEntry entry = table_.entry(page);
  if (entry.kind != FrameKind::ram) return;
  if (entry.reverse_map_head != 0 && unmapper_) {
    unmapper_->unmap(page);
    table_.set_stubborn(page, false);
  } else if (!entry.stubborn) {
    withdraw(page);
  }
}

GuestPhysical Withdrawal::next_page() {
  const auto page = GuestPhysical::of_page(hand_);
  if (++hand_ >= pages_) hand_ = 0;
  return page;
}

bool Withdrawal::sweep(std::uint32_t frames) {
  for (; frames != 0; --frames) {
    age(next_page());
    if (hand_ == 0) return true;
  }
  return false;
}

// At most two rounds: in the second nothing is mapped.
void Withdrawal::reclaim() {
  ++counts_.reclaims;
  const std::uint32_t enough = reserve_ + reclaim_batch;
  for (std::uint32_t seen = 0; seen < 2 * pages_ && pool_.free_frames() < enough; ++seen) {
    age(next_page());
  }
}

}  // namespace undercroft
