// A video memory, a framebuffer, and graphics modes as IBM's BIOS sets them (PS/2 Hardware
// Interface Technical Reference, Video Subsystem): shared by the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "monitor/devices/device_ports.hpp"
#include "monitor/devices/vga_registers.hpp"
#include "monitor/display/framebuffer_text.hpp"

namespace undercroft::test {

class Video final : public VideoMemory {
 public:
  std::uint8_t read(std::uint32_t offset) override { return bytes[offset]; }
  void write(std::uint32_t offset, std::uint8_t value) override { bytes[offset] = value; }
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(VideoMemory::bytes);
};

// Pixels of 32 bits, without a gap between lines.
class Pixels final : public PixelMemory {
 public:
  Pixels(unsigned width, unsigned height) : width_(width), bytes(width * height * 4) {}
  std::byte* at(std::uint32_t offset, unsigned count) override {
    EXPECT_LE(offset + count, bytes.size());
    return bytes.data() + offset;
  }
  std::uint32_t pixel(unsigned x, unsigned y) const {
    return *reinterpret_cast<const std::uint32_t*>(&bytes[(y * width_ + x) * 4]);
  }

 private:
  unsigned width_;

 public:
  std::vector<std::byte> bytes;
};

// 640 by 480 in 16 colours.
inline VgaRegisters mode_12() {
  VgaRegisters mode;
  mode.miscellaneous = 0xe3;
  mode.sequencer = {0x03, 0x01, 0x0f, 0x00, 0x06};
  mode.crtc = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
               0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff};
  mode.graphics = {0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff};
  mode.attribute[0x10] = 0x01;
  mode.attribute[0x13] = 0x00;
  return mode;
}

// 320 by 200 in 256 colours.
inline VgaRegisters mode_13() {
  VgaRegisters mode = mode_12();
  mode.miscellaneous = 0x63;
  mode.sequencer[4] = 0x0e;
  mode.crtc = {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
               0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff};
  mode.graphics[5] = 0x40;
  mode.attribute[0x10] = 0x41;
  return mode;
}

// 320 by 200 in four colours, as a CGA has it.
inline VgaRegisters mode_4() {
  VgaRegisters mode = mode_12();
  mode.miscellaneous = 0x63;
  mode.sequencer = {0x03, 0x09, 0x03, 0x00, 0x02};
  mode.crtc = {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
               0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff};
  mode.graphics[5] = 0x30;
  mode.graphics[6] = 0x0f;
  mode.attribute[0x12] = 0x03;
  return mode;
}

}  // namespace undercroft::test
