#include "vga_picture.hpp"

namespace undercroft {
namespace {

// Attribute controller.
constexpr unsigned mode_control = 0x10, plane_enable = 0x12, pixel_panning = 0x13,
                   colour_select = 0x14;
constexpr std::uint8_t panning_ends_at_split = 0x20, selects_bits_4_and_5 = 0x80;
// CRT controller.
constexpr unsigned overflow = 0x07, preset_row_scan = 0x08, maximum_scan_line = 0x09,
                   vertical_display_end = 0x12, crtc_mode = 0x17, line_compare_low = 0x18;
constexpr std::uint8_t row_scan_address_13 = 0x01, row_scan_address_14 = 0x02, byte_mode = 0x40;
constexpr std::uint8_t double_scan = 0x80;
// Sequencer: clocking mode.
constexpr unsigned clocking_mode = 1;
constexpr std::uint8_t half_dot_clock = 0x08, screen_off = 0x20;
// Graphics controller: mode.
constexpr std::uint8_t shift_interleaved = 0x20;

constexpr std::uint8_t from_six_bits(std::uint8_t value) {
  return static_cast<std::uint8_t>((value & 0x3f) * 255 / 63);
}

constexpr std::uint32_t with_bit(std::uint32_t value, unsigned bit, bool set) {
  return (value & ~(1u << bit)) | (set ? 1u << bit : 0);
}

}  // namespace

Colour dac_colour(const VgaRegisters& registers, unsigned index) {
  const std::uint8_t* const colour = &registers.palette[(index & registers.palette_mask) * 3];
  return {from_six_bits(colour[0]), from_six_bits(colour[1]), from_six_bits(colour[2])};
}

Colour attribute_colour(const VgaRegisters& registers, unsigned number) {
  const std::uint8_t select = registers.attribute[colour_select];
  unsigned index = (registers.attribute[number & 15] & 0x3fu) | (select & 0x0cu) << 4;
  if (registers.attribute[mode_control] & selects_bits_4_and_5) {
    index = (index & 0xcfu) | (select & 3u) << 4;
  }
  return dac_colour(registers, index);
}

unsigned VgaPicture::height() const {
  const auto& crtc = registers_.crtc;
  return (crtc[vertical_display_end] | (crtc[overflow] & 0x02u) << 7 |
          (crtc[overflow] & 0x40u) << 3) +
         1;
}

bool VgaPicture::blank() const {
  return !registers_.palette_shown || (registers_.sequencer[clocking_mode] & screen_off) != 0;
}

unsigned VgaPicture::pixel_width() const {
  const unsigned dots = registers_.sequencer[clocking_mode] & half_dot_clock ? 2 : 1;
  return has_256_colours() ? dots * 2 : dots;
}

unsigned VgaPicture::line_compare() const {
  const auto& crtc = registers_.crtc;
  return crtc[line_compare_low] | (crtc[overflow] & 0x10u) << 4 |
         (crtc[maximum_scan_line] & 0x40u) << 3;
}

// Behind the line of the split the picture goes on with address 0. Two bits of the address can come
// from the line's number within its row, as on a CGA; with words in the planes' addresses they are
// one place lower here, since the planes have no gaps (see vga_memory.cpp).
std::uint32_t VgaPicture::address(unsigned line) const {
  const auto& crtc = registers_.crtc;
  const bool split = line > line_compare();
  const unsigned scans = split ? line - line_compare() - 1 : line;
  const unsigned lines = crtc[maximum_scan_line] & double_scan ? scans / 2 : scans;
  const unsigned row = lines / registers_.cell_height(), scan = lines % registers_.cell_height();
  const unsigned start = split ? 0 : registers_.start() + (crtc[preset_row_scan] >> 5 & 3u);
  std::uint32_t address = start + row * registers_.pitch();
  const unsigned words = crtc[crtc_mode] & byte_mode ? 0 : 1;
  if (!(crtc[crtc_mode] & row_scan_address_13)) address = with_bit(address, 13 - words, scan & 1);
  if (!(crtc[crtc_mode] & row_scan_address_14)) address = with_bit(address, 14 - words, scan & 2);
  return address & 0xffff;
}

unsigned VgaPicture::panning(unsigned line) const {
  if (line > line_compare() && (registers_.attribute[mode_control] & panning_ends_at_split)) {
    return 0;
  }
  const unsigned value = registers_.attribute[pixel_panning];
  if (has_256_colours()) return value >> 1 & 3;
  return value & 8 ? 0 : value & 7;
}

// The shift registers (graphics controller, mode register): each plane its own bit of eight pixels;
// pairs of bits, first from planes 0 and 2, then from 1 and 3; or a byte of each plane for a pixel.
VgaPicture::Pixels VgaPicture::read(VideoMemory& memory, std::uint32_t address) const {
  std::array<std::uint8_t, 4> planes;
  for (unsigned plane = 0; plane < planes.size(); ++plane) {
    planes[plane] = memory.read(video_memory_offset(plane, address & 0xffff));
  }
  Pixels out{};
  if (has_256_colours()) {
    for (unsigned i = 0; i < planes.size(); ++i) out[i] = planes[i];
    return out;
  }
  const bool pairs = (registers_.graphics[5] & shift_interleaved) != 0;
  for (unsigned i = 0; i < out.size(); ++i) {
    unsigned number = 0;
    if (pairs) {
      const unsigned shift = 6 - i % 4 * 2, plane = i / 4;
      number = (planes[plane] >> shift & 3u) | (planes[plane + 2] >> shift & 3u) << 2;
    } else {
      for (unsigned plane = 0; plane < 4; ++plane) {
        number |= (planes[plane] >> (7 - i) & 1u) << plane;
      }
    }
    out[i] = static_cast<std::uint8_t>(number & registers_.attribute[plane_enable]);
  }
  return out;
}

Colour VgaPicture::colour(unsigned number) const {
  return has_256_colours() ? dac_colour(registers_, number) : attribute_colour(registers_, number);
}

}  // namespace undercroft
