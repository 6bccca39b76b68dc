#include "monitor/display/framebuffer_display.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/unit/display/video.hpp"

namespace undercroft::test {
namespace {

class FramebufferDisplayTest : public testing::Test, public FramebufferDisplay::Screen {
 protected:
  FramebufferDisplayTest() : text(std::make_unique<FramebufferText>()) {
    text->set_target({0xe0000000, 2560, 640, 400, 32, {16, 8}, {8, 8}, {0, 8}}, pixels);
  }
  FramebufferText& give_to_guest() override {
    ++given;
    return *text;
  }
  static std::vector<std::uint16_t> screen(std::uint16_t cell) {
    return std::vector<std::uint16_t>(2000, cell);
  }

  Video video;
  Pixels pixels{640, 400};
  std::unique_ptr<FramebufferText> text;
  int given = 0;
  FramebufferDisplay display{*this, video};
  VgaRegisters registers{};
};

constexpr std::uint16_t block = 0x07db;  // light grey

TEST_F(FramebufferDisplayTest, TakesTheScreenOnceAndShowsText) {
  EXPECT_EQ(given, 0);
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  display.set_registers(registers);
  EXPECT_EQ(given, 1);
  EXPECT_EQ(pixels.pixel(0, 0), 0xaaaaaau);
  EXPECT_EQ(pixels.pixel(639, 399), 0xaaaaaau);
}

TEST_F(FramebufferDisplayTest, ColoursAreThoseOfTheGuestsPalette) {
  EXPECT_EQ(text_palette(registers), standard_palette);
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  registers.palette[7 * 3] = 63;  // red of light grey
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(5, 5), 0xffaaaau);
  registers.attribute[7] = 0x3f;  // bright white
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(5, 5), 0xffffffu);
  registers.palette_mask = 0;
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(5, 5), 0u);
}

TEST_F(FramebufferDisplayTest, BrightGroundsOrBlinking) {
  display.set_registers(registers);  // blinking is on: bit 15 is no colour
  display.put_cells(0, screen(0x9f20));
  EXPECT_EQ(pixels.pixel(0, 0), 0x0000aau);
  registers.attribute[0x10] &= static_cast<std::uint8_t>(~0x08);
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(0, 0), 0x5555ffu);
}

TEST_F(FramebufferDisplayTest, Cursor) {
  registers.crtc[0x0e] = 0, registers.crtc[0x0f] = 1;
  EXPECT_EQ(text_cursor(registers), (TextCursor{1, 13, 14}));
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(8, 13), 0xaaaaaau);
  EXPECT_EQ(pixels.pixel(8, 12), 0u);
  registers.crtc[0x0a] |= 0x20;
  EXPECT_EQ(text_cursor(registers), std::nullopt);
  display.set_registers(registers);
  EXPECT_EQ(pixels.pixel(8, 13), 0u);
  registers.crtc[0x0a] = 0x0f;
  EXPECT_EQ(text_cursor(registers), std::nullopt) << "begins behind its end";
}

// 80 by 50: characters of 8 lines.
TEST_F(FramebufferDisplayTest, OtherShapesKeepTheCells) {
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  registers.crtc[0x09] = (registers.crtc[0x09] & 0xe0) | 7;
  display.set_registers(registers);
  EXPECT_EQ(text->shape(), (FramebufferText::Shape{80, 50, 8}));
  EXPECT_EQ(pixels.pixel(0, 199), 0xaaaaaau);
  EXPECT_EQ(pixels.pixel(0, 200), 0u);
  display.put_cells(25 * 80, std::vector<std::uint16_t>{block});
  EXPECT_EQ(pixels.pixel(0, 200), 0xaaaaaau);
}

TEST_F(FramebufferDisplayTest, GuestsFont) {
  FramebufferDisplay::copy_font(video);
  for (unsigned line = 0; line < 16; ++line) {
    EXPECT_EQ(video.read(video_memory_offset(2, 'A' * 32 + line)), built_in_font['A' * 16 + line]);
  }
  video.write(video_memory_offset(2, 'A' * 32), 0xff);
  display.set_registers(registers);
  display.put_cells(0, screen(0x0741));
  EXPECT_EQ(pixels.pixel(0, 0), 0u);
  for (std::uint32_t offset = 0; offset < VideoMemory::bytes; offset += page_size) {
    display.put_page(offset,
                     std::as_bytes(std::span(video.bytes)).subspan(offset).first<page_size>());
  }
  EXPECT_EQ(pixels.pixel(0, 0), 0xaaaaaau);
  EXPECT_EQ(pixels.pixel(7, 0), 0xaaaaaau);
  EXPECT_EQ(pixels.pixel(0, 1), 0u);
}

