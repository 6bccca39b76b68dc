// A linear framebuffer as a boot loader describes it (Multiboot2 Specification 2.0, section 3.6.12;
// Multiboot Specification 0.6.96, section 3.3): where the pixels are, and how a colour becomes one.
// What is drawn is others' business.
#pragma once

#include <cstdint>

namespace undercroft {

// Each component from 0 to 255.
struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  constexpr bool operator==(const Colour&) const = default;
};

// Bits of a pixel that hold one component: `size` of them from bit `position` on.
struct ColourField {
  std::uint8_t position = 0, size = 0;
  constexpr bool operator==(const ColourField&) const = default;
};

struct Framebuffer {
  std::uint64_t address = 0;  // of the upper left pixel
  std::uint32_t pitch = 0;    // bytes from one line to the next
  std::uint32_t width = 0, height = 0;
  std::uint8_t bits_per_pixel = 0;  // 0: there is none
  ColourField red{}, green{}, blue{};

  constexpr bool operator==(const Framebuffer&) const = default;

  constexpr bool present() const { return bits_per_pixel != 0; }
  constexpr unsigned bytes_per_pixel() const { return (bits_per_pixel + 7u) / 8; }
  constexpr std::uint64_t bytes() const { return std::uint64_t{pitch} * height; }

  // Whether it can be drawn to: colours of 15 to 32 bits, and all of it below 4 GB.
  constexpr bool usable() const {
    const bool depth = bits_per_pixel >= 15 && bits_per_pixel <= 32;
    return depth && fits(red) && fits(green) && fits(blue) && width != 0 && width <= 0x10000 &&
           height != 0 && height <= 0x10000 && std::uint64_t{width} * bytes_per_pixel() <= pitch &&
           address < 1ull << 32 && bytes() <= (1ull << 32) - address;
  }

  constexpr std::uint32_t pixel(Colour colour) const {
    return part(colour.red, red) | part(colour.green, green) | part(colour.blue, blue);
  }

 private:
  constexpr bool fits(ColourField field) const {
    return field.size != 0 && field.size <= 8 && field.position + field.size <= bits_per_pixel;
  }
  static constexpr std::uint32_t part(std::uint8_t value, ColourField field) {
    return std::uint32_t{value} >> (8 - field.size) << field.position;
  }
};

}  // namespace undercroft
