// The font for screens that have none of their own: code page 437, 8 by 16, for each character 16
// bytes with the leftmost pixel in bit 7. cmake/font.py makes the data when the image is built, out
// of GNU Unifont's glyphs (SIL Open Font License 1.1).
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

extern const std::array<std::uint8_t, 256 * 16> built_in_font;

}  // namespace undercroft
