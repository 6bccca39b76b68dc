// A 16550A UART. Data sheet: National PC16550D. What is sent leaves at once, so that the
// transmitter is always empty; what is received waits in the FIFO, with the trigger levels and the
// character timeout of the data sheet. The far end of the line is always there (CTS, DSR, DCD).
#pragma once

#include <array>
#include <cstdint>

#include "device_ports.hpp"

namespace undercroft {

class Serial {
 public:
  // Offsets 0 to 7.
  std::uint8_t read(unsigned offset, std::uint64_t now);
  void write(unsigned offset, std::uint8_t value, std::uint64_t now, CharacterSink&);

  // A character from the line. If there is no room it is lost and the overrun bit set.
  void receive(std::uint8_t byte, std::uint64_t now);
  bool can_receive() const { return received_ < capacity(); }
  // Whether the guest waits for characters by interrupts: they are enabled, or were so within the
  // last second. Drivers disable them for a moment while they send.
  bool awaits_input(std::uint64_t now) const {
    return (interrupt_enable_ & 1) != 0 || now < awaits_input_until_;
  }

  void advance(std::uint64_t now);  // the character timeout
  std::uint64_t next_deadline() const;
  // The interrupt line as a PC wires it: through OUT2, which loopback holds inactive.
  bool interrupt_line() const;

 private:
  static constexpr unsigned fifo_size = 16;

  enum class Cause : std::uint8_t {  // IIR bits 3 to 0 (data sheet, table IV)
    none = 0x1,
    modem_status = 0x0,
    transmitter_empty = 0x2,
    data_available = 0x4,
    line_status = 0x6,
    character_timeout = 0xc,
  };

  bool fifo_enabled() const { return (fifo_control_ & 1) != 0; }
  bool divisor_access() const { return (line_control_ & 0x80) != 0; }
  bool loopback() const { return (modem_control_ & 0x10) != 0; }
  unsigned capacity() const { return fifo_enabled() ? fifo_size : 1; }
  unsigned trigger_level() const;
  Cause cause() const;
  std::uint8_t take_received(std::uint64_t now);
  std::uint8_t line_status() const;
  std::uint8_t modem_inputs() const;  // MSR bits 7 to 4
  void modem_inputs_changed(std::uint8_t before);
  void write_fifo_control(std::uint8_t value);
  void restart_timeout(std::uint64_t now);

  std::array<std::uint8_t, fifo_size> fifo_{};
  std::uint8_t first_ = 0;     // of the received characters in fifo_
  std::uint8_t received_ = 0;  // how many
  std::uint8_t last_read_ = 0;
  std::uint8_t interrupt_enable_ = 0;
  std::uint8_t fifo_control_ = 0;
  std::uint8_t line_control_ = 0;
  std::uint8_t modem_control_ = 0;
  std::uint8_t modem_deltas_ = 0;  // MSR bits 3 to 0
  std::uint8_t scratch_ = 0;
  std::uint16_t divisor_ = 12;  // 9600 baud
  bool overrun_ = false;
  bool transmitter_interrupt_ = true;  // THRE not yet taken by reading IIR
  bool timed_out_ = false;
  std::uint64_t timeout_at_ = no_deadline;
  std::uint64_t awaits_input_until_ = 0;
};

}  // namespace undercroft
