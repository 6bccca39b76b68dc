#include "serial.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t base = 0x3f8;
constexpr std::uint16_t data = base;
constexpr std::uint16_t interrupt_enable = base + 1;
constexpr std::uint16_t interrupt_identification = base + 2;
constexpr std::uint16_t fifo_control = base + 2;
constexpr std::uint16_t line_control = base + 3;
constexpr std::uint16_t modem_control = base + 4;
constexpr std::uint16_t line_status = base + 5;
constexpr std::uint16_t modem_status = base + 6;
constexpr std::uint16_t scratch = base + 7;

constexpr std::uint8_t loop = 0x10;  // of the modem control register

constexpr std::uint8_t data_ready = 0x01;
constexpr std::uint8_t break_interrupt = 0x10;
constexpr std::uint8_t transmitter_empty = 0x20;
constexpr std::uint8_t transmitter_idle = 0x40;  // also where there is no chip
// At 115200 baud a byte takes 87 us; a port read at least 0.5 us. A stuck chip loses text.
constexpr unsigned patience = 20000;

}  // namespace

// The scratch register keeps what it is given; the oldest chips have none, but all have a loop, in
// which the modem's outputs are its inputs.
bool Serial::probe() {
  bool keeps = true;
  for (const std::uint8_t value : {std::uint8_t{0x5a}, std::uint8_t{0xa5}}) {
    port_out_8(scratch, value);
    keeps = keeps && port_in_8(scratch) == value;
  }
  if (keeps) return true;
  port_out_8(modem_control, loop | 0x0a);
  const bool loops = (port_in_8(modem_status) & 0xf0) == 0x90;  // RTS and OUT2 as CTS and DCD
  port_out_8(modem_control, 0);
  return loops;
}

void Serial::initialise() {
  present_ = probe();
  if (!present_) return;
  port_out_8(interrupt_enable, 0);
  port_out_8(line_control, 0x80);  // divisor latch
  port_out_8(data, 1);
  port_out_8(interrupt_enable, 0);
  port_out_8(line_control, 0x03);   // 8N1
  port_out_8(fifo_control, 0x07);   // enabled, cleared, trigger at 1 byte
  port_out_8(modem_control, 0x0b);  // DTR, RTS, OUT2 (lets the interrupt through)
  port_out_8(interrupt_enable, 0x01);
}

void Serial::put(std::uint8_t byte) {
  if (!present_) return;
  for (unsigned i = 0; i < patience; ++i) {
    if (status() & transmitter_empty) break;
  }
  port_out_8(data, byte);
}

void Serial::write(std::string_view text) {
  for (const char c : text) {
    if (c == '\n') put('\r');
    put(static_cast<std::uint8_t>(c));
  }
}

bool Serial::read(std::uint8_t& byte) { return received_.pop(byte); }

bool Serial::read_command(std::uint8_t& byte) { return commands_.pop(byte); }

// Reading the register forgets a BREAK, whoever reads it.
std::uint8_t Serial::status() {
  const std::uint8_t status = port_in_8(line_status);
  break_seen_ = break_seen_ || (status & break_interrupt);
  return status;
}

void Serial::receive(std::uint8_t byte) {
  if (break_seen_) {
    break_seen_ = false;
    command_next_ = true;
  } else if (command_next_) {
    command_next_ = false;
    commands_.push(byte);
  } else {
    received_.push(byte);
  }
}

void Serial::handle_interrupt() {
  if (!present_) return;
  port_in_8(interrupt_identification);
  for (unsigned i = 0; i < 64 && (status() & data_ready); ++i) receive(port_in_8(data));
}

void drain_serial() {
  constexpr unsigned fifo_bytes = 17;
  for (unsigned i = 0; i < fifo_bytes * patience; ++i) {
    if (port_in_8(line_status) & transmitter_idle) return;
  }
}

}  // namespace undercroft::x86