// What was drawn last stays until a page is told of.
TEST_F(FramebufferDisplayTest, GraphicsAreDrawnAndTextComesBack) {
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  VgaRegisters graphics = mode_13();
  graphics.palette[9 * 3] = 63;
  video.write(video_memory_offset(1, 80), 9);  // column 1 of row 1
  display.set_registers(graphics);
  display.finish_refresh();
  EXPECT_EQ(pixels.pixel(0, 0), 0u);
  for (const auto& [x, y] : {std::pair{2, 2}, {3, 2}, {2, 3}, {3, 3}}) {
    EXPECT_EQ(pixels.pixel(x, y), 0xff00ffu) << x << ' ' << y;
  }
  for (const auto& [x, y] : {std::pair{1, 2}, {4, 2}, {2, 1}, {2, 4}}) {
    EXPECT_EQ(pixels.pixel(x, y), 0u) << x << ' ' << y;
  }
  display.put_cells(0, screen(block));
  video.write(video_memory_offset(0, 0), 9);
  display.finish_refresh();
  EXPECT_EQ(pixels.pixel(0, 0), 0u) << "nobody has told of it";
  const auto page = std::as_bytes(std::span(video.bytes)).first<page_size>();
  display.put_page(0, page);
  display.finish_refresh();
  EXPECT_EQ(pixels.pixel(0, 0), 0xff00ffu);
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  EXPECT_EQ(pixels.pixel(0, 0), 0xaaaaaau);
}

TEST_F(FramebufferDisplayTest, EveryPageBringsItsLines) {
  VgaRegisters graphics = mode_12();
  graphics.crtc[0x12] = 0x8f, graphics.crtc[0x07] = 0x1f;  // 400 lines
  display.set_registers(graphics);
  display.finish_refresh();
  for (unsigned plane = 0; plane < 4; ++plane) {
    for (unsigned line = 0; line < 400; line += 57) {
      const std::uint32_t offset = video_memory_offset(plane, line * 80 + 79);
      video.write(offset, 1);
      display.put_page(offset & ~(page_size - 1),
                       std::as_bytes(std::span(video.bytes)).first<page_size>());
      display.finish_refresh();
      EXPECT_NE(pixels.pixel(639, line), 0u) << plane << ' ' << line;
      video.write(offset, 0);
      display.set_registers(graphics);
      display.finish_refresh();
      EXPECT_EQ(pixels.pixel(639, line), 0u);
    }
  }
}

TEST_F(FramebufferDisplayTest, PanningBeginsWithinAnAddress) {
  VgaRegisters graphics = mode_12();
  graphics.crtc[0x12] = 0x8f, graphics.crtc[0x07] = 0x1f;
  graphics.attribute[0x13] = 3;
  for (unsigned plane = 0; plane < 4; ++plane) {
    video.write(video_memory_offset(plane, 0), 0x10);   // pixel 3
    video.write(video_memory_offset(plane, 80), 0x20);  // of the next line pixel 642 and 2
  }
  display.set_registers(graphics);
  display.finish_refresh();
  EXPECT_EQ(pixels.pixel(0, 0), 0xffffffu);
  EXPECT_EQ(pixels.pixel(1, 0), 0u);
  EXPECT_EQ(pixels.pixel(639, 0), 0xffffffu);
  EXPECT_EQ(pixels.pixel(0, 1), 0u);
}

// 640 by 480 in 1300 by 970: twice as large, in the middle; and cut off in 600 by 300.
TEST(FramebufferGraphics, LargerAndCutOff) {
  VgaRegisters mode = mode_12();
  Video video;
  for (unsigned plane = 0; plane < 4; ++plane) video.write(video_memory_offset(plane, 0), 0x80);
  FramebufferGraphics graphics;
  Pixels large{1300, 970};
  graphics.set_registers(mode, {0, 5200, 1300, 970, 32, {16, 8}, {8, 8}, {0, 8}});
  graphics.draw(large, video);
  for (const auto& [x, y] : {std::pair{10, 5}, {11, 5}, {10, 6}, {11, 6}}) {
    EXPECT_EQ(large.pixel(x, y), 0xffffffu);
  }
  for (const auto& [x, y] : {std::pair{9, 5}, {12, 5}, {10, 4}, {10, 7}}) {
    EXPECT_EQ(large.pixel(x, y), 0u);
  }
  Pixels small{600, 300};
  EXPECT_FALSE(graphics.set_registers(mode, {0, 2400, 600, 300, 32, {16, 8}, {8, 8}, {0, 8}}));
  graphics.draw(small, video);
  EXPECT_EQ(small.pixel(0, 0), 0xffffffu);
  EXPECT_TRUE(graphics.set_registers(mode_13(), {0, 2400, 600, 300, 32, {16, 8}, {8, 8}, {0, 8}}));
}

}  // namespace
}  // namespace undercroft::test
