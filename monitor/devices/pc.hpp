// The devices of the guest's PC, composed and wired (design section 7). It knows which device
// answers at which port and which interrupt line it drives; what the devices do is in their own
// files. The monitor hands it port and device-memory accesses, host input and the time.
#pragma once

#include <cstdint>
#include <span>

#include "../address.hpp"
#include "../ports.hpp"
#include "device_ports.hpp"

namespace undercroft {

struct PcConfiguration {
  std::uint64_t ram_bytes = 0;     // the CMOS tells it to guests that ask there
  std::uint64_t unix_seconds = 0;  // the real-time clock at the start, UTC
};

// What the guest has asked of the machine as a whole. The first request stays.
struct PcRequest {
  enum class Kind : std::uint8_t { none, power_off, reset, exit };
  Kind kind = Kind::none;
  std::uint32_t value = 0;  // exit: what was written to isa-debug-exit
  constexpr bool operator==(const PcRequest&) const = default;
};

class Pc {
 public:
  Pc(const PcConfiguration&, Clock&, CharacterSink& com1, CharacterSink& debug_console, DeviceLog&);
  Pc(const Pc&) = delete;
  Pc& operator=(const Pc&) = delete;

  // Ports. size is 1, 2 or 4; what nothing answers reads as all ones.
  std::uint32_t port_read(std::uint16_t port, unsigned size);
  void port_write(std::uint16_t port, std::uint32_t value, unsigned size);

  // Memory-mapped devices, by guest-physical address (VGA text at 0xb8000 to 0xbffff).
  static bool claims_memory(GuestPhysical);
  std::uint32_t memory_read(GuestPhysical, unsigned size);
  void memory_write(GuestPhysical, std::uint32_t value, unsigned size);

  // The interrupt controllers' output line, and the processor's acknowledge cycle, which yields
  // the vector. Call acknowledge only to deliver the interrupt at once.
  bool interrupt_pending() const;
  std::uint8_t acknowledge_interrupt();

  // Time, in the Clock's nanoseconds: the next moment at which a device does something by itself
  // (no_deadline if none), and doing all that is due by `now`. Port accesses advance by themselves.
  // Call advance at each deadline while the guest runs: see Timer for ticks found late.
  std::uint64_t next_deadline() const;
  void advance(std::uint64_t now);

  // Host input. A byte is to be given only if the device can take it, else it is lost as on a PC.
  bool can_take_serial_input() const;
  void serial_input(std::uint8_t byte);
  bool can_take_keyboard_input() const;
  void keyboard_input(std::uint8_t scan_code);  // scan code set 2, as a keyboard sends them

  // An unmasked x87 error while CR0.NE = 0: drives IRQ 13 until the guest writes port 0xf0.
  void raise_fpu_error();

  PcRequest request() const;
  bool a20_enabled() const;
  bool nmi_enabled() const;  // bit 7 of port 0x70 masks NMI

  // The 32 KB of text memory from 0xb8000, and what is shown of it.
  std::span<const std::uint8_t> text_memory() const;
  std::uint16_t text_start() const;   // in cells from 0xb8000
  std::uint16_t text_cursor() const;  // in cells from 0xb8000; 0xffff if off
};

}  // namespace undercroft
