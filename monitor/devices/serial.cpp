#include "serial.hpp"

#include <algorithm>

namespace undercroft {
namespace {

// Interrupt enable register.
constexpr std::uint8_t ier_data = 0x01;
constexpr std::uint8_t ier_transmitter = 0x02;
constexpr std::uint8_t ier_line_status = 0x04;
constexpr std::uint8_t ier_modem_status = 0x08;
// FIFO control register.
constexpr std::uint8_t fcr_enable = 0x01;
constexpr std::uint8_t fcr_clear_receiver = 0x02;
constexpr std::uint8_t fcr_kept = 0xc9;  // enable, DMA mode, trigger level
constexpr std::uint8_t iir_fifos_enabled = 0xc0;
// Line status register.
constexpr std::uint8_t lsr_data_ready = 0x01;
constexpr std::uint8_t lsr_overrun = 0x02;
constexpr std::uint8_t lsr_transmitter_empty = 0x60;  // THRE and TEMT
// Modem control and status registers.
constexpr std::uint8_t mcr_dtr = 0x01;
constexpr std::uint8_t mcr_rts = 0x02;
constexpr std::uint8_t mcr_out1 = 0x04;
constexpr std::uint8_t mcr_out2 = 0x08;
constexpr std::uint8_t msr_cts = 0x10;
constexpr std::uint8_t msr_dsr = 0x20;
constexpr std::uint8_t msr_ring = 0x40;
constexpr std::uint8_t msr_dcd = 0x80;
constexpr std::uint64_t second = 1000000000;  // of the clock
constexpr std::uint8_t msr_trailing_ring = 0x04;

constexpr std::uint64_t bit_hertz = 115200;  // the 1.8432 MHz crystal divided by 16

}  // namespace

unsigned Serial::trigger_level() const {
  constexpr std::array<std::uint8_t, 4> levels{1, 4, 8, 14};
  return fifo_enabled() ? levels[fifo_control_ >> 6] : 1;
}

// Priorities of the data sheet, table IV.
Serial::Cause Serial::cause() const {
  if ((interrupt_enable_ & ier_line_status) != 0 && overrun_) return Cause::line_status;
  if ((interrupt_enable_ & ier_data) != 0) {
    if (received_ >= trigger_level()) return Cause::data_available;
    if (timed_out_) return Cause::character_timeout;
  }
  if ((interrupt_enable_ & ier_transmitter) != 0 && transmitter_interrupt_) {
    return Cause::transmitter_empty;
  }
  if ((interrupt_enable_ & ier_modem_status) != 0 && modem_deltas_ != 0) {
    return Cause::modem_status;
  }
  return Cause::none;
}

bool Serial::interrupt_line() const {
  return (modem_control_ & mcr_out2) != 0 && !loopback() && cause() != Cause::none;
}

std::uint8_t Serial::line_status() const {
  return static_cast<std::uint8_t>(lsr_transmitter_empty | (received_ != 0 ? lsr_data_ready : 0) |
                                   (overrun_ ? lsr_overrun : 0));
}

// In loopback the modem inputs are the modem outputs: CTS is RTS, DSR is DTR, RI is OUT1, DCD OUT2.
std::uint8_t Serial::modem_inputs() const {
  if (!loopback()) return msr_cts | msr_dsr | msr_dcd;
  return static_cast<std::uint8_t>(
      (modem_control_ & mcr_rts ? msr_cts : 0) | (modem_control_ & mcr_dtr ? msr_dsr : 0) |
      (modem_control_ & mcr_out1 ? msr_ring : 0) | (modem_control_ & mcr_out2 ? msr_dcd : 0));
}

// Delta bits stand four below their inputs; that of RI is set by its trailing edge only.
void Serial::modem_inputs_changed(std::uint8_t before) {
  const std::uint8_t after = modem_inputs();
  const auto changed = static_cast<std::uint8_t>((before ^ after) >> 4 & ~msr_trailing_ring);
  const bool ring_ended = (before & ~after & msr_ring) != 0;
  modem_deltas_ |= static_cast<std::uint8_t>(changed | (ring_ended ? msr_trailing_ring : 0));
}

void Serial::receive(std::uint8_t byte, std::uint64_t now) {
  if (can_receive()) {
    fifo_[(first_ + received_++) % fifo_size] = byte;
  } else {
    overrun_ = true;
    // With the FIFO off the newcomer takes the holding register; the FIFO keeps what it has.
    if (!fifo_enabled()) fifo_[first_] = byte;
  }
  restart_timeout(now);
}

std::uint8_t Serial::take_received(std::uint64_t now) {
  if (received_ == 0) return last_read_;
  last_read_ = fifo_[first_];
  first_ = static_cast<std::uint8_t>((first_ + 1) % fifo_size);
  --received_;
  restart_timeout(now);
  return last_read_;
}

// "FIFO Interrupt Mode Operation": four character times after the last character has come or been
// read, with at least one left.
void Serial::restart_timeout(std::uint64_t now) {
  timed_out_ = false;
  timeout_at_ = no_deadline;
  if (!fifo_enabled() || received_ == 0) return;
  const std::uint64_t bits =
      7 + (line_control_ & 3) + (line_control_ >> 2 & 1) + (line_control_ >> 3 & 1);
  const std::uint64_t divisor = divisor_ == 0 ? 0x10000 : divisor_;
  timeout_at_ = now + 4 * bits * divisor * 1'000'000'000u / bit_hertz;
}

void Serial::advance(std::uint64_t now) {
  if (now < timeout_at_) return;
  timed_out_ = true;
  timeout_at_ = no_deadline;
}

std::uint64_t Serial::next_deadline() const {
  return (interrupt_enable_ & ier_data) != 0 ? timeout_at_ : no_deadline;
}

std::uint8_t Serial::read(unsigned offset, std::uint64_t now) {
  advance(now);
  switch (offset) {
    case 0:
      return divisor_access() ? static_cast<std::uint8_t>(divisor_) : take_received(now);
    case 1:
      return divisor_access() ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
    case 2: {
      const Cause current = cause();
      if (current == Cause::transmitter_empty) transmitter_interrupt_ = false;
      return static_cast<std::uint8_t>(static_cast<std::uint8_t>(current) |
                                       (fifo_enabled() ? iir_fifos_enabled : 0));
    }
    case 3:
      return line_control_;
    case 4:
      return modem_control_;
    case 5: {
      const std::uint8_t status = line_status();
      overrun_ = false;
      return status;
    }
    case 6: {
      const std::uint8_t status = modem_inputs() | modem_deltas_;
      modem_deltas_ = 0;
      return status;
    }
    default:
      return scratch_;
  }
}

void Serial::write(unsigned offset, std::uint8_t value, std::uint64_t now, CharacterSink& line) {
  advance(now);
  switch (offset) {
    case 0:
      if (divisor_access()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff00) | value);
        return;
      }
      transmitter_interrupt_ = true;  // sent, and empty again
      return loopback() ? receive(value, now) : line.put(value);
    case 1:
      if (divisor_access()) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00ff) | value << 8);
        return;
      }
      // Enabling the transmitter's interrupt with the transmitter empty raises it.
      if ((value & ~interrupt_enable_ & ier_transmitter) != 0) transmitter_interrupt_ = true;
      if ((interrupt_enable_ & ier_data) != 0) awaits_input_until_ = now + second;
      interrupt_enable_ = value & 0x0f;
      return;
    case 2:
      return write_fifo_control(value);
    case 3:
      line_control_ = value;
      return;
    case 4: {
      const std::uint8_t before = modem_inputs();
      modem_control_ = value & 0x1f;
      return modem_inputs_changed(before);
    }
    case 5:
    case 6:
      return;  // status; writes are for factory tests
    default:
      scratch_ = value;
      return;
  }
}

void Serial::write_fifo_control(std::uint8_t value) {
  const bool toggled = ((value ^ fifo_control_) & fcr_enable) != 0;
  if (toggled || ((value & fcr_enable) != 0 && (value & fcr_clear_receiver) != 0)) {
    received_ = 0;
    timed_out_ = false;
    timeout_at_ = no_deadline;
  }
  // The other bits are programmed only together with the enable bit.
  fifo_control_ = (value & fcr_enable) != 0 ? value & fcr_kept : 0;
}

}  // namespace undercroft
