#include "video_frames.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {
namespace {

constexpr std::uint32_t blank_cells = 0x07200720;  // light grey on black

}  // namespace

bool VideoFrames::take_frames() {
  if (frames_[0] != HostPhysical{}) return true;
  for (unsigned i = 0; i < pages; ++i) {
    const auto frame = pool_.allocate_zeroed();
    if (!frame) return false;
    frames_[i] = *frame;
    if (i >= text_pages) continue;
    std::uint32_t* const words = slots_.map(*frame).words();
    std::fill(words, words + page_size / 4, blank_cells);
  }
  return true;
}

void VideoFrames::show(GuestPhysical base) {
  if (shown_ == base) return;
  hide();
  set_kind(base, FrameKind::device_memory);
  shown_ = base;
}

void VideoFrames::hide() {
  if (!shown_) return;
  set_kind(*shown_, FrameKind::device);
  shown_.reset();
}

// The entries exist, since the pages have a kind: setting them needs no frame.
void VideoFrames::set_kind(GuestPhysical base, FrameKind kind) {
  for (unsigned i = 0; i < text_pages; ++i) {
    const GuestPhysical page = base + i * page_size;
    if (unmapper_ && table_.entry(page).reverse_map_head != 0) unmapper_->unmap(page);
    table_.set_frame(page, kind, frames_[i]);
  }
}

std::uint8_t VideoFrames::read(std::uint32_t offset) {
  return std::to_integer<std::uint8_t>(page(offset / page_size).bytes()[offset % page_size]);
}

void VideoFrames::write(std::uint32_t offset, std::uint8_t value) {
  page(offset / page_size).bytes()[offset % page_size] = std::byte{value};
}

void VideoFrames::read_cells(std::uint32_t first, std::span<std::uint16_t> out) {
  constexpr std::uint32_t cells_per_page = page_size / 2;
  while (!out.empty()) {
    const std::uint32_t cell = first & 0xffff;
    const std::uint32_t in_page = cell % cells_per_page;
    const auto count = std::min<std::size_t>(out.size(), cells_per_page - in_page);
    std::memcpy(out.data(), page(cell / cells_per_page).bytes() + in_page * 2, count * 2);
    out = out.subspan(count);
    first += static_cast<std::uint32_t>(count);
  }
}

}  // namespace undercroft
