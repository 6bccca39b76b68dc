// The monitor's messages on the linear framebuffer that the boot loader has set up, where the host
// has no text mode. Pixels are reached through two pages of the window, so that a panic needs
// nothing else.
#pragma once

#include <string_view>

#include "host_paging.hpp"
#include "monitor/display/framebuffer_display.hpp"
#include "monitor/display/message_text.hpp"

namespace undercroft::x86 {

class FramebufferScreen final : private PixelMemory, public FramebufferDisplay::Screen {
 public:
  constexpr explicit FramebufferScreen(HostPaging& paging) : paging_(paging) {}

  void initialise(const Framebuffer&);
  bool active() const { return text_.has_target(); }
  // While the screen is the guest's, the text is kept for take_back.
  void write(std::string_view text);

  FramebufferText& give_to_guest() override;
  void take_back();

 private:
  std::byte* at(std::uint32_t offset, unsigned bytes) override;

  HostPaging& paging_;
  HostPhysical start_{};
  HostPhysical shown_{};  // the first of the two pages; none at first
  bool guest_shows_ = false;
  MessageText messages_;
  FramebufferText text_;
};

}  // namespace undercroft::x86
