#include "frame_pool.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {

namespace {

constexpr std::uint32_t page_numbers = 0x100000;  // 4 GB

// The page that holds byte `address`, or the end of the 4 GB if it lies above.
constexpr std::uint32_t page_below(std::uint64_t address) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(address / page_size, page_numbers));
}
constexpr std::uint32_t page_above(std::uint64_t address) {
  return page_below(address + page_mask);
}

}  // namespace

std::uint64_t page_checksum(std::uint32_t place, const std::byte* page) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(page);
  std::uint64_t sum = place + 1;
  for (unsigned i = 0; i < page_size / 4; ++i) {
    sum = (sum ^ words[i]) * 0x100000001b3;
    sum ^= sum >> 29;
  }
  return sum;
}

bool FramePool::reserve_range(HostPhysical start, std::uint64_t bytes) {
  if (bytes == 0) return true;
  if (reserved_count_ == reserved_.size()) return false;
  bytes = std::min<std::uint64_t>(bytes, std::uint64_t{page_numbers} * page_size);
  reserved_[reserved_count_++] = {start.page_number(), page_above(start.value() + bytes)};
  return true;
}

bool FramePool::add_range(HostPhysical start, std::uint64_t bytes) {
  bytes = std::min<std::uint64_t>(bytes, std::uint64_t{page_numbers} * page_size);
  std::uint32_t first = std::max(page_above(start.value()), 1u);
  const std::uint32_t end = page_below(start.value() + bytes);
  // Steps over the reservations in rising order: each round takes what lies before the lowest one
  // that still touches the rest.
  while (first < end) {
    Range next{end, end};
    for (unsigned i = 0; i < reserved_count_; ++i) {
      const Range& reserved = reserved_[i];
      if (reserved.end > first && reserved.first < next.first) next = reserved;
    }
    if (next.first > first && !add_pages(first, next.first)) return false;
    first = std::max(first, next.end);
  }
  return true;
}

bool FramePool::add_pages(std::uint32_t first, std::uint32_t end) {
  if (range_count_ == ranges_.size()) return false;
  ranges_[range_count_++] = {first, end};
  free_frames_ += end - first;
  return true;
}

std::optional<HostPhysical> FramePool::take() {
  if (freed_ != 0) {
    const HostPhysical frame = HostPhysical::of_page(freed_);
    freed_ = slots_.map(frame).words()[0];
    --free_frames_;
    return frame;
  }
  while (current_ < range_count_ && ranges_[current_].first == ranges_[current_].end) ++current_;
  if (current_ == range_count_) return std::nullopt;
  --free_frames_;
  return HostPhysical::of_page(ranges_[current_].first++);
}

std::optional<HostPhysical> FramePool::allocate() {
  const auto frame = take();
  if (frame && checking_) sum_ -= sum_of(*frame);
  return frame;
}

std::optional<HostPhysical> FramePool::allocate_zeroed() {
  const auto frame = allocate();
  if (frame) std::memset(slots_.map(*frame).bytes(), 0, page_size);
  return frame;
}

void FramePool::free(HostPhysical frame) {
  slots_.map(frame).words()[0] = freed_;
  freed_ = frame.page_number();
  ++free_frames_;
  if (checking_) sum_ += sum_of(frame);
}

std::uint64_t FramePool::sum_of_free() const {
  std::uint64_t sum = 0;
  for (unsigned i = current_; i < range_count_; ++i) {
    for (std::uint32_t page = ranges_[i].first; page < ranges_[i].end; ++page) {
      sum += sum_of(HostPhysical::of_page(page));
    }
  }
  std::uint32_t page = freed_, count = 0;
  while (page != 0 && count++ < free_frames_) {  // a list that was written to may go in a circle
    const auto frame = HostPhysical::of_page(page);
    sum += sum_of(frame);
    page = slots_.map(frame).words()[0];
  }
  return sum;
}

void FramePool::begin_check() {
  checking_ = true;
  sum_ = sum_of_free();
}

bool FramePool::check() const { return sum_of_free() == sum_; }

}  // namespace undercroft
