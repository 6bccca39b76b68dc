// Two 8259A programmable interrupt controllers, cascaded as in a PC: the slave's output is the
// master's line 2. Data sheet: Intel 8259A (231468); the edge/level registers are the PIIX's.
// Only 8086 mode exists: the 8080 call sequence is not modelled.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

// One 8259A. Lines are numbered 0 to 7.
class InterruptChip {
 public:
  // As the firmware leaves it: initialised, with this vector base and mask.
  constexpr InterruptChip(bool master, std::uint8_t vector_base, std::uint8_t mask,
                          std::uint8_t level_allowed)
      : master_(master), level_allowed_(level_allowed), mask_(mask), vector_base_(vector_base) {}

  // Offset 0 is A0 = 0, offset 1 is A0 = 1.
  std::uint8_t read(unsigned offset);
  void write(unsigned offset, std::uint8_t value);

  std::uint8_t edge_level() const { return level_triggered_; }
  void set_edge_level(std::uint8_t value) { level_triggered_ = value & level_allowed_; }

  // An edge-triggered request is remembered from its rise on, and withdrawn if the line falls
  // before it has been acknowledged, as the data sheet has it.
  void set_line(unsigned line, bool high);

  bool output() const { return best_request() < 8; }
  // The acknowledge cycle: the line served, or 7 without an in-service bit if no request is left
  // (spurious).
  std::uint8_t acknowledge();
  std::uint8_t vector(unsigned line) const {
    return static_cast<std::uint8_t>(vector_base_ | line);
  }
  bool in_service(unsigned line) const { return (service_ >> line & 1) != 0; }
  bool requested(unsigned line) const { return (requests() >> line & 1) != 0; }
  bool masked(unsigned line) const { return (mask_ >> line & 1) != 0; }

  // A rising edge on a line that is high already: what a pulse train does between two looks at it.
  void pulse(unsigned line);

 private:
  enum class Step : std::uint8_t { ready, icw2, icw3, icw4 };

  void start_initialisation(std::uint8_t icw1);
  void command_ocw2(std::uint8_t value);
  void command_ocw3(std::uint8_t value);
  void write_data(std::uint8_t value);
  void end_of_interrupt(unsigned line) { service_ &= static_cast<std::uint8_t>(~(1u << line)); }
  std::uint8_t poll();

  std::uint8_t requests() const {  // the IRR
    return static_cast<std::uint8_t>((edges_ & ~level_triggered_) | (lines_ & level_triggered_));
  }
  // The line of highest priority that is set in `bits`; 8 if none. Rank 0 is the highest.
  unsigned rank(unsigned line) const { return (line - lowest_ - 1u) & 7; }
  unsigned highest(std::uint8_t bits) const;
  unsigned best_request() const;

  bool master_;
  std::uint8_t level_allowed_;  // lines that the edge/level register can change
  std::uint8_t level_triggered_ = 0;
  std::uint8_t lines_ = 0;    // the inputs as they stand
  std::uint8_t edges_ = 0;    // rises not yet acknowledged
  std::uint8_t service_ = 0;  // ISR
  std::uint8_t mask_;         // IMR
  std::uint8_t vector_base_;  // low three bits zero
  std::uint8_t lowest_ = 7;   // the line of lowest priority
  Step step_ = Step::ready;
  bool single_ = false;
  bool expects_icw4_ = false;
  bool automatic_eoi_ = false;
  bool rotate_automatically_ = false;
  bool special_fully_nested_ = false;
  bool special_mask_ = false;
  bool read_service_ = false;  // OCW3: offset 0 reads the ISR rather than the IRR
  bool poll_ = false;
};

// The pair, lines 0 to 15; line 2 is the cascade and not to be driven.
class InterruptController {
 public:
  std::uint8_t read_master(unsigned offset);
  std::uint8_t read_slave(unsigned offset);
  void write_master(unsigned offset, std::uint8_t value);
  void write_slave(unsigned offset, std::uint8_t value);
  std::uint8_t read_edge_level(unsigned offset) const;
  void write_edge_level(unsigned offset, std::uint8_t value);

  void set_line(unsigned line, bool high);
  void pulse(unsigned line);

  bool pending() const { return master_.output(); }
  // The acknowledge cycle of the processor: the vector to deliver.
  std::uint8_t acknowledge();

  // Whether a request of a line waits (IRR), masked or not, or is in service.
  bool busy(unsigned line) const {
    const InterruptChip& chip = line < 8 ? master_ : slave_;
    return chip.requested(line & 7) || chip.in_service(line & 7);
  }

  bool masked(unsigned line) const {
    return line < 8 ? master_.masked(line) : slave_.masked(line - 8);
  }

 private:
  static constexpr unsigned cascade = 2;
  void update_cascade() { master_.set_line(cascade, slave_.output()); }

  // What PC firmware leaves behind: timer, keyboard and cascade unmasked, real-mode vectors.
  InterruptChip master_{true, 0x08, 0xb8, 0xf8};
  InterruptChip slave_{false, 0x70, 0x8e, 0xde};
};

}  // namespace undercroft
