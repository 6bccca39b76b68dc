#include "framebuffer_text.hpp"

#include <algorithm>
#include <cstring>

#include "../memory/small_copy.hpp"

namespace undercroft {

void FramebufferText::set_target(const Framebuffer& framebuffer, PixelMemory& memory) {
  target_ = framebuffer;
  memory_ = &memory;
  cells_.fill(blank_cell);
  use_built_in_font();
  set_shape({});
  set_palette(standard_palette);
  set_bright_grounds(true);
}

FramebufferText::Shape FramebufferText::possible(const Shape& shape) {
  return {std::clamp(shape.columns, 1u, most_columns), std::clamp(shape.rows, 1u, most_rows),
          std::clamp(shape.lines, 1u, most_lines)};
}

void FramebufferText::set_shape(const Shape& shape) {
  shape_ = possible(shape);
  cursor_.reset();
  const unsigned width = shape_.columns * cell_width, height = shape_.rows * shape_.lines;
  // A cell's line has to fit what PixelMemory gives at once.
  constexpr unsigned most_scale = 16;
  scale_ = std::clamp(std::min(target_.width / width, target_.height / height), 1u, most_scale);
  shown_columns_ = std::min(shape_.columns, target_.width / (cell_width * scale_));
  shown_rows_ = std::min(shape_.rows, target_.height / (shape_.lines * scale_));
  left_ = (target_.width - shown_columns_ * cell_width * scale_) / 2;
  top_ = (target_.height - shown_rows_ * shape_.lines * scale_) / 2;
  clear();
  redraw();
}

void FramebufferText::clear() {
  constexpr unsigned piece = 256;
  for (unsigned y = 0; y < target_.height; ++y) {
    const unsigned bytes = target_.width * target_.bytes_per_pixel();
    for (unsigned x = 0; x < bytes; x += piece) {
      const unsigned length = std::min(piece, bytes - x);
      std::memset(memory_->at(y * target_.pitch + x, length), 0, length);
    }
  }
}

void FramebufferText::set_palette(const TextPalette& palette) {
  std::array<std::uint32_t, 16> pixels{};
  for (unsigned i = 0; i < palette.size(); ++i) pixels[i] = target_.pixel(palette[i]);
  if (pixels == pixels_) return;
  pixels_ = pixels;
  redraw();
}

void FramebufferText::set_bright_grounds(bool bright) {
  const unsigned mask = bright ? 15 : 7;
  if (mask == ground_mask_) return;
  ground_mask_ = mask;
  redraw();
}

void FramebufferText::set_glyph(std::uint8_t character, std::span<const std::uint8_t> lines) {
  for (unsigned line = 0; line < most_lines; ++line) {
    font_[character * most_lines + line] = line < lines.size() ? lines[line] : std::uint8_t{0};
  }
}

void FramebufferText::set_glyph_line(std::uint8_t character, unsigned line, std::uint8_t bits) {
  font_[character * most_lines + line % most_lines] = bits;
}

void FramebufferText::use_built_in_font() {
  constexpr unsigned lines = 16;
  for (unsigned c = 0; c < 256; ++c) {
    set_glyph(static_cast<std::uint8_t>(c), std::span(built_in_font).subspan(c * lines, lines));
  }
}

void FramebufferText::put_cells(unsigned first, std::span<const std::uint16_t> cells) {
  const unsigned all = shape_.columns * shape_.rows;
  const unsigned end = std::min<unsigned>(all, first + static_cast<unsigned>(cells.size()));
  unsigned changed_from = end;  // a run of cells that differ
  for (unsigned at = first; at < end; ++at) {
    const bool differs = cells_[at] != cells[at - first];
    cells_[at] = cells[at - first];
    if (differs && changed_from == end) changed_from = at;
    if (!differs && changed_from != end) {
      draw_run(changed_from, at);
      changed_from = end;
    }
  }
  draw_run(changed_from, end);
}

void FramebufferText::set_cursor(std::optional<TextCursor> cursor) {
  if (cursor_ == cursor) return;
  const std::optional<TextCursor> old = cursor_;
  cursor_ = cursor;
  if (old) draw_cell(old->cell);
  if (cursor) draw_cell(cursor->cell);
}

void FramebufferText::redraw() { draw_run(0, shape_.columns * shape_.rows); }

void FramebufferText::draw_cell(unsigned at) {
  if (at < shape_.columns * shape_.rows) draw_run(at, at + 1);
}

void FramebufferText::draw_run(unsigned first, unsigned end) {
  if (!memory_) return;
  const unsigned line_bytes = target_.pitch;
  for (unsigned row = first / shape_.columns; row < shown_rows_ && first < end; ++row) {
    const unsigned row_start = row * shape_.columns;
    const unsigned row_end = std::min(end, row_start + shown_columns_);
    const unsigned y = top_ + row * shape_.lines * scale_;
    for (unsigned line = 0; line < shape_.lines * scale_; ++line) {
      const unsigned x = left_ + (first - row_start) * cell_width * scale_;
      draw_line(first, row_end, line / scale_,
                (y + line) * line_bytes + x * target_.bytes_per_pixel());
    }
    first = row_start + shape_.columns;
  }
}

// One of the framebuffer's lines through the cells [first, end) of a row.
void FramebufferText::draw_line(unsigned first, unsigned end, unsigned line, std::uint32_t offset) {
  const unsigned bytes = cell_width * scale_ * target_.bytes_per_pixel();
  for (unsigned at = first; at < end; ++at, offset += bytes) {
    const unsigned attribute = cells_[at] >> 8;
    paint(memory_->at(offset, bytes), bits_of(at, line), pixels_[attribute & 15],
          pixels_[attribute >> 4 & ground_mask_]);
  }
}

std::uint8_t FramebufferText::bits_of(unsigned at, unsigned line) const {
  const bool in_cursor =
      cursor_ && cursor_->cell == at && line >= cursor_->first_line && line <= cursor_->last_line;
  return in_cursor ? std::uint8_t{0xff} : font_[(cells_[at] & 0xffu) * most_lines + line];
}

void FramebufferText::paint(std::byte* out, std::uint8_t bits, std::uint32_t on,
                            std::uint32_t off) const {
  const unsigned size = target_.bytes_per_pixel();
  for (unsigned x = 0; x < cell_width; ++x) {
    const std::uint32_t pixel = bits & (0x80u >> x) ? on : off;
    for (unsigned i = 0; i < scale_; ++i, out += size) store_bytes(out, pixel, size);
  }
}

}  // namespace undercroft
