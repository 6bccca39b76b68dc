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

// Bits that the registers have; the CRT controller's have all eight.
constexpr std::array<std::uint8_t, 5> sequencer_masks{0x03, 0x3d, 0x0f, 0x3f, 0x0e};
constexpr std::array<std::uint8_t, 9> graphics_masks{0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                     0x7b, 0x0f, 0x0f, 0xff};
constexpr std::array<std::uint8_t, 5> attribute_masks{0xef, 0xff, 0x3f, 0x0f, 0x0f};

}  // namespace

void Vga::set(std::uint8_t& place, unsigned value) {
  const auto byte = static_cast<std::uint8_t>(value);
  if (place == byte) return;
  place = byte;
  changes_.registers = true;
}

Vga::Changes Vga::take_changes() {
  const Changes taken = changes_;
  changes_ = {};
  return taken;
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
  const unsigned shown = registers_.palette_shown ? attribute_palette_on : 0;
  if (offset == attribute_port) return static_cast<std::uint8_t>(attribute_index_ | shown);
  return value_of(registers_.attribute, attribute_index_);
}

// One port for index and data by turns. Bit 5 of the index shows the palette, and guards it.
void Vga::write_attribute(std::uint8_t value) {
  const bool is_data = attribute_expects_data_;
  attribute_expects_data_ = !is_data;
  if (!is_data) {
    attribute_index_ = value & 0x1f;
    const bool shown = (value & attribute_palette_on) != 0;
    changes_.registers |= shown != registers_.palette_shown;
    registers_.palette_shown = shown;
    return;
  }
  if (attribute_index_ < 16) {
    if (!registers_.palette_shown) set(registers_.attribute[attribute_index_], value & 0x3f);
  } else if (attribute_index_ < registers_.attribute.size()) {
    set(registers_.attribute[attribute_index_], value & attribute_masks[attribute_index_ - 16]);
  }
}

void Vga::write_crtc(std::uint8_t value) {
  auto& crtc = registers_.crtc;
  if (crtc_index_ >= crtc.size()) return;
  if ((crtc[0x11] & crtc_protect) != 0 && crtc_index_ < 8) {
    if (crtc_index_ != 7) return;
    value = static_cast<std::uint8_t>((crtc[7] & ~0x10) | (value & 0x10));
  }
  set(crtc[crtc_index_], value);
}

void Vga::write_sequencer(std::uint8_t value) {
  if (sequencer_index_ >= registers_.sequencer.size()) return;
  set(registers_.sequencer[sequencer_index_], value & sequencer_masks[sequencer_index_]);
}

void Vga::write_graphics(std::uint8_t value) {
  if (graphics_index_ >= registers_.graphics.size()) return;
  set(registers_.graphics[graphics_index_], value & graphics_masks[graphics_index_]);
}

std::uint8_t Vga::read_palette() {
  const std::uint8_t value = registers_.palette[palette_at_];
  palette_at_ = static_cast<std::uint16_t>((palette_at_ + 1) % registers_.palette.size());
  return value;
}

void Vga::write_palette(std::uint8_t value) {
  set(registers_.palette[palette_at_], value & 0x3f);
  palette_at_ = static_cast<std::uint16_t>((palette_at_ + 1) % registers_.palette.size());
}

std::uint8_t Vga::read(unsigned offset, std::uint64_t now) {
  const bool colour = registers_.colour();
  const bool is_open = offset < attribute_port ? colour : offset >= 0x20 && !colour;
  if (is_open) return 0xff;
  switch (offset) {
    case mono_crtc_index:
    case crtc_index:
      return crtc_index_;
    case mono_crtc_data:
    case crtc_data:
      return value_of(registers_.crtc, crtc_index_);
    case mono_status:
    case colour_status:
      return input_status_1(now);
    case attribute_port:
    case attribute_data:
      return read_attribute(offset);
    case miscellaneous_write:
      return 0x10;  // input status 0: a display is connected
    case sequencer_index:
      return sequencer_index_;
    case sequencer_data:
      return value_of(registers_.sequencer, sequencer_index_);
    case palette_mask:
      return registers_.palette_mask;
    case palette_read_index:
      return palette_reading_ ? 0x03 : 0x00;  // the DAC's state
    case palette_write_index:
      return static_cast<std::uint8_t>(palette_at_ / 3);
    case palette_data:
      return read_palette();
    case feature_read:
      return registers_.feature;
    case miscellaneous_read:
      return registers_.miscellaneous;
    case graphics_index:
      return graphics_index_;
    case graphics_data:
      return value_of(registers_.graphics, graphics_index_);
    default:
      return 0xff;
  }
}

void Vga::write(unsigned offset, std::uint8_t value) {
  const bool colour = registers_.colour();
  const bool is_open = offset < attribute_port ? colour : offset >= 0x20 && !colour;
  if (is_open) return;
  switch (offset) {
    case mono_crtc_index:
    case crtc_index:
      crtc_index_ = value & 0x3f;
      return;
    case mono_crtc_data:
    case crtc_data:
      return write_crtc(value);
    case mono_status:
    case colour_status:
      registers_.feature = value;
      return;
    case attribute_port:
      return write_attribute(value);
    case miscellaneous_write:
      return set(registers_.miscellaneous, value);
    case sequencer_index:
      sequencer_index_ = value & 0x07;
      return;
    case sequencer_data:
      return write_sequencer(value);
    case palette_mask:
      return set(registers_.palette_mask, value);
    case palette_read_index:
    case palette_write_index:
      palette_reading_ = offset == palette_read_index;
      palette_at_ = static_cast<std::uint16_t>(value * 3);
      return;
    case palette_data:
      return write_palette(value);
    case graphics_index:
      graphics_index_ = value & 0x0f;
      return;
    case graphics_data:
      return write_graphics(value);
    default:
      return;
  }
}

}  // namespace undercroft
