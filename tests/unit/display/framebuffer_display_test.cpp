#include "monitor/display/framebuffer_display.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace undercroft {
namespace {

class Pixels final : public PixelMemory {
 public:
  std::byte* at(std::uint32_t offset, unsigned count) override {
    EXPECT_LE(offset + count, bytes.size());
    return bytes.data() + offset;
  }
  std::vector<std::byte> bytes = std::vector<std::byte>(640 * 400 * 4);
  std::uint32_t pixel(unsigned x, unsigned y) const {
    return *reinterpret_cast<const std::uint32_t*>(&bytes[(y * 640 + x) * 4]);
  }
};

class Video final : public VideoMemory {
 public:
  std::uint8_t read(std::uint32_t offset) override { return bytes[offset]; }
  void write(std::uint32_t offset, std::uint8_t value) override { bytes[offset] = value; }
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(VideoMemory::bytes);
};

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

  Pixels pixels;
  std::unique_ptr<FramebufferText> text;
  int given = 0;
  FramebufferDisplay display{*this};
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
  Video video;
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

TEST_F(FramebufferDisplayTest, GraphicsAreNotDrawnAndTextComesBack) {
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  VgaRegisters graphics = registers;
  graphics.graphics[6] |= 1;
  display.set_registers(graphics);
  EXPECT_EQ(pixels.pixel(0, 0), 0u);
  display.put_cells(0, screen(0x0720));
  display.put_page(0x20000, std::span<const std::byte, page_size>(pixels.bytes.data(), page_size));
  EXPECT_EQ(pixels.pixel(0, 0), 0u);
  display.set_registers(registers);
  display.put_cells(0, screen(block));
  EXPECT_EQ(pixels.pixel(0, 0), 0xaaaaaau);
}

}  // namespace
}  // namespace undercroft
