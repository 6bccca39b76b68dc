// What a guest's VGA shows, on the host's: the guest's registers go to the card as far as they make
// the picture, and its memory is reached as suits the monitor.
#pragma once

#include "monitor/memory/mapping_slots.hpp"
#include "monitor/ports.hpp"
#include "monitor/video_frames.hpp"
#include "screen.hpp"

namespace undercroft::x86 {

class VgaDisplay final : public GuestDisplay {
 public:
  VgaDisplay(Screen& screen, MappingSlots& slots) : screen_(screen), slots_(slots) {}

  // The guest finds the characters' shapes that the firmware has left in plane 2.
  void copy_font(VideoMemory&);

  void set_registers(const VgaRegisters&) override;
  void put_cells(unsigned first, std::span<const std::uint16_t>) override;
  void put_page(std::uint32_t offset, std::span<const std::byte, page_size>) override;

 private:
  void put_plane(unsigned plane, std::uint32_t at, std::span<const std::byte, page_size>);
  void put_chained(unsigned plane, std::uint32_t at, std::span<const std::byte, page_size>);

  Screen& screen_;
  MappingSlots& slots_;
};

}  // namespace undercroft::x86
