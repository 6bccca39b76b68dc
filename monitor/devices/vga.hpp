// The registers of a VGA in text mode and its text memory. Source: IBM VGA (PS/2 Hardware Interface
// Technical Reference, Video Subsystem). Registers are latches that read back what was written;
// only the text buffer's start and the cursor mean something to the monitor, which shows the text.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace undercroft {

class Vga {
 public:
  static constexpr std::uint32_t text_base = 0xb8000;
  static constexpr std::uint32_t text_size = 0x8000;
  static constexpr std::uint16_t cursor_off = 0xffff;

  Vga();

  // Offsets from port 0x3b0 up to 0x2f (port 0x3df). The CRT controller and input status 1 stand at
  // 0x3d4 or at 0x3b4, as the miscellaneous output register says; the other place is open.
  std::uint8_t read(unsigned offset, std::uint64_t now);
  void write(unsigned offset, std::uint8_t value);

  // Bytes of the text memory by offset from text_base, little-endian; offsets wrap.
  std::uint32_t read_memory(std::uint32_t offset, unsigned size) const;
  void write_memory(std::uint32_t offset, std::uint32_t value, unsigned size);

  std::span<const std::uint8_t> text() const { return text_; }
  std::uint16_t text_start() const;   // in cells from text_base
  std::uint16_t text_cursor() const;  // in cells from text_base, or cursor_off

 private:
  template <std::size_t Count>
  struct Indexed {
    std::uint8_t index = 0;
    std::array<std::uint8_t, Count> values{};
    std::uint8_t read() const { return index < Count ? values[index] : std::uint8_t{0}; }
    void write(std::uint8_t value) {
      if (index < Count) values[index] = value;
    }
  };

  bool colour() const { return (miscellaneous_ & 1) != 0; }
  std::uint8_t input_status_1(std::uint64_t now);
  std::uint8_t read_attribute(unsigned offset) const;
  void write_attribute(std::uint8_t value);
  void write_crtc(std::uint8_t value);
  std::uint8_t read_palette();
  void write_palette(std::uint8_t value);
  std::uint16_t crtc_pair(unsigned high) const;

  std::uint8_t miscellaneous_ = 0x67;  // colour, RAM on, 28 MHz dot clock, 400 lines
  std::uint8_t feature_ = 0;
  Indexed<5> sequencer_{};
  Indexed<9> graphics_{};
  Indexed<25> crtc_{};
  Indexed<21> attribute_{};
  bool attribute_expects_data_ = false;
  std::uint8_t palette_mask_ = 0xff;
  std::array<std::uint8_t, 768> palette_{};
  std::uint16_t palette_at_ = 0;  // index * 3 + component
  bool palette_reading_ = false;
  std::array<std::uint8_t, text_size> text_{};
};

}  // namespace undercroft
