// A trace while it is being made: its blocks, their map points, branches whose targets are not
// there yet, and the exits that stand behind it all. It knows where the translator stands in the
// guest, but no guest instruction: sequences.hpp knows what becomes of one, trace.cpp which come
// next.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "trace.hpp"

namespace undercroft {

class TraceWriter {
 public:
  // eip: the guest address of the trace's first instruction.
  TraceWriter(TranslatedTrace& trace, std::uint32_t eip, const TranslationTargets& targets,
              const KnownBlocks& known)
      : trace_(trace), eip_(eip), targets_(targets), known_(known) {}

  Assembler<TranslatedTrace::code_capacity>& out() { return trace_.assembler; }
  const TranslationTargets& targets() const { return targets_; }

  // Where the translator stands: the guest's address, and its distance from the trace's first.
  std::uint32_t here() const { return eip_ + offset_; }
  unsigned offset() const { return offset_; }
  void advance(unsigned length);

  // No room for `wanted` more guest instructions, each with the longest sequence.
  bool full(unsigned wanted) const;

  // Blocks begin and end at here().
  void begin_block();
  void end_block();
  void next_block();
  // The same, with a landing before the new block.
  void next_block_with_landing();
  unsigned block_size() const { return here() - trace_.blocks[trace_.block_count - 1].eip; }

  // What is true from here on in the code, for the present instruction.
  void point(PointState);
  // The last point still describes what comes, if that is a copy of the present instruction.
  bool run_continues() const { return run_continues_; }
  void set_run_continues(bool value) { run_continues_ = value; }

  void jump_to(std::uint32_t target);
  void jump_if(unsigned condition, std::uint32_t target);
  // Leaves the cache here.
  void exit(ExitKind, std::uint32_t eip);
  void exit_to_port(std::uint32_t eip, PortAccess);
  void exit_to_segment(std::uint32_t eip, SegmentLoad);
  // Lets the jump whose displacement is at `place` give ECX back and leave the present instruction
  // to the interpreter.
  void interpret_later(std::uint32_t place) { exit_later(place, ExitKind::interpret, here()); }
  void emit_exits();

 private:
  // Exits stand behind the trace, out of the way of what falls through.
  struct Exit {
    std::uint32_t place;  // of the displacement that goes there
    std::uint32_t eip;
    ExitKind kind;
  };

  BlockRecord& block() { return trace_.blocks[trace_.block_count - 1]; }
  void pad(std::uint32_t size);
  std::optional<std::uint32_t> known_target(std::uint32_t target) const;
  void exit_later(std::uint32_t place, ExitKind kind, std::uint32_t eip) {
    exits_[exit_count_++] = {place, eip, kind};
  }

  TranslatedTrace& trace_;
  std::uint32_t eip_;
  const TranslationTargets& targets_;
  const KnownBlocks& known_;
  unsigned offset_ = 0;
  bool run_continues_ = false;
  std::array<Exit, 96> exits_;
  unsigned exit_count_ = 0;
};

}  // namespace undercroft
