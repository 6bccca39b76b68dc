#include "vga.hpp"

namespace undercroft {
namespace {

// Offsets from port 0x3b0. CRT registers have a monochrome and a colour place.
constexpr unsigned mono_crtc_index = 0x04, mono_crtc_data = 0x05, mono_status = 0x0a;
constexpr unsigned attribute_port = 0x10, attribute_data = 0x11;
constexpr unsigned miscellaneous_write = 0x12;  // reads: input status 0
constexpr unsigned sequencer_index = 0x14, sequencer_data = 0x15;
constexpr unsigned palette_mask = 0x16, palette_read_index = 0x17, palette_write_index = 0x18;
constexpr unsigned palette_data = 0x19;
constexpr unsigned feature_read = 0x1a, miscellaneous_read = 0x1c;
constexpr unsigned graphics_index = 0x1e, graphics_data = 0x1f;
constexpr unsigned crtc_index = 0x24, crtc_data = 0x25, colour_status = 0x2a;

constexpr std::uint8_t attribute_palette_on = 0x20;
constexpr std::uint8_t crtc_protect = 0x80;  // of register 0x11: registers 0 to 7
constexpr std::uint8_t status_blank = 0x01;
constexpr std::uint8_t status_vertical_retrace = 0x08;

// 80x25 text: 449 lines of 900 dots at 28.322 MHz; 400 lines and 720 dots of each are shown, the
// retrace takes two lines from line 412 on.
constexpr std::uint64_t line_time = 31'777;  // ns
constexpr std::uint64_t shown_line_time = 25'422;
constexpr std::uint64_t lines = 449, shown_lines = 400, retrace_line = 412;

// Mode 3 with a 9x16 font, as firmware sets it.
constexpr std::array<std::uint8_t, 5> mode3_sequencer{0x03, 0x00, 0x03, 0x00, 0x02};
constexpr std::array<std::uint8_t, 9> mode3_graphics{0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff};
constexpr std::array<std::uint8_t, 25> mode3_crtc{
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
constexpr std::array<std::uint8_t, 21> mode3_attribute{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                       0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                                       0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

}  // namespace

Vga::Vga() {
  sequencer_.values = mode3_sequencer;
  graphics_.values = mode3_graphics;
  crtc_.values = mode3_crtc;
  attribute_.values = mode3_attribute;
  attribute_.index = attribute_palette_on;
  for (unsigned i = 0; i < 64; ++i) {  // each of red, green, blue: two thirds and one third
    for (unsigned component = 0; component < 3; ++component) {
      const unsigned bright = i >> (2 - component) & 1, dim = i >> (5 - component) & 1;
      palette_[i * 3 + component] = static_cast<std::uint8_t>(bright * 0x2a + dim * 0x15);
    }
  }
  for (std::size_t i = 0; i < text_.size(); i += 2) {
    text_[i] = ' ';
    text_[i + 1] = 0x07;
  }
}

// Blanking and retrace come from the time, so that a guest that waits for either finds it. Reading
// sets the attribute controller to expect an index.
std::uint8_t Vga::input_status_1(std::uint64_t now) {
  attribute_expects_data_ = false;
  const std::uint64_t in_frame = now % (line_time * lines);
  const std::uint64_t line = in_frame / line_time;
  const bool blank = line >= shown_lines || in_frame % line_time >= shown_line_time;
  const bool retrace = line >= retrace_line && line < retrace_line + 2;
  return static_cast<std::uint8_t>((blank ? status_blank : 0) |
                                   (retrace ? status_vertical_retrace : 0));
}

std::uint8_t Vga::read_attribute(unsigned offset) const {
  if (offset == attribute_port) return attribute_.index;
  const unsigned index = attribute_.index & 0x1f;
  return index < attribute_.values.size() ? attribute_.values[index] : std::uint8_t{0};
}

// One port for index and data by turns. Bit 5 of the index shows the palette, and guards it.
void Vga::write_attribute(std::uint8_t value) {
  if (!attribute_expects_data_) {
    attribute_.index = value & 0x3f;
  } else {
    const unsigned index = attribute_.index & 0x1f;
    const bool guarded = index < 16 && (attribute_.index & attribute_palette_on) != 0;
    if (!guarded && index < attribute_.values.size()) attribute_.values[index] = value;
  }
  attribute_expects_data_ = !attribute_expects_data_;
}

void Vga::write_crtc(std::uint8_t value) {
  if ((crtc_.values[0x11] & crtc_protect) != 0 && crtc_.index < 8) {
    if (crtc_.index != 7) return;
    value = static_cast<std::uint8_t>((crtc_.values[7] & ~0x10) | (value & 0x10));
  }
  crtc_.write(value);
}

std::uint8_t Vga::read_palette() {
  const std::uint8_t value = palette_[palette_at_];
  palette_at_ = static_cast<std::uint16_t>((palette_at_ + 1) % palette_.size());
  return value;
}

void Vga::write_palette(std::uint8_t value) {
  palette_[palette_at_] = value & 0x3f;
  palette_at_ = static_cast<std::uint16_t>((palette_at_ + 1) % palette_.size());
}

std::uint8_t Vga::read(unsigned offset, std::uint64_t now) {
  const bool is_open = offset < attribute_port ? colour() : offset >= 0x20 && !colour();
  if (is_open) return 0xff;
  switch (offset) {
    case mono_crtc_index:
    case crtc_index:
      return crtc_.index;
    case mono_crtc_data:
    case crtc_data:
      return crtc_.read();
    case mono_status:
    case colour_status:
      return input_status_1(now);
    case attribute_port:
    case attribute_data:
      return read_attribute(offset);
    case miscellaneous_write:
      return 0x10;  // input status 0: a display is connected
    case sequencer_index:
      return sequencer_.index;
    case sequencer_data:
      return sequencer_.read();
    case palette_mask:
      return palette_mask_;
    case palette_read_index:
      return palette_reading_ ? 0x03 : 0x00;  // the DAC's state
    case palette_write_index:
      return static_cast<std::uint8_t>(palette_at_ / 3);
    case palette_data:
      return read_palette();
    case feature_read:
      return feature_;
    case miscellaneous_read:
      return miscellaneous_;
    case graphics_index:
      return graphics_.index;
    case graphics_data:
      return graphics_.read();
    default:
      return 0xff;
  }
}

void Vga::write(unsigned offset, std::uint8_t value) {
  const bool is_open = offset < attribute_port ? colour() : offset >= 0x20 && !colour();
  if (is_open) return;
  switch (offset) {
    case mono_crtc_index:
    case crtc_index:
      crtc_.index = value & 0x3f;
      return;
    case mono_crtc_data:
    case crtc_data:
      return write_crtc(value);
    case mono_status:
    case colour_status:
      feature_ = value;
      return;
    case attribute_port:
      return write_attribute(value);
    case miscellaneous_write:
      miscellaneous_ = value;
      return;
    case sequencer_index:
      sequencer_.index = value & 0x07;
      return;
    case sequencer_data:
      return sequencer_.write(value);
    case palette_mask:
      palette_mask_ = value;
      return;
    case palette_read_index:
    case palette_write_index:
      palette_reading_ = offset == palette_read_index;
      palette_at_ = static_cast<std::uint16_t>(value * 3);
      return;
    case palette_data:
      return write_palette(value);
    case graphics_index:
      graphics_.index = value & 0x0f;
      return;
    case graphics_data:
      return graphics_.write(value);
    default:
      return;
  }
}

std::uint32_t Vga::read_memory(std::uint32_t offset, unsigned size) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    value |= std::uint32_t{text_[(offset + i) % text_size]} << 8 * i;
  }
  return value;
}

void Vga::write_memory(std::uint32_t offset, std::uint32_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) {
    text_[(offset + i) % text_size] = static_cast<std::uint8_t>(value >> 8 * i);
  }
}

std::uint16_t Vga::crtc_pair(unsigned high) const {
  return static_cast<std::uint16_t>(crtc_.values[high] << 8 | crtc_.values[high + 1]);
}

std::uint16_t Vga::text_start() const { return crtc_pair(0x0c); }

std::uint16_t Vga::text_cursor() const {
  return (crtc_.values[0x0a] & 0x20) != 0 ? cursor_off : crtc_pair(0x0e);
}

}  // namespace undercroft
