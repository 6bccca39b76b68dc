// Registers of the standard modes are those that IBM's BIOS sets (Video Subsystem, "Programming").
#include "monitor/display/vga_picture.hpp"

#include <gtest/gtest.h>

#include "tests/unit/display/video.hpp"

namespace undercroft::test {
namespace {

TEST(VgaPicture, SizesOfTheStandardModes) {
  EXPECT_EQ(VgaPicture(mode_12()).width(), 640u);
  EXPECT_EQ(VgaPicture(mode_12()).height(), 480u);
  EXPECT_EQ(VgaPicture(mode_13()).width(), 640u) << "320 pixels, each of two dots";
  EXPECT_EQ(VgaPicture(mode_13()).pixel_width(), 2u);
  EXPECT_EQ(VgaPicture(mode_13()).height(), 400u) << "each line twice";
  EXPECT_EQ(VgaPicture(mode_4()).width(), 640u);
  EXPECT_EQ(VgaPicture(mode_4()).height(), 400u);
}

TEST(VgaPicture, EachPlaneIsABitOfAColour) {
  Video video;
  VgaRegisters registers = mode_12();
  const VgaPicture picture(registers);
  video.write(video_memory_offset(0, 81), 0x80);
  video.write(video_memory_offset(1, 81), 0x40);
  video.write(video_memory_offset(2, 81), 0xc0);
  video.write(video_memory_offset(3, 81), 0x01);
  EXPECT_EQ(picture.address(1) + 1, 81u);
  EXPECT_EQ(picture.read(video, 81), (VgaPicture::Pixels{5, 6, 0, 0, 0, 0, 0, 8}));
  registers.attribute[0x12] = 0x03;  // planes 0 and 1 alone
  EXPECT_EQ(picture.read(video, 81), (VgaPicture::Pixels{1, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(picture.read(video, 0x10000 + 81), picture.read(video, 81)) << "goes round at 64 K";
}

TEST(VgaPicture, BytesAreColours) {
  Video video;
  for (unsigned plane = 0; plane < 4; ++plane) {
    video.write(video_memory_offset(plane, 80), static_cast<std::uint8_t>(200 + plane));
  }
  VgaRegisters registers = mode_13();
  const VgaPicture picture(registers);
  EXPECT_EQ(picture.address(0), 0u);
  EXPECT_EQ(picture.address(1), 0u) << "the same row again";
  EXPECT_EQ(picture.address(2), 80u);
  EXPECT_EQ(picture.read(video, 80), (VgaPicture::Pixels{200, 201, 202, 203}));
  registers.palette[201 * 3] = 63, registers.palette[201 * 3 + 2] = 21;
  EXPECT_EQ(picture.colour(201), (Colour{255, 0, 85}));
}

// Two bits a pixel, odd lines 8 KB behind even ones; words in the planes, so 4 KB of each.
TEST(VgaPicture, PairsOfBitsAndRowsByTurns) {
  Video video;
  const VgaRegisters registers = mode_4();
  const VgaPicture picture(registers);
  EXPECT_EQ(picture.address(0), 0u);
  EXPECT_EQ(picture.address(1), 0u);
  EXPECT_EQ(picture.address(2), 0x1000u);
  EXPECT_EQ(picture.address(4), 40u);
  EXPECT_EQ(picture.address(7), 0x1000u + 40);
  video.write(video_memory_offset(0, 0), 0x1b);
  video.write(video_memory_offset(1, 0), 0xe4);
  EXPECT_EQ(picture.read(video, 0), (VgaPicture::Pixels{0, 1, 2, 3, 3, 2, 1, 0}));
}

TEST(VgaPicture, StartSplitAndPanning) {
  VgaRegisters registers = mode_12();
  const VgaPicture picture(registers);
  registers.crtc[0x0c] = 0x12, registers.crtc[0x0d] = 0x34;
  EXPECT_EQ(picture.address(0), 0x1234u);
  registers.crtc[0x08] = 0x40;
  EXPECT_EQ(picture.address(0), 0x1236u) << "two bytes more";
  registers.crtc[0x18] = 99;  // line compare, its bits 8 and 9 elsewhere
  registers.crtc[0x07] &= static_cast<std::uint8_t>(~0x10);
  registers.crtc[0x09] &= static_cast<std::uint8_t>(~0x40);
  EXPECT_EQ(picture.address(99), 0x1236u + 99 * 80);
  EXPECT_EQ(picture.address(100), 0u);
  EXPECT_EQ(picture.address(101), 80u);
  registers.attribute[0x13] = 3;
  EXPECT_EQ(picture.panning(99), 3u);
  EXPECT_EQ(picture.panning(100), 3u);
  registers.attribute[0x10] |= 0x20;
  EXPECT_EQ(picture.panning(100), 0u);
  registers.attribute[0x13] = 8;
  EXPECT_EQ(picture.panning(99), 0u) << "eight is none, as for nine-dot text";
}

TEST(VgaPicture, SwitchedOff) {
  VgaRegisters registers = mode_12();
  const VgaPicture picture(registers);
  EXPECT_FALSE(picture.blank());
  registers.sequencer[1] |= 0x20;
  EXPECT_TRUE(picture.blank());
  registers.sequencer[1] = 1;
  registers.palette_shown = false;
  EXPECT_TRUE(picture.blank());
}

}  // namespace
}  // namespace undercroft::test
