#include "framebuffer_display.hpp"

namespace undercroft {
namespace {

constexpr unsigned font_plane = 2;
constexpr unsigned glyph_bytes = 32;  // from one shape to the next, of which 16 are the font's
constexpr std::uint32_t plane_pair_bytes = VideoMemory::bytes / 2;

// Attribute controller: mode control.
constexpr unsigned mode_control = 0x10;
constexpr std::uint8_t blinks = 0x08;

}  // namespace

TextPalette text_palette(const VgaRegisters& registers) {
  TextPalette palette;
  for (unsigned i = 0; i < palette.size(); ++i) palette[i] = attribute_colour(registers, i);
  return palette;
}

// CRT controller 10 and 11: the lines, and whether there is a cursor at all.
std::optional<TextCursor> text_cursor(const VgaRegisters& registers) {
  constexpr std::uint8_t off = 0x20;
  const std::uint8_t start = registers.crtc[0x0a], end = registers.crtc[0x0b];
  if ((start & off) || (start & 0x1f) > (end & 0x1f)) return std::nullopt;
  return TextCursor{registers.cursor(), start & 0x1fu, end & 0x1fu};
}

FramebufferText& FramebufferDisplay::text() {
  if (!text_) text_ = &screen_.give_to_guest();
  return *text_;
}

void FramebufferDisplay::copy_font(VideoMemory& memory) {
  constexpr unsigned lines = 16;
  for (unsigned i = 0; i < built_in_font.size(); ++i) {
    memory.write(video_memory_offset(font_plane, i / lines * glyph_bytes + i % lines),
                 built_in_font[i]);
  }
}

void FramebufferDisplay::set_registers(const VgaRegisters& registers) {
  FramebufferText& shown = text();
  const FramebufferText::Shape shape{registers.columns(), registers.rows(),
                                     registers.cell_height()};
  if (registers.shows_graphics()) {
    const bool resized = graphics_.set_registers(registers, shown.target());
    if (resized || !shows_graphics_) shown.clear();
    shows_graphics_ = true;
    return;
  }
  if (shows_graphics_ || !shown.is_shape(shape)) shown.set_shape(shape);
  shows_graphics_ = false;
  shown.set_palette(text_palette(registers));
  shown.set_bright_grounds(!(registers.attribute[mode_control] & blinks));
  shown.set_cursor(text_cursor(registers));
}

void FramebufferDisplay::put_cells(unsigned first, std::span<const std::uint16_t> cells) {
  if (!shows_graphics_) text().put_cells(first, cells);
}

// Of a page's bytes, every other one is plane 2's, and its first 8 KB hold the shapes.
void FramebufferDisplay::put_page(std::uint32_t offset,
                                  std::span<const std::byte, page_size> bytes) {
  if (shows_graphics_) return graphics_.note_page(offset);
  const std::uint32_t first = offset % plane_pair_bytes / 2;
  if (offset < plane_pair_bytes || first >= 256 * glyph_bytes) return;
  for (std::uint32_t i = 0; i < page_size / 2; ++i) {
    text().set_glyph_line(static_cast<std::uint8_t>((first + i) / glyph_bytes),
                          (first + i) % glyph_bytes, std::to_integer<std::uint8_t>(bytes[i * 2]));
  }
  text().redraw();
}

void FramebufferDisplay::finish_refresh() {
  if (shows_graphics_) graphics_.draw(text().memory(), memory_);
}

}  // namespace undercroft
