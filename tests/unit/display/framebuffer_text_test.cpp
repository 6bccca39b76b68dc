#include "monitor/display/framebuffer_text.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace undercroft {
namespace {

constexpr Framebuffer rgb(unsigned width, unsigned height, unsigned bits, unsigned pitch) {
  Framebuffer f{0xfd000000, pitch, width, height, static_cast<std::uint8_t>(bits), {}, {}, {}};
  if (bits == 16) {
    f.red = {11, 5}, f.green = {5, 6}, f.blue = {0, 5};
  } else {
    f.red = {16, 8}, f.green = {8, 8}, f.blue = {0, 8};
  }
  return f;
}

// Memory that is 0xee where nothing was drawn, and knows if it was asked for more than there is.
class Pixels final : public PixelMemory {
 public:
  explicit Pixels(const Framebuffer& f)
      : framebuffer(f),
        bytes(f.bytes(), std::byte{0xee}),
        text(std::make_unique<FramebufferText>()) {
    text->set_target(f, *this);
  }
  std::byte* at(std::uint32_t offset, unsigned count) override {
    EXPECT_LE(count, 512u);
    EXPECT_LE(offset + count, bytes.size());
    written += count;
    return bytes.data() + offset;
  }
  std::uint32_t pixel(unsigned x, unsigned y) const {
    std::uint32_t value = 0;
    std::memcpy(&value, &bytes[y * framebuffer.pitch + x * framebuffer.bytes_per_pixel()],
                framebuffer.bytes_per_pixel());
    return value;
  }
  // A cell's picture, # where it differs from its upper left pixel's opposite.
  std::string line(unsigned x, unsigned y, unsigned width, std::uint32_t lit) const {
    std::string picture;
    for (unsigned i = 0; i < width; ++i) picture += pixel(x + i, y) == lit ? '#' : '.';
    return picture;
  }

