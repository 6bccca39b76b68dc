// What the guest's VGA shows, brought to the host's display some thirty times a second while the
// guest writes, and not at all while it does not. Pages of plain text are memory for the guest
// meanwhile, compared with what was shown last; when nothing has changed for a while they become a
// device's again, so that the next access wakes the refresh.
#pragma once

#include <array>
#include <cstdint>

#include "devices/pc.hpp"
#include "ports.hpp"
#include "video_frames.hpp"

namespace undercroft {

// About 16 KB.
class GuestScreen {
 public:
  static constexpr std::uint64_t interval = 33'000'000;  // ns
  // Refreshes that find nothing new before the guest's text pages are a device's again.
  static constexpr unsigned quiet_refreshes = 8;

  // Without a display nothing is shown, and there is no deadline.
  GuestScreen(Pc&, VideoFrames&, GuestDisplay*);

  // The guest's next access to its VGA must come after this if changes were waiting.
  bool waits() const { return pc_.vga().changes().any(); }
  // Takes up what the guest has done to its VGA, and refreshes if that is due.
  void tend(std::uint64_t now);
  // When the next refresh is due; no_deadline while nothing changes.
  std::uint64_t deadline() const { return deadline_; }
  // Shows what there is at once: the run is over.
  void finish();

 private:
  static constexpr unsigned most_columns = 132, most_rows = 60;

  void note(const Vga::Changes&, std::uint64_t now);
  bool refresh();
  bool put_changes();
  void take_screen();
  void show_registers();
  bool draw_text();
  bool draw_row(unsigned row, unsigned columns);
  bool draw_pages(std::uint64_t which);

  Pc& pc_;
  VideoFrames& frames_;
  GuestDisplay* display_;
  std::uint64_t deadline_ = no_deadline;
  unsigned quiet_ = 0;
  bool owns_screen_ = false;  // the guest has shown something
  bool registers_changed_ = false;
  bool graphics_shown_ = false;
  std::uint64_t pages_ = 0;  // of the video memory, to be shown again
  bool cells_valid_ = false;
  std::array<std::uint16_t, most_columns * most_rows> cells_{};  // as shown, row by row
};

}  // namespace undercroft
