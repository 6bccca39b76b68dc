// Which guest instructions a trace is made of, which of them are copied, which become sequences and
// which leave the cache (design section 1), and how control goes from one to the next.
#include "trace.hpp"

#include "../instruction/decoder.hpp"
#include "guard.hpp"
#include "sequences.hpp"
#include "trace_writer.hpp"

namespace undercroft {
namespace {

// So that a block's 8-bit guest offsets hold.
constexpr unsigned longest_block_bytes = 224;
constexpr unsigned longest_instruction = 15;
// Conditional branches that a trace goes on behind.
constexpr unsigned most_branches = 1;

class TraceTranslator {
 public:
  TraceTranslator(TranslatedTrace& trace, std::span<const std::uint8_t> bytes,
                  std::uint32_t first_bytes, std::uint32_t eip, const TranslationTargets& targets,
                  const KnownBlocks& known, unsigned most_instructions)
      : trace_(trace),
        writer_(trace, eip, targets, known),
        sequences_(writer_),
        guard_(writer_, targets.guards_stack),
        guarded_(targets.guarded),
        level_(targets.level),
        bytes_(bytes),
        end_(first_bytes < bytes.size() ? first_bytes : static_cast<std::uint32_t>(bytes.size())),
        known_(known),
        most_instructions_(most_instructions) {}

  void run() {
    writer_.begin_block();
    Flow flow = Flow::next;
    while (go_on(flow)) flow = one_instruction();
    writer_.end_block();
    trace_.guest_size = writer_.offset();
    writer_.emit_exits();
  }

 private:
  // How control leaves a guest instruction.
  enum class Flow : std::uint8_t {
    next,     // to the following instruction, in the same block
    branch,   // there or elsewhere
    call,     // elsewhere, and back to the following instruction by an indirect branch
    monitor,  // the monitor comes back to the following instruction
    away,     // never to the following instruction
  };

  // Prepares for the next instruction; false: the trace ends here. Behind its second conditional
  // branch it does: either way may never be taken, and what is translated in vain costs room.
  bool go_on(Flow flow) {
    const std::uint32_t here = writer_.here();
    if (flow == Flow::away) return false;
    if (flow == Flow::next && !full()) {
      if (sequences_.shadowed() || writer_.block_size() == 0) return true;
      if (!known_.find(here)) {
        if (writer_.block_size() >= longest_block_bytes) {
          guard_.forget();
          writer_.next_block();
        }
        return true;
      }
    }
    const bool falls_through = flow == Flow::next || flow == Flow::branch;
    const bool ends = flow == Flow::next || full() || known_.find(here) ||
                      (flow == Flow::branch && ++branches_ > most_branches);
    if (ends) {
      if (!falls_through) return false;
      writer_.point(PointState::boundary);
      writer_.jump_to(here);
      return false;
    }
    guard_.forget();
    if (flow == Flow::call)
      writer_.next_block_with_landing();
    else
      writer_.next_block();
    return true;
  }

  // No room for the next instruction and `more` behind it.
  bool full(unsigned more = 0) const {
    const unsigned wanted = 1 + more;
    return writer_.offset() >= end_ || trace_.instruction_count + wanted > most_instructions_ ||
           writer_.full(wanted);
  }

  Flow one_instruction() {
    const auto rest = bytes_.subspan(writer_.offset());
    const auto decoded = decode(rest, true);
    if (!decoded) {
      if (decoded.error() == DecodeError::truncated && writer_.block_size() > 0 &&
          !sequences_.shadowed()) {
        // It reaches beyond what could be fetched: the next trace begins with it.
        sequences_.start_point();
        writer_.jump_to(writer_.here());
        return Flow::away;
      }
      exit_to_interpreter();
      const auto left = static_cast<unsigned>(rest.size());
      writer_.advance(left < longest_instruction ? left : longest_instruction);
      return Flow::away;
    }
    instruction_ = decoded.value();
    sequences_.set_instruction(instruction_, rest.first(instruction_.length));
    const Flow flow = translate();
    if (guarded_) guard_.follow(instruction_);
    writer_.advance(instruction_.length);
    sequences_.set_shadowed(flow == Flow::next && instruction_.operation == Operation::sti);
    return flow;
  }

