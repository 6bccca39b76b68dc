// What a guest's VGA shows, drawn on the host's linear framebuffer: text by framebuffer_text.hpp,
// graphics modes by framebuffer_graphics.hpp.
#pragma once

#include "../devices/device_ports.hpp"
#include "../ports.hpp"
#include "framebuffer_graphics.hpp"
#include "framebuffer_text.hpp"

namespace undercroft {

class FramebufferDisplay final : public GuestDisplay {
 public:
  // Asked once, when the guest first shows something: the text that it is shown with.
  class Screen {
   public:
    virtual FramebufferText& give_to_guest() = 0;

   protected:
    ~Screen() = default;
  };

  FramebufferDisplay(Screen& screen, VideoMemory& memory) : screen_(screen), memory_(memory) {}

  // The guest finds the built-in font in plane 2, where firmware would have left one.
  static void copy_font(VideoMemory&);

  void set_registers(const VgaRegisters&) override;
  void put_cells(unsigned first, std::span<const std::uint16_t>) override;
  void put_page(std::uint32_t offset, std::span<const std::byte, page_size>) override;
  void finish_refresh() override;

 private:
  FramebufferText& text();

  Screen& screen_;
  VideoMemory& memory_;
  FramebufferGraphics graphics_;
  FramebufferText* text_ = nullptr;
  bool shows_graphics_ = false;
};

// The sixteen colours of text (IBM VGA: the attribute controller's palette, then the DAC's).
TextPalette text_palette(const VgaRegisters&);
std::optional<TextCursor> text_cursor(const VgaRegisters&);

}  // namespace undercroft
