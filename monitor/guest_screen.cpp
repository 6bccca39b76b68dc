#include "guest_screen.hpp"

#include <algorithm>

namespace undercroft {
namespace {

constexpr std::uint64_t all_pages = ~std::uint64_t{0};
constexpr std::uint16_t blank = 0x0720;  // as the video memory is at the start
constexpr std::uint64_t font_pages = all_pages << VideoFrames::pages / 2;  // planes 2 and 3

}  // namespace

GuestScreen::GuestScreen(Pc& pc, VideoFrames& frames, GuestDisplay* display)
    : pc_(pc), frames_(frames), display_(display) {
  cells_.fill(blank);
}

void GuestScreen::tend(std::uint64_t now) {
  if (waits()) note(pc_.take_screen_changes(), now);
  if (now < deadline_) return;
  quiet_ = refresh() ? 0 : quiet_ + 1;
  deadline_ = now + interval;
  if (quiet_ < quiet_refreshes) return;
  frames_.hide();
  deadline_ = no_deadline;
}

void GuestScreen::note(const Vga::Changes& changes, std::uint64_t now) {
  const auto base = pc_.vga().registers().plain_text_base();
  if (!base || (frames_.shown() && *frames_.shown() != GuestPhysical(*base))) frames_.hide();
  if (base && changes.accessed) frames_.show(GuestPhysical(*base));
  if (!display_) return;
  registers_changed_ |= changes.registers;
  pages_ |= changes.pages;
  if (changes.registers || changes.pages != 0) take_screen();
  quiet_ = 0;
  if (deadline_ == no_deadline) deadline_ = now + interval;
}

void GuestScreen::take_screen() {
  if (owns_screen_) return;
  owns_screen_ = registers_changed_ = true;
  cells_valid_ = false;
}

void GuestScreen::finish() {
  if (!display_) return;
  if (waits()) note(pc_.take_screen_changes(), 0);
  refresh();
}

// Whether anything was to be shown.
bool GuestScreen::refresh() {
  const bool shown = put_changes();
  if (shown) display_->finish_refresh();
  return shown;
}

bool GuestScreen::put_changes() {
  const VgaRegisters& registers = pc_.vga().registers();
  if (registers.shows_graphics() != graphics_shown_) {
    graphics_shown_ = registers.shows_graphics();
    pages_ = all_pages;
    cells_valid_ = false;
  }
  const bool changed = registers_changed_;
  if (registers_changed_) show_registers();
  const std::uint64_t pages = pages_;
  pages_ = 0;
  if (graphics_shown_) return draw_pages(pages) || changed;
  const bool fonts = draw_pages(pages & font_pages);
  return draw_text() || fonts || changed;
}

// The text is drawn from the display's start on, wherever the guest has its own.
void GuestScreen::show_registers() {
  registers_changed_ = false;
  VgaRegisters shown = pc_.vga().registers();
  if (!shown.shows_graphics()) {
    const auto cursor = static_cast<std::uint16_t>(shown.cursor() - shown.start());
    shown.crtc[0x0c] = shown.crtc[0x0d] = 0;
    shown.crtc[0x0e] = static_cast<std::uint8_t>(cursor >> 8);
    shown.crtc[0x0f] = static_cast<std::uint8_t>(cursor);
    shown.crtc[0x13] = static_cast<std::uint8_t>(shown.columns() / 2);
  }
  display_->set_registers(shown);
}

bool GuestScreen::draw_text() {
  const VgaRegisters& registers = pc_.vga().registers();
  const unsigned columns = std::min(registers.columns(), most_columns);
  const unsigned rows = std::min(registers.rows(), most_rows);
  bool drawn = false;
  const bool owned = owns_screen_;
  for (unsigned row = 0; row < rows && owned == owns_screen_; ++row) {
    drawn |= draw_row(row, columns);
  }
  cells_valid_ |= owned;
  return drawn;
}

bool GuestScreen::draw_row(unsigned row, unsigned columns) {
  const VgaRegisters& registers = pc_.vga().registers();
  std::array<std::uint16_t, most_columns> now;
  frames_.read_cells(registers.start() + row * registers.pitch(), std::span(now).first(columns));
  std::uint16_t* const shown = cells_.data() + row * columns;
  unsigned first = 0, end = columns;
  if (!owns_screen_ && !std::equal(shown, shown + columns, now.begin())) {
    take_screen();  // and all is drawn next time
    return true;
  }
  if (cells_valid_ || !owns_screen_) {
    while (first < columns && now[first] == shown[first]) ++first;
    if (first == columns) return false;
    while (now[end - 1] == shown[end - 1]) --end;
  }
  std::copy(now.begin() + first, now.begin() + end, shown + first);
  display_->put_cells(row * columns + first, std::span(shown + first, end - first));
  return true;
}

bool GuestScreen::draw_pages(std::uint64_t which) {
  for (unsigned page = 0; page < VideoFrames::pages; ++page) {
    if ((which >> page & 1) == 0) continue;
    const MappedFrame mapped = frames_.page(page);
    display_->put_page(page * page_size,
                       std::span<const std::byte, page_size>(mapped.bytes(), page_size));
  }
  return which != 0;
}

}  // namespace undercroft
