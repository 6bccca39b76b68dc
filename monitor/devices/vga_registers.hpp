// The registers of a VGA as values, and what they say of the picture and of how the memory is
// reached. Source: IBM VGA (PS/2 Hardware Interface Technical Reference, Video Subsystem). Index
// ports and the turns of the attribute port are vga.hpp's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace undercroft {

struct VgaRegisters {
  // Mode 3 with a 9x16 font, as firmware sets it.
  std::uint8_t miscellaneous = 0x67;  // colour, RAM on, 28 MHz dot clock, 400 lines
  std::uint8_t feature = 0;
  std::array<std::uint8_t, 5> sequencer{0x03, 0x00, 0x03, 0x00, 0x02};
  std::array<std::uint8_t, 9> graphics{0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff};
  std::array<std::uint8_t, 25> crtc{0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                    0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                    0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
  std::array<std::uint8_t, 21> attribute{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                         0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                         0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
  bool palette_shown = true;  // bit 5 of the attribute controller's index
  std::uint8_t palette_mask = 0xff;
  // Red, green and blue of each entry, six bits. The first 64 are those that attributes name: two
  // thirds for a colour's low bit, one third for its high one.
  std::array<std::uint8_t, 768> palette = [] {
    std::array<std::uint8_t, 768> colours{};
    for (unsigned i = 0; i < 64; ++i) {
      for (unsigned component = 0; component < 3; ++component) {
        const unsigned bright = i >> (2 - component) & 1, dim = i >> (5 - component) & 1;
        colours[i * 3 + component] = static_cast<std::uint8_t>(bright * 0x2a + dim * 0x15);
      }
    }
    return colours;
  }();

  constexpr bool operator==(const VgaRegisters&) const = default;

  constexpr bool colour() const { return (miscellaneous & 0x01) != 0; }
  constexpr bool memory_enabled() const { return (miscellaneous & 0x02) != 0; }
  constexpr bool shows_graphics() const { return (graphics[6] & 0x01) != 0; }

  // How the processor's addresses reach the four planes.
  constexpr bool chain_4() const { return (sequencer[4] & 0x08) != 0; }
  constexpr bool odd_even() const { return (graphics[5] & 0x10) != 0; }
  constexpr unsigned write_mode() const { return graphics[5] & 3; }
  constexpr unsigned map_mask() const { return sequencer[2] & 0xf; }

  // The processor's addresses that the card answers: a start and a size.
  struct Window {
    std::uint32_t base = 0, size = 0;
    constexpr bool operator==(const Window&) const = default;
  };
  constexpr Window window() const {
    if (!memory_enabled()) return {};
    switch (graphics[6] >> 2 & 3) {
      case 0:
        return {0xa0000, 0x20000};
      case 1:
        return {0xa0000, 0x10000};
      case 2:
        return {0xb0000, 0x8000};
      default:
        return {0xb8000, 0x8000};
    }
  }
  // The text window's base if bytes there are nothing but the bytes of planes 0 and 1 by turns, so
  // that it can be shown to the guest as memory.
  constexpr std::optional<std::uint32_t> plain_text_base() const {
    const bool plain = odd_even() && !chain_4() && map_mask() == 3 && write_mode() == 0 &&
                       (graphics[5] & 0x08) == 0 &&                       // read mode 0
                       (graphics[4] & 0x02) == 0 &&                       // of planes 0 and 1
                       (graphics[1] & 0x03) == 0 &&                       // no set/reset
                       (graphics[3] & 0x1f) == 0 && graphics[8] == 0xff;  // data as they come
    if (!plain || window().size != 0x8000) return std::nullopt;
    return window().base;
  }

  // The picture of text: cells in a row, rows, and where it begins, in cells from the start of the
  // memory. A cell's row is `pitch` cells behind that above.
  constexpr unsigned columns() const { return crtc[0x01] + 1u; }
  constexpr unsigned cell_height() const { return (crtc[0x09] & 0x1fu) + 1; }
  constexpr unsigned lines() const {
    const unsigned end = crtc[0x12] | (crtc[0x07] & 0x02u) << 7 | (crtc[0x07] & 0x40u) << 3;
    return (end + 1) >> (crtc[0x09] >> 7);  // each line twice
  }
  constexpr unsigned rows() const { return lines() / cell_height(); }
  constexpr unsigned pitch() const { return crtc[0x13] * 2u; }
  constexpr std::uint16_t start() const { return pair(0x0c); }
  constexpr std::uint16_t cursor() const { return pair(0x0e); }  // as start

 private:
  constexpr std::uint16_t pair(unsigned high) const {
    return static_cast<std::uint16_t>(crtc[high] << 8 | crtc[high + 1]);
  }
};

}  // namespace undercroft
