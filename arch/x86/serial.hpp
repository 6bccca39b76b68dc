// The host's COM1 at 115200 baud, 8N1: text out by polling, bytes in by interrupt (16550 data
// sheet).
#pragma once

#include <string_view>

#include "byte_queue.hpp"

namespace undercroft::x86 {

class Serial {
 public:
  static constexpr unsigned irq = 4;

  void initialise();
  bool present() const { return present_; }
  // A line feed is sent as it is by put; write adds the carriage return.
  void put(std::uint8_t byte);
  void write(std::string_view text);
  // The next received byte, if there is one.
  bool read(std::uint8_t& byte);
  // The next byte that was received right after a BREAK, if there is one; read leaves those out.
  bool read_command(std::uint8_t& byte);
  // Takes what the chip has received.
  void handle_interrupt();

 private:
  static bool probe();
  std::uint8_t status();
  void receive(std::uint8_t byte);

  bool present_ = false;
  bool break_seen_ = false;    // the byte of zero that stands for it is still to come
  bool command_next_ = false;  // and has come
  ByteQueue received_;
  ByteQueue commands_;
};

// Waits until the last byte has left the chip, before the machine is switched off.
void drain_serial();

}  // namespace undercroft::x86
