// guard=exact: before an instruction that reaches memory, code that finds out whether an operand
// lies in the window's slot, where the guest maps nothing but the window's user pages would answer
// (design section 2). If so it faults, and the monitor interprets the instruction. It knows which
// memory an instruction reaches and which registers it changes, not what it does with them.
//
// An address passes if its distance from the window, cut to its upper 16 bits, is at least the
// slot's. Below and above its user pages the slot has none for user code, and the guest nothing. So
// what begins at an address outside cannot reach them without a fault on the way, and an address
// that is `reach` away from one that passed cannot be among them.
//
// While paging is off a shorter test does: of an address in a segment that begins at 0, the upper 8
// bits alone. Nothing but ROM and devices is above the window then, and the interpreter has them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "../instruction/instruction.hpp"
#include "trace_writer.hpp"

namespace undercroft {

class Guard {
 public:
  // guards_stack: also what an instruction reaches through SS.
  Guard(TraceWriter& writer, bool guards_stack) : writer_(writer), guards_stack_(guards_stack) {}

  // A block begins: nothing is known of any register.
  void forget();
  // Emits what the instruction needs. start: the state of the point where it begins.
  void check(const Instruction&, PointState start);
  // The instruction's own code is there: what it changes is known no longer.
  void follow(const Instruction&);

 private:
  // What has passed in one segment.
  struct Passed {
    std::uint8_t registers = 0;  // bit n: register n as an address
    std::optional<std::uint32_t> offset{};
  };

  void check_operand(Segment, const MemoryOperand&);
  void check_register(Segment, Register);
  void check_offset(Segment, std::uint32_t);
  void check_bit_offset(Register);
  void form_address(Register, const MemoryOperand&);
  void emit(Segment, const MemoryOperand&);
  // Between them stands an instruction that changes the register.
  void begin(Register borrowed);
  void go_on(Register borrowed);
  void end(Register borrowed, std::uint32_t table);

  TraceWriter& writer_;
  bool guards_stack_;
  PointState start_ = PointState::boundary;
  std::array<Passed, 6> passed_{};
  std::uint8_t saved_ = 0;  // bit n: the page has register n as it is
  bool saving_ = false;     // and had it before the guard that is being emitted
};

}  // namespace undercroft
