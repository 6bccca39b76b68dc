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
  if (!guest_shows_) text_.put_cells(0, messages_.cells());
}

FramebufferText& FramebufferScreen::give_to_guest() {
  guest_shows_ = true;
  return text_;
}

// The guest may have drawn anything anywhere.
void FramebufferScreen::take_back() {
  if (!guest_shows_) return;
  guest_shows_ = false;
  text_.use_built_in_font();
  text_.set_palette(standard_palette);
  text_.set_bright_grounds(true);
  text_.set_shape({});
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
