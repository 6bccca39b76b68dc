// A VGA's picture in a graphics mode on a linear framebuffer: as large as fits in whole steps, in
// the middle; what is too large for it is cut off. Lines are drawn anew when something in them may
// have changed. What the picture is made of is vga_picture.hpp's.
#pragma once

#include <array>
#include <cstdint>

#include "framebuffer_text.hpp"
#include "vga_picture.hpp"

namespace undercroft {

// About 2 KB.
class FramebufferGraphics {
 public:
  // All is to be drawn with these; true if the picture has another size now, so that its
  // surroundings are to be blanked.
  bool set_registers(const VgaRegisters&, const Framebuffer&);
  // Something has changed in this page of the video memory.
  void note_page(std::uint32_t offset);
  // Draws what has been noted since the last call.
  void draw(PixelMemory&, VideoMemory&);

 private:
  void place(const VgaPicture&, const Framebuffer&);
  bool is_noted(std::uint32_t address, unsigned addresses) const;
  void draw_line(const VgaPicture&, unsigned line, std::uint32_t offset, PixelMemory&,
                 VideoMemory&) const;

  VgaRegisters registers_{};
  unsigned width_ = 0, height_ = 0;  // of the picture, in dots
  unsigned scale_ = 1;
  unsigned shown_width_ = 0, shown_height_ = 0;  // dots that fit
  std::uint32_t first_ = 0;                      // offset of the first pixel drawn
  std::uint32_t pitch_ = 0;                      // of the framebuffer
  unsigned pixel_bytes_ = 0;
  std::uint32_t noted_ = 0;  // bit n: addresses n * 2048 and following of the planes
  std::array<std::uint32_t, 256> pixels_{};  // of the colours' numbers
};

}  // namespace undercroft