  Flow translate() {
    switch (instruction_.instruction_class) {
      case InstructionClass::plain:
        return translate_plain();
      case InstructionClass::branch:
        return translate_branch();
      case InstructionClass::sensitive:
      case InstructionClass::privileged:
        return translate_sensitive();
      case InstructionClass::undefined:
        break;
    }
    exit_to_interpreter();
    return Flow::away;
  }

  // One is the monitor's and CS the cache's, so an access through the guest's is emulated.
  bool names_reserved_segment() const {
    return instruction_.segment == page_segment(level_) || instruction_.segment == Segment::cs;
  }

  Flow exit_to_interpreter() {
    sequences_.start_point();
    writer_.exit(ExitKind::interpret, writer_.here());
    return Flow::monitor;
  }

  // Before each sequence that reaches the guest's memory.
  void guard() {
    if (guarded_) guard_.check(instruction_, sequences_.start_state());
  }

  Flow translate_plain() {
    if (instruction_.accesses_data_segment() && names_reserved_segment()) {
      return exit_to_interpreter();
    }
    guard();
    if (instruction_.operation == Operation::cmpxchg8b)
      sequences_.copy_with_settled_flags();
    else
      sequences_.copy();
    return Flow::next;
  }

  Flow translate_branch() {
    if (instruction_.operand_size == 2) return exit_to_interpreter();
    writer_.set_run_continues(false);
    const std::uint32_t target = instruction_.branch_target(writer_.here());
    const bool direct = instruction_.operands[0].kind == OperandKind::relative;
    switch (instruction_.operation) {
      case Operation::jmp_near:
        if (!direct) return indirect_branch(false);
        sequences_.start_point();
        writer_.jump_to(target);
        return Flow::away;
      case Operation::call_near:
        if (!direct) return indirect_branch(true);
        guard();
        sequences_.push_return_address();
        writer_.jump_to(target);
        return Flow::call;
      case Operation::jcc:
        sequences_.start_point();
        writer_.jump_if(instruction_.condition(), target);
        return Flow::branch;
      case Operation::loop:
      case Operation::loope:
      case Operation::loopne:
      case Operation::jcxz:
        sequences_.count_down();
        writer_.jump_to(target);
        return Flow::branch;
      case Operation::ret_near:
        guard();
        sequences_.return_near();
        return Flow::away;
      default:
        return exit_to_interpreter();
    }
  }

  Flow indirect_branch(bool call) {
    if (instruction_.has_memory && names_reserved_segment()) return exit_to_interpreter();
    guard();
    sequences_.indirect_branch(call);
    return call ? Flow::call : Flow::away;
  }

  // What user code may do depends on IOPL and on CR4; only reading selectors and the time does not
  // touch what the monitor keeps for it. At a port's exit the monitor looks at IOPL.
  bool is_harmless() const {
    return instruction_.operation == Operation::mov_from_segment ||
           instruction_.operation == Operation::push_segment ||
           instruction_.operation == Operation::rdtsc || instruction_.operation == Operation::in ||
           instruction_.operation == Operation::out;
  }

  // Most often the monitor comes back right behind the exit. In the shadow of STI it has more to
  // do.
  Flow access_port(bool writes) {
    if (sequences_.shadowed()) return exit_to_interpreter();
    const Operand& place = instruction_.operands[writes ? 0 : 1];
    const Operand& value = instruction_.operands[writes ? 1 : 0];
    PortAccess access;
    access.in_dx = place.kind == OperandKind::port;
    access.port = static_cast<std::uint8_t>(access.in_dx ? 0 : instruction_.immediate);
    access.writes = writes;
    access.size = value.width;
    access.length = instruction_.length;
    sequences_.start_point();
    writer_.exit_to_port(writer_.here(), access);
    return Flow::next;
  }

