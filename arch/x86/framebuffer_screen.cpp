#include "framebuffer_screen.hpp"

#include "monitor/window_layout.hpp"

namespace undercroft::x86 {

void FramebufferScreen::initialise(const Framebuffer& framebuffer) {
  start_ = HostPhysical(static_cast<std::uint32_t>(framebuffer.address));
  messages_.clear();
  text_.set_target(framebuffer, *this);
}

void FramebufferScreen::write(std::string_view text) {
  messages_.write(text);
  text_.put_cells(0, messages_.cells());
}

std::byte* FramebufferScreen::at(std::uint32_t offset, unsigned bytes) {
  const HostPhysical place = start_ + offset;
  const std::uint32_t from_shown = place.value() - shown_.value();
  if (shown_ == HostPhysical{} || from_shown > 2 * page_size - bytes) {
    shown_ = place.page();
    paging_.point_pixels(shown_);
    return reinterpret_cast<std::byte*>(window::pixels + place.page_offset());
  }
  return reinterpret_cast<std::byte*>(window::pixels + from_shown);
}

}  // namespace undercroft::x86
