// The window's page tables, one for each view, and the monitor's own root. It knows what each page
// of the window may do; which root is loaded, and the roots of guests, are others' business.
#pragma once

#include <cstdint>

#include "monitor/memory/mapping_slots.hpp"
#include "monitor/processor.hpp"

namespace undercroft::x86 {

class HostPaging final : public SlotPort {
 public:
  // Builds everything; runs before paging is on. The window starts at default_base.
  void build();
  // Turns paging on, with the first megabytes mapped one to one as well, so that the code which
  // calls this goes on. Once the segments have moved to the window, load monitor_root().
  void enable();

  // See Processor::show_cache_to_user.
  void show_cache_to_user(bool shown);

  HostPhysical monitor_root() const;
  std::uint32_t window_entry(View) const;
  // The monitor root's own entry for the window.
  void map_window(HostLinear base);
  void unmap_window(HostLinear base);

  void point(unsigned slot, HostPhysical frame) override;
  // Shows the registers at `frame` at this offset of the window.
  void show_device(std::uint32_t offset, HostPhysical frame);
  // Shows `frame` and the one behind it at window::pixels, for writing only.
  void point_pixels(HostPhysical frame);

  static constexpr HostLinear default_base{0xff000000};
};

}  // namespace undercroft::x86