  // Likewise. The selector comes from a register or from the stack; what a load from other memory
  // or of SS means is left to the interpreter.
  Flow load_segment() {
    const bool pops = instruction_.operation == Operation::pop_segment;
    const Segment segment = instruction_.segment_register;
    const bool wide = instruction_.operand_size == 4;
    if (sequences_.shadowed() || segment == Segment::ss || segment == Segment::cs) {
      return exit_to_interpreter();
    }
    if (pops ? !wide : instruction_.has_memory) return exit_to_interpreter();
    const auto reg = static_cast<std::uint8_t>(pops ? 0 : instruction_.rm());
    sequences_.start_point();
    writer_.exit_to_segment(writer_.here(), {segment, pops, reg, instruction_.length});
    guard_.forget();  // what it knows of addresses may be by the old base
    return Flow::next;
  }

  Flow leave_to_interpreter() {
    exit_to_interpreter();
    switch (instruction_.operation) {
      case Operation::iret:
      case Operation::jmp_far:
      case Operation::ret_far:
      case Operation::sysenter:
      case Operation::sysexit:
        return Flow::away;
      default:
        return Flow::monitor;
    }
  }

  Flow translate_sensitive() {
    writer_.set_run_continues(false);
    if (level_ == CodeLevel::user && !is_harmless()) return leave_to_interpreter();
    const bool wide = instruction_.operand_size == 4;
    switch (instruction_.operation) {
      case Operation::cli:
        sequences_.clear_interrupt_flag();
        return Flow::next;
      case Operation::sti:
        // The shadow is over the next instruction, which has to be in the same block.
        if (full(1) || writer_.offset() + instruction_.length >= end_) return exit_to_interpreter();
        sequences_.set_interrupt_flag();
        return Flow::next;
      case Operation::pushf:
        if (!wide) return exit_to_interpreter();
        guard();
        sequences_.push_flags();
        return Flow::next;
      case Operation::popf:
        if (!wide) return exit_to_interpreter();
        guard();
        sequences_.pop_flags();
        return Flow::next;
      case Operation::iret:
        if (!wide) return leave_to_interpreter();
        guard();
        sequences_.interrupt_return();
        return Flow::away;
      case Operation::mov_from_segment:
        if (instruction_.has_memory) return exit_to_interpreter();
        sequences_.read_selector();
        return Flow::next;
      case Operation::push_segment:
        if (!wide) return exit_to_interpreter();
        guard();
        sequences_.push_selector();
        return Flow::next;
      case Operation::rdtsc:  // the guest's time stamp is the processor's
        sequences_.copy();
        return Flow::next;
      case Operation::invlpg:
        sequences_.invalidate_page();
        return Flow::next;
      case Operation::mov_to_segment:
      case Operation::pop_segment:
        return load_segment();
      case Operation::in:
        return access_port(false);
      case Operation::out:
        return access_port(true);
      default:
        return leave_to_interpreter();
    }
  }

  TranslatedTrace& trace_;
  TraceWriter writer_;
  Sequences sequences_;
  Guard guard_;
  bool guarded_;
  CodeLevel level_;
  std::span<const std::uint8_t> bytes_;
  std::uint32_t end_;  // no instruction begins from here on, counted from the trace's first
  const KnownBlocks& known_;
  unsigned most_instructions_;
  Instruction instruction_{};
  unsigned branches_ = 0;
};

}  // namespace

void translate_trace(TranslatedTrace& trace, std::span<const std::uint8_t> bytes,
                     std::uint32_t first_bytes, std::uint32_t eip,
                     const TranslationTargets& targets, const KnownBlocks& known,
                     unsigned most_instructions) {
  TraceTranslator(trace, bytes, first_bytes, eip, targets, known, most_instructions).run();
}

}  // namespace undercroft
