#include "frame_check.hpp"

#include "format.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t video_memory = 0xa0, firmware = 0xc0, first_megabyte_end = 0x100;

}  // namespace

FrameCheck::FrameCheck(MappingSlots& slots, FramePool& pool, std::span<const std::byte> fixed)
    : slots_(slots),
      pool_(pool),
      fixed_(fixed),
      fixed_before_(fixed_sum()),
      firmware_before_(firmware_sum()) {
  pool_.begin_check();
}

std::uint64_t FrameCheck::fixed_sum() const {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < fixed_.size(); at += page_size) {
    sum += page_checksum(static_cast<std::uint32_t>(at / page_size), fixed_.data() + at);
  }
  return sum;
}

std::uint64_t FrameCheck::firmware_sum() const {
  std::uint64_t sum = 0;
  for (std::uint32_t page = 0; page < first_megabyte_end; ++page) {
    if (page >= video_memory && page < firmware) continue;
    sum += page_checksum(page, slots_.map(HostPhysical::of_page(page)).bytes());
  }
  return sum;
}

bool FrameCheck::passes(Console& out, const ShadowPaging::Audit& audit) {
  const bool text = fixed_sum() == fixed_before_, firmware = firmware_sum() == firmware_before_,
             frames = pool_.check();
  print(out,
        "check: monitor's text and constants ({} KB) {}; memory of the firmware {}; {} free frames "
        "{}; {} shadow entries, {} of them wrong\n",
        fixed_.size() / 1024, text ? "unchanged" : "CHANGED", firmware ? "unchanged" : "CHANGED",
        pool_.free_frames(), frames ? "unchanged" : "CHANGED", audit.entries, audit.wrong);
  return text && firmware && frames && audit.wrong == 0;
}

}  // namespace undercroft
