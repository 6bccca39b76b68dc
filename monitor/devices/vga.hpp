// A VGA as the processor sees it: its ports and its 256 KB of memory in four planes. Source: IBM
// VGA (PS/2 Hardware Interface Technical Reference, Video Subsystem). What the registers mean for
// the picture is in vga_registers.hpp; who shows it is the monitor's business (guest_screen.hpp).
#pragma once

#include <array>
#include <cstdint>

#include "device_ports.hpp"
#include "vga_registers.hpp"

namespace undercroft {

class Vga {
 public:
  // All that any setting of the registers may claim.
  static constexpr std::uint32_t memory_base = 0xa0000;
  static constexpr std::uint32_t memory_size = 0x20000;

  // Offsets from port 0x3b0 up to 0x2f (port 0x3df). The CRT controller and input status 1 stand at
  // 0x3d4 or at 0x3b4, as the miscellaneous output register says; the other place is open.
  std::uint8_t read(unsigned offset, std::uint64_t now);
  void write(unsigned offset, std::uint8_t value);

  // A byte of the memory, by the processor's address, in [memory_base, memory_base + memory_size).
  // Where the registers have no window, reads give ones and writes vanish.
  std::uint8_t read_memory(std::uint32_t address, VideoMemory&);
  void write_memory(std::uint32_t address, std::uint8_t value, VideoMemory&);

  const VgaRegisters& registers() const { return registers_; }

  // What has happened since it was taken: pages of the video memory that write_memory has written
  // (bit n: offset n * 4096), whether the guest has reached its memory at all, and whether a
  // register has another value.
  struct Changes {
    std::uint64_t pages = 0;
    bool accessed = false;
    bool registers = false;
    bool any() const { return accessed || registers; }
  };
  const Changes& changes() const { return changes_; }
  Changes take_changes();

 private:
  template <std::size_t Count>
  static std::uint8_t value_of(const std::array<std::uint8_t, Count>& values, unsigned index) {
    return index < Count ? values[index] : std::uint8_t{0};
  }
  void set(std::uint8_t& place, unsigned value);
  std::uint8_t input_status_1(std::uint64_t now);
  std::uint8_t read_attribute(unsigned offset) const;
  void write_attribute(std::uint8_t value);
  void write_crtc(std::uint8_t value);
  void write_sequencer(std::uint8_t value);
  void write_graphics(std::uint8_t value);
  std::uint8_t read_palette();
  void write_palette(std::uint8_t value);

  struct Place {
    std::uint32_t at = 0;  // in a plane
    unsigned planes = 0;   // bit n: plane n can be written there
    unsigned read_plane = 0;
  };
  Place place_of(std::uint32_t offset) const;
  std::uint8_t data_for(unsigned plane, std::uint8_t value) const;

  VgaRegisters registers_{};
  std::uint8_t sequencer_index_ = 0, graphics_index_ = 0, crtc_index_ = 0, attribute_index_ = 0;
  bool attribute_expects_data_ = false;
  std::uint16_t palette_at_ = 0;  // index * 3 + component
  bool palette_reading_ = false;
  std::array<std::uint8_t, 4> latches_{};
  Changes changes_{};
};

}  // namespace undercroft