  Framebuffer framebuffer;
  std::vector<std::byte> bytes;
  std::size_t written = 0;
  std::unique_ptr<FramebufferText> text;
};

std::vector<std::uint16_t> cells(const std::string& text, std::uint16_t attribute = 0x07) {
  std::vector<std::uint16_t> result;
  for (const char c : text)
    result.push_back(static_cast<std::uint16_t>(attribute << 8 | static_cast<std::uint8_t>(c)));
  return result;
}

TEST(BuiltInFont, LettersLinesAndBlocksAreThere) {
  const auto row = [](unsigned c, unsigned y) { return built_in_font[c * 16 + y]; };
  for (unsigned c = '!'; c < 127; ++c) {
    unsigned lit = 0;
    for (unsigned y = 0; y < 16; ++y) lit += static_cast<unsigned>(std::popcount(row(c, y)));
    EXPECT_GT(lit, 1u) << c;
  }
  for (unsigned y = 0; y < 16; ++y) {
    EXPECT_EQ(row(' ', y), 0);
    EXPECT_EQ(row(0xdb, y), 0xff);          // a full block
    EXPECT_EQ(row(0xb3, y), row(0xb3, 0));  // a vertical line, which joins its neighbours
  }
  EXPECT_NE(row(0xb3, 0), 0);
  EXPECT_EQ(row('T', 4), 0x7f);  // upright and the right way round
  EXPECT_NE(row('L', 4), row('L', 13));
}

TEST(FramebufferText, StandsInTheMiddleAndDrawsTheFont) {
  Pixels screen(rgb(800, 600, 32, 3200));
  screen.text->put_cells(81, cells("T"));
  const unsigned x = 80 + 8, y = 100 + 16;
  constexpr std::uint32_t grey = 0xaaaaaa;
  for (unsigned line = 0; line < 16; ++line) {
    std::string wanted;
    for (unsigned bit = 0; bit < 8; ++bit)
      wanted += built_in_font['T' * 16 + line] & (0x80 >> bit) ? '#' : '.';
    EXPECT_EQ(screen.line(x, y + line, 8, grey), wanted) << line;
  }
  EXPECT_EQ(screen.pixel(0, 0), 0u);
  EXPECT_EQ(screen.pixel(799, 599), 0u);
}

TEST(FramebufferText, ColoursByDepth) {
  for (const unsigned bits : {16u, 24u, 32u}) {
    Pixels screen(rgb(640, 400, bits, 640 * ((bits + 7) / 8) + 12));
    screen.text->put_cells(0, cells("\xdb ", 0x4e));  // yellow on red
    EXPECT_EQ(screen.pixel(3, 3), bits == 16 ? 0xffeau : 0xffff55u) << bits;
    EXPECT_EQ(screen.pixel(11, 3), bits == 16 ? 0xa800u : 0xaa0000u) << bits;
  }
}

TEST(FramebufferText, GrowsWithTheScreen) {
  Pixels screen(rgb(1920, 1200, 32, 7680));
  screen.text->put_cells(0, cells("\xdb"));
  EXPECT_EQ(screen.pixel(0, 0), 0xaaaaaau);
  EXPECT_EQ(screen.pixel(23, 47), 0xaaaaaau);
  EXPECT_EQ(screen.pixel(24, 0), 0u);
  EXPECT_EQ(screen.pixel(0, 48), 0u);
}

TEST(FramebufferText, WhatDoesNotFitIsCutOff) {
  Pixels screen(rgb(320, 200, 32, 1280));
  screen.text->put_cells(0, cells(std::string(2000, '\xdb')));
  EXPECT_EQ(screen.pixel(319, 3), 0u);  // 12 rows, 4 lines of border on either side
  EXPECT_EQ(screen.pixel(319, 4), 0xaaaaaau);
  EXPECT_EQ(screen.pixel(319, 195), 0xaaaaaau);
  EXPECT_EQ(screen.pixel(319, 196), 0u);
}

TEST(FramebufferText, OnlyWhatDiffersIsDrawn) {
  Pixels screen(rgb(640, 400, 32, 2560));
  screen.text->put_cells(0, cells("abcdef"));
  screen.written = 0;
  screen.text->put_cells(0, cells("abXdeY"));
  EXPECT_EQ(screen.written, 2u * 16 * 32);
  screen.written = 0;
  screen.text->put_cells(0, cells("abXdeY"));
  EXPECT_EQ(screen.written, 0u);
}

TEST(FramebufferText, RunsGoOnInTheNextRow) {
  Pixels screen(rgb(640, 400, 32, 2560));
  screen.text->put_cells(79, cells("\xdb\xdb"));
  EXPECT_EQ(screen.pixel(639, 0), 0xaaaaaau);
  EXPECT_EQ(screen.pixel(0, 16), 0xaaaaaau);
  screen.text->put_cells(1999, cells("\xdb\xdb\xdb"));  // beyond the end: left out
  EXPECT_EQ(screen.pixel(639, 399), 0xaaaaaau);
}

TEST(FramebufferText, CursorIsDrawnAndLeavesNothingBehind) {
  Pixels screen(rgb(640, 400, 32, 2560));
  screen.text->set_cursor(TextCursor{1, 13, 14});
  EXPECT_EQ(screen.line(8, 13, 8, 0xaaaaaa), "########");
  EXPECT_EQ(screen.line(8, 12, 8, 0xaaaaaa), "........");
  EXPECT_EQ(screen.line(8, 15, 8, 0xaaaaaa), "........");
  screen.text->set_cursor(TextCursor{2, 13, 14});
  EXPECT_EQ(screen.line(8, 13, 8, 0xaaaaaa), "........");
  screen.text->set_cursor(std::nullopt);
  EXPECT_EQ(screen.line(16, 13, 8, 0xaaaaaa), "........");
  screen.text->set_cursor(TextCursor{100000, 0, 15});  // nowhere
}

TEST(FramebufferText, ShapesOfOtherModes) {
  Pixels screen(rgb(1024, 768, 32, 4096));
  screen.text->set_shape({132, 60, 8});  // wider than the screen: cut off
  EXPECT_EQ(screen.text->shape(), (FramebufferText::Shape{132, 60, 8}));
  screen.text->put_cells(127, cells("\xdb"));
  EXPECT_EQ(screen.pixel(1023, 144), 0xaaaaaau);  // 60 rows of 8 lines in 768
  screen.text->put_cells(128, cells("\xdb"));
  screen.text->set_shape({1000, 1000, 1000});
  EXPECT_EQ(screen.text->shape(), (FramebufferText::Shape{132, 60, 32}));
  screen.text->put_cells(0, cells("x"));
}

TEST(FramebufferText, GlyphsCanBeReplaced) {
  Pixels screen(rgb(640, 400, 32, 2560));
  const std::uint8_t lines[] = {0x81, 0x42};
  screen.text->set_glyph('A', lines);
  screen.text->put_cells(0, cells("A"));
  EXPECT_EQ(screen.line(0, 0, 8, 0xaaaaaa), "#......#");
  EXPECT_EQ(screen.line(0, 1, 8, 0xaaaaaa), ".#....#.");
  EXPECT_EQ(screen.line(0, 2, 8, 0xaaaaaa), "........");
}

TEST(Framebuffer, WhatCannotBeDrawnToIsNotUsable) {
  EXPECT_TRUE(rgb(640, 480, 32, 2560).usable());
  EXPECT_TRUE(rgb(640, 480, 16, 1280).usable());
  EXPECT_FALSE(Framebuffer{}.usable());
  const auto with = [](auto change) {
    Framebuffer f = rgb(640, 480, 32, 2560);
    change(f);
    return f.usable();
  };
  EXPECT_FALSE(with([](Framebuffer& f) { f.bits_per_pixel = 8; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.bits_per_pixel = 33; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.pitch = 2559; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.width = 0; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.height = 0; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.address = 1ull << 32; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.address = 0xfff00000; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.red = {25, 8}; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.red = {0, 0}; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.red = {0, 9}; }));
  EXPECT_FALSE(with([](Framebuffer& f) { f.height = f.pitch = 0xffffffff; }));
}

}  // namespace
}  // namespace undercroft
