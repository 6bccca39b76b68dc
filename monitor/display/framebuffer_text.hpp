// Text in cells, as a VGA has it, drawn on a linear framebuffer: as large as fits, in the middle.
// It keeps what it has drawn, and draws what changes. Where the pixels can be written is the port's
// business; whose text it is, its callers'.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "font.hpp"
#include "framebuffer.hpp"

namespace undercroft {

// Access to the framebuffer's memory.
class PixelMemory {
 public:
  // Where the `bytes` (at most 512) from `offset` on can be written, until the next call.
  virtual std::byte* at(std::uint32_t offset, unsigned bytes) = 0;

 protected:
  ~PixelMemory() = default;
};

using TextPalette = std::array<Colour, 16>;
inline constexpr TextPalette standard_palette{{{0, 0, 0},
                                               {0, 0, 170},
                                               {0, 170, 0},
                                               {0, 170, 170},
                                               {170, 0, 0},
                                               {170, 0, 170},
                                               {170, 85, 0},
                                               {170, 170, 170},
                                               {85, 85, 85},
                                               {85, 85, 255},
                                               {85, 255, 85},
                                               {85, 255, 255},
                                               {255, 85, 85},
                                               {255, 85, 255},
                                               {255, 255, 85},
                                               {255, 255, 255}}};

// A cell is a character in bits 7:0, its colour in bits 11:8 and that of its ground in bits 15:12.
inline constexpr std::uint16_t blank_cell = 0x0720;

// The cursor: some lines of one cell, in the colour of its character.
struct TextCursor {
  unsigned cell = 0, first_line = 0, last_line = 0;
  constexpr bool operator==(const TextCursor&) const = default;
};

// About 30 KB.
class FramebufferText {
 public:
  static constexpr unsigned most_columns = 132, most_rows = 60;
  static constexpr unsigned cell_width = 8, most_lines = 32;  // of a character

  struct Shape {
    unsigned columns = 80, rows = 25, lines = 16;  // lines: of each character
    constexpr bool operator==(const Shape&) const = default;
  };

  // Until a framebuffer is given, nothing is drawn.
  void set_target(const Framebuffer& framebuffer, PixelMemory& memory);
  bool has_target() const { return memory_ != nullptr; }
  // For others that draw there; only with a target.
  const Framebuffer& target() const { return target_; }
  PixelMemory& memory() { return *memory_; }

  // Blanks the whole framebuffer, and draws the cells in their new places. What is beyond the
  // largest shape is left out.
  void set_shape(const Shape&);
  // Blanks the framebuffer; the cells stay what they are.
  void clear();
  const Shape& shape() const { return shape_; }
  // Whether set_shape with this one would lead to the present one.
  bool is_shape(const Shape& shape) const { return shape_ == possible(shape); }
  // Both draw everything again if they change something.
  void set_palette(const TextPalette&);
  // Whether bit 15 of a cell is part of the ground's colour; else it blinks, which is not shown.
  void set_bright_grounds(bool);
  // Lines 0 to 31 of one character's shape; lines beyond those given are empty.
  void set_glyph(std::uint8_t character, std::span<const std::uint8_t> lines);
  void set_glyph_line(std::uint8_t character, unsigned line, std::uint8_t bits);
  void use_built_in_font();

  // Draws those that differ. Cells are counted row by row.
  void put_cells(unsigned first, std::span<const std::uint16_t>);
  void set_cursor(std::optional<TextCursor>);
  // Draws everything again.
  void redraw();

  std::uint16_t cell(unsigned at) const { return cells_[at]; }

 private:
  static Shape possible(const Shape&);
  void draw_cell(unsigned at);
  void draw_run(unsigned first, unsigned end);
  void draw_line(unsigned first, unsigned end, unsigned line, std::uint32_t offset);
  std::uint8_t bits_of(unsigned at, unsigned line) const;
  void paint(std::byte* out, std::uint8_t bits, std::uint32_t on, std::uint32_t off) const;

  Framebuffer target_{};
  PixelMemory* memory_ = nullptr;
  Shape shape_{0, 0, 0};
  unsigned scale_ = 0;
  unsigned left_ = 0, top_ = 0;                  // pixels
  unsigned shown_columns_ = 0, shown_rows_ = 0;  // that fit
  std::optional<TextCursor> cursor_{};
  unsigned ground_mask_ = 0;                // of an attribute's upper half
  std::array<std::uint32_t, 16> pixels_{};  // of the palette
  std::array<std::uint16_t, most_columns * most_rows> cells_{};
  std::array<std::uint8_t, 256 * most_lines> font_{};
};

}  // namespace undercroft
