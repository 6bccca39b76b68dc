// The memory of the guest's VGA, in machine frames, so that pages of plain text can be shown to the
// guest as memory: a console that scrolls then costs no traps. Which pages are shown, and when, is
// guest_screen.hpp's decision.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "address.hpp"
#include "devices/device_ports.hpp"
#include "memory/frame_pool.hpp"
#include "memory/frame_table.hpp"
#include "memory/mapping_slots.hpp"
#include "memory/withdrawal.hpp"

namespace undercroft {

class VideoFrames final : public VideoMemory {
 public:
  static constexpr unsigned pages = bytes / page_size;
  static constexpr unsigned text_pages = 8;  // a window of 32 KB

  VideoFrames(MappingSlots& slots, FramePool& pool, FrameTable& table)
      : slots_(slots), pool_(pool), table_(table) {}

  // From the pool, with a blank screen in them. False: too few. Later calls do nothing.
  bool take_frames();
  // Before there is one, no guest frame is mapped anywhere.
  void set_unmapper(FrameUnmapper& unmapper) { unmapper_ = &unmapper; }

  // Lets the guest reach the first 32 KB at `base` as memory, and no longer where it could before.
  // The pages there must be a device's.
  void show(GuestPhysical base);
  void hide();
  std::optional<GuestPhysical> shown() const { return shown_; }

  std::uint8_t read(std::uint32_t offset) override;
  void write(std::uint32_t offset, std::uint8_t value) override;
  MappedFrame page(unsigned number) { return slots_.map(frames_[number]); }
  // Characters with their attributes from planes 0 and 1; numbers wrap at 64 K.
  void read_cells(std::uint32_t first, std::span<std::uint16_t> out);

 private:
  void set_kind(GuestPhysical base, FrameKind);

  MappingSlots& slots_;
  FramePool& pool_;
  FrameTable& table_;
  FrameUnmapper* unmapper_ = nullptr;
  std::array<HostPhysical, pages> frames_{};
  std::optional<GuestPhysical> shown_{};
};

}  // namespace undercroft
