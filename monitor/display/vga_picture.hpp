// A VGA's picture in graphics modes: how many dots, and which colour each has by registers and
// planes. Source: IBM VGA (PS/2 Hardware Interface Technical Reference, Video Subsystem). Where it
// is drawn is others' business.
#pragma once

#include <array>
#include <cstdint>

#include "../devices/device_ports.hpp"
#include "../devices/vga_registers.hpp"
#include "framebuffer.hpp"

namespace undercroft {

class VgaPicture {
 public:
  static constexpr unsigned most_pixels = 8;  // that one address of the planes shows

  explicit VgaPicture(const VgaRegisters& registers) : registers_(registers) {}

  // Of the whole picture, in dots and lines as the card sends them: 640 by 400 for 320 by 200.
  unsigned width() const { return addresses() * pixels() * pixel_width(); }
  unsigned height() const;
  // Switched off, by the sequencer or the attribute controller.
  bool blank() const;

  // A line: so many addresses of the planes, one behind the other from address(line) on (modulo
  // 64 K), each of so many pixels, each of so many dots.
  unsigned addresses() const { return registers_.crtc[0x01] + 1u; }
  unsigned pixels() const { return has_256_colours() ? 4 : 8; }
  unsigned pixel_width() const;
  std::uint32_t address(unsigned line) const;
  // Pixels of the first address that are left of the picture.
  unsigned panning(unsigned line) const;

  // The colours' numbers of the pixels at an address, from left to right.
  using Pixels = std::array<std::uint8_t, most_pixels>;
  Pixels read(VideoMemory&, std::uint32_t address) const;
  // Numbers from 0 to 255, or to 15.
  Colour colour(unsigned number) const;

 private:
  bool has_256_colours() const { return (registers_.graphics[5] & 0x40) != 0; }
  unsigned line_compare() const;

  const VgaRegisters& registers_;
};

// What number `index` of the palette memory looks like.
Colour dac_colour(const VgaRegisters&, unsigned index);
// What the attribute controller makes of a colour's number from 0 to 15.
Colour attribute_colour(const VgaRegisters&, unsigned number);

}  // namespace undercroft
