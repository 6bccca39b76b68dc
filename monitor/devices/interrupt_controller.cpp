#include "interrupt_controller.hpp"

#include <bit>

namespace undercroft {
namespace {

constexpr std::uint8_t bit(unsigned line) { return static_cast<std::uint8_t>(1u << line); }

// ICW1 and the bits that tell command words apart (data sheet, figures 7 and 8).
constexpr std::uint8_t icw1_marker = 0x10;
constexpr std::uint8_t icw1_single = 0x02;
constexpr std::uint8_t icw1_needs_icw4 = 0x01;
constexpr std::uint8_t ocw3_marker = 0x08;
constexpr std::uint8_t ocw3_set_special_mask_enable = 0x40;
constexpr std::uint8_t ocw3_special_mask = 0x20;
constexpr std::uint8_t ocw3_poll = 0x04;
constexpr std::uint8_t ocw3_read_enable = 0x02;
constexpr std::uint8_t ocw3_read_service = 0x01;
constexpr std::uint8_t icw4_special_fully_nested = 0x10;
constexpr std::uint8_t icw4_automatic_eoi = 0x02;

}  // namespace

unsigned InterruptChip::highest(std::uint8_t bits) const {
  if (bits == 0) return 8;
  // Rotated so that the line of highest priority is bit 0.
  const auto ranked = std::rotr(bits, static_cast<int>((lowest_ + 1u) & 7));
  return (static_cast<unsigned>(std::countr_zero(ranked)) + lowest_ + 1u) & 7;
}

unsigned InterruptChip::best_request() const {
  const unsigned wanted = highest(static_cast<std::uint8_t>(requests() & ~mask_));
  if (wanted == 8) return 8;
  // What is in service holds back its own and lower priorities. Special mask mode ignores masked
  // levels; a special fully nested master lets the slave interrupt its own service.
  std::uint8_t holding = service_;
  if (special_mask_) holding &= static_cast<std::uint8_t>(~mask_);
  if (special_fully_nested_ && master_) holding &= static_cast<std::uint8_t>(~bit(2));
  const unsigned serving = highest(holding);
  return serving == 8 || rank(wanted) < rank(serving) ? wanted : 8;
}

void InterruptChip::set_line(unsigned line, bool high) {
  const std::uint8_t mask = bit(line);
  if (high) {
    if ((lines_ & mask) == 0) edges_ |= mask;
    lines_ |= mask;
  } else {
    lines_ &= static_cast<std::uint8_t>(~mask);
    edges_ &= static_cast<std::uint8_t>(~mask);
  }
}

void InterruptChip::pulse(unsigned line) {
  lines_ |= bit(line);
  edges_ |= bit(line);
}

std::uint8_t InterruptChip::acknowledge() {
  const unsigned line = best_request();
  if (line == 8) return 7;
  edges_ &= static_cast<std::uint8_t>(~bit(line));
  if (!automatic_eoi_) {
    service_ |= bit(line);
  } else if (rotate_automatically_) {
    lowest_ = static_cast<std::uint8_t>(line);
  }
  return static_cast<std::uint8_t>(line);
}

std::uint8_t InterruptChip::poll() {
  poll_ = false;
  const bool pending = output();
  const std::uint8_t line = acknowledge();
  return pending ? static_cast<std::uint8_t>(0x80 | line) : std::uint8_t{0};
}

std::uint8_t InterruptChip::read(unsigned offset) {
  if (poll_) return poll();
  if (offset == 1) return mask_;
  return read_service_ ? service_ : requests();
}

void InterruptChip::write(unsigned offset, std::uint8_t value) {
  if (offset == 1) return write_data(value);
  if (value & icw1_marker) return start_initialisation(value);
  if (value & ocw3_marker) return command_ocw3(value);
  command_ocw2(value);
}

// Data sheet, "Initialization Command Words 1 and 2": the edge sense is reset (a line must fall and
// rise again), the mask is cleared, line 7 gets the lowest priority, special mask mode ends, reads
// give the IRR; without ICW4 its functions are off.
void InterruptChip::start_initialisation(std::uint8_t icw1) {
  edges_ = 0;
  service_ = 0;
  mask_ = 0;
  lowest_ = 7;
  special_mask_ = false;
  read_service_ = false;
  poll_ = false;
  automatic_eoi_ = false;
  rotate_automatically_ = false;
  special_fully_nested_ = false;
  single_ = (icw1 & icw1_single) != 0;
  expects_icw4_ = (icw1 & icw1_needs_icw4) != 0;
  step_ = Step::icw2;
}

void InterruptChip::write_data(std::uint8_t value) {
  const Step after_icw3 = expects_icw4_ ? Step::icw4 : Step::ready;
  switch (step_) {
    case Step::ready:
      mask_ = value;
      return;
    case Step::icw2:
      vector_base_ = value & 0xf8;
      step_ = single_ ? after_icw3 : Step::icw3;
      return;
    case Step::icw3:  // the wiring of the cascade is fixed
      step_ = after_icw3;
      return;
    case Step::icw4:
      special_fully_nested_ = (value & icw4_special_fully_nested) != 0;
      automatic_eoi_ = (value & icw4_automatic_eoi) != 0;
      step_ = Step::ready;
      return;
  }
}

// OCW2: bits 7 to 5 are R, SL, EOI; bits 2 to 0 the level for the specific forms.
void InterruptChip::command_ocw2(std::uint8_t value) {
  const unsigned level = value & 7;
  // In special mask mode a non-specific end passes over masked levels (data sheet, "Special Mask
  // Mode").
  const unsigned serving =
      highest(special_mask_ ? static_cast<std::uint8_t>(service_ & ~mask_) : service_);
  switch (value >> 5) {
    case 0b000:
      rotate_automatically_ = false;
      return;
    case 0b100:
      rotate_automatically_ = true;
      return;
    case 0b001:
    case 0b101:
      if (serving == 8) return;
      end_of_interrupt(serving);
      if (value >> 5 == 0b101) lowest_ = static_cast<std::uint8_t>(serving);
      return;
    case 0b011:
      end_of_interrupt(level);
      return;
    case 0b111:
      end_of_interrupt(level);
      lowest_ = static_cast<std::uint8_t>(level);
      return;
    case 0b110:
      lowest_ = static_cast<std::uint8_t>(level);
      return;
    case 0b010:
      return;  // no operation
  }
}

void InterruptChip::command_ocw3(std::uint8_t value) {
  if (value & ocw3_poll) poll_ = true;
  if (value & ocw3_read_enable) read_service_ = (value & ocw3_read_service) != 0;
  if (value & ocw3_set_special_mask_enable) special_mask_ = (value & ocw3_special_mask) != 0;
}

std::uint8_t InterruptController::read_master(unsigned offset) { return master_.read(offset); }

std::uint8_t InterruptController::read_slave(unsigned offset) {
  const std::uint8_t value = slave_.read(offset);  // a poll acknowledges
  update_cascade();
  return value;
}

void InterruptController::write_master(unsigned offset, std::uint8_t value) {
  master_.write(offset, value);
}

void InterruptController::write_slave(unsigned offset, std::uint8_t value) {
  slave_.write(offset, value);
  update_cascade();
}

std::uint8_t InterruptController::read_edge_level(unsigned offset) const {
  return offset == 0 ? master_.edge_level() : slave_.edge_level();
}

void InterruptController::write_edge_level(unsigned offset, std::uint8_t value) {
  (offset == 0 ? master_ : slave_).set_edge_level(value);
  update_cascade();
}

void InterruptController::set_line(unsigned line, bool high) {
  if (line < 8) return master_.set_line(line, high);
  slave_.set_line(line - 8, high);
  update_cascade();
}

void InterruptController::pulse(unsigned line) {
  if (line < 8) return master_.pulse(line);
  slave_.pulse(line - 8);
  update_cascade();
}

std::uint8_t InterruptController::acknowledge() {
  const bool real = master_.output();
  const std::uint8_t line = master_.acknowledge();
  if (!real || line != cascade) return master_.vector(line);
  const std::uint8_t slave_line = slave_.acknowledge();
  // The slave's output falls with the cycle: what it still requests is a new edge for the master.
  master_.set_line(cascade, false);
  update_cascade();
  return slave_.vector(slave_line);
}

}  // namespace undercroft
