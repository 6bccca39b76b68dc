// The hardware as the logic sees it: small interfaces that arch/x86 implements on the machine and
// the tests fake (design section 9). All time and all input reach a guest through them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "address.hpp"
#include "devices/vga_registers.hpp"

namespace undercroft {

// Nanoseconds since the monitor started; never goes back.
class Clock {
 public:
  virtual std::uint64_t now() = 0;

 protected:
  ~Clock() = default;
};

// Numbers that nobody foretells, as far as the machine has any: a processor's random numbers, the
// low bits of a fast clock. Nothing is promised of a single one; EntropyPool mixes them.
class EntropySource {
 public:
  virtual std::uint64_t sample() = 0;
  // So many are worth a key of 256 bits, by a careful estimate. 0: no number of them is known to
  // be.
  virtual unsigned samples_of_a_key() const = 0;

 protected:
  ~EntropySource() = default;
};

// Where the monitor writes text for people: serial line and screen.
class Console {
 public:
  virtual void write(std::string_view text) = 0;

 protected:
  ~Console() = default;
};

// The host's display, as far as it can show what a guest's VGA shows. The first call makes the
// screen the guest's.
class GuestDisplay {
 public:
  // The mode, the colours and the cursor. Text begins at the display's start: the cursor counts
  // from there, and one row follows another without a gap.
  virtual void set_registers(const VgaRegisters&) = 0;
  // Characters with their attributes, from the cell `first` on, counted row by row.
  virtual void put_cells(unsigned first, std::span<const std::uint16_t>) = 0;
  // A page of the video memory as VideoMemory has it: of fonts, or in a graphics mode of any plane.
  virtual void put_page(std::uint32_t offset, std::span<const std::byte, page_size>) = 0;
  // What was put is seen by now at the latest.
  virtual void finish_refresh() {}

 protected:
  ~GuestDisplay() = default;
};

// What a mouse has done since it was last asked: counts to the right and up, clicks of the wheel
// towards the user, and which buttons are down (bit 0 left, 1 right, 2 middle).
struct MouseMovement {
  int right = 0, up = 0, wheel = 0;
  std::uint8_t buttons = 0;
};

// Input for the guest that has arrived from the host. False: there is none.
class HostInput {
 public:
  // What the guest's keyboard shows to those who type: bit 0 scroll lock, 1 num lock, 2 caps lock.
  virtual void show_lights(std::uint8_t lights) { static_cast<void>(lights); }

  virtual bool read_serial(std::uint8_t& byte) = 0;
  virtual bool read_keyboard(std::uint8_t& scan_code) = 0;
  virtual bool read_mouse(MouseMovement& movement) {
    static_cast<void>(movement);
    return false;
  }
  // What somebody typed for the monitor, not for the guest.
  virtual bool read_command(std::uint8_t& letter) {
    static_cast<void>(letter);
    return false;
  }

 protected:
  ~HostInput() = default;
};

}  // namespace undercroft
