// What becomes of one guest instruction in the cache: a copy, or a sequence over the virtual CPU
// page that does the same at ring 3. Every sequence either faults only while the guest's state is
// that of its start, or says in its map points what has to be put back. Which instructions come to
// a sequence, and where control goes on, is trace.cpp's.
#pragma once

#include <cstdint>
#include <span>

#include "../instruction/instruction.hpp"
#include "trace_writer.hpp"

namespace undercroft {

class Sequences {
 public:
  explicit Sequences(TraceWriter& writer) : writer_(writer), out_(writer.out()) {}

  // The instruction that the sequences below are for, and its bytes; both outlive them. It stands
  // at writer.here().
  void set_instruction(const Instruction& instruction, std::span<const std::uint8_t> bytes);
  // It stands in the shadow of STI.
  void set_shadowed(bool shadowed) { shadowed_ = shadowed; }
  bool shadowed() const { return shadowed_; }

  // The point before an instruction's code.
  PointState start_state() const { return shadowed_ ? PointState::shadowed : PointState::boundary; }
  void start_point() { writer_.point(start_state()); }

  void copy();
  void copy_with_settled_flags();

  // Branches whose target is known leave the jump to the caller.
  void push_return_address();
  void count_down();  // LOOP, JECXZ: what comes next is reached if the branch is taken
  void return_near();
  void indirect_branch(bool call);
  void interrupt_return();

  void clear_interrupt_flag();
  void set_interrupt_flag();
  void push_flags();
  void pop_flags();
  void read_selector();
  void push_selector();
  void invalidate_page();

 private:
  std::uint32_t next() const { return writer_.here() + instruction_->length; }
  void load_operand_to_ecx();
  std::uint32_t override_prefix() const;
  void look_up_target();
  void take_interrupt_flag();
  void expect_zero_sum();
  void expect_descriptor_word(std::uint8_t displacement, std::uint32_t minus_word);

  TraceWriter& writer_;
  Assembler<TranslatedTrace::code_capacity>& out_;
  const Instruction* instruction_ = nullptr;
  std::span<const std::uint8_t> bytes_{};
  bool shadowed_ = false;
};

}  // namespace undercroft
