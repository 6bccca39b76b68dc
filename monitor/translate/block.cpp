// Rewriting: which guest instructions are copied, which become sequences over the virtual CPU page,
// and which leave the cache (design section 1). Every sequence either faults only while the guest
// state is that of its start, or says in its map points what has to be put back.
#include "block.hpp"

#include "../instruction/decoder.hpp"

namespace undercroft {
namespace {

// Bounds of one block, so that its 8-bit guest offsets hold, and room that the longest sequence of
// one instruction needs, with its share of the exits behind the trace.
constexpr unsigned longest_block_bytes = 224;
constexpr unsigned longest_instruction = 15;
constexpr unsigned sequence_room = 192;
constexpr unsigned sequence_points = 12;
constexpr unsigned sequence_exits = 3;
constexpr unsigned exit_room = 24;

// Flags that POPF and IRET must leave to the monitor when they are set.
constexpr std::uint32_t unusual_flags = eflags::trap | eflags::iopl | eflags::nested_task |
                                        eflags::alignment_check | eflags::virtual_8086 |
                                        eflags::resume;
constexpr unsigned not_zero = 5;  // the condition of JNZ

class TraceTranslator {
 public:
  TraceTranslator(TranslatedTrace& trace, std::span<const std::uint8_t> bytes,
                  std::uint32_t first_bytes, std::uint32_t eip, const TranslationTargets& targets,
                  const KnownBlocks& known, unsigned most_instructions)
      : trace_(trace),
        out_(trace.assembler),
        bytes_(bytes),
        end_(first_bytes < bytes.size() ? first_bytes : static_cast<std::uint32_t>(bytes.size())),
        eip_(eip),
        targets_(targets),
        known_(known),
        most_instructions_(most_instructions) {}

  void run() {
    begin_block();
    Flow flow = Flow::next;
    while (go_on(flow)) flow = one_instruction();
    end_block();
    trace_.guest_size = offset_;
    emit_exits();
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

  // Prepares for the instruction at offset_; false: the trace ends here. Behind a conditional
  // branch it does: either way may never be taken, and what is translated in vain costs room.
  bool go_on(Flow flow) {
    if (flow == Flow::away) return false;
    if (flow == Flow::next && !full()) {
      if (shadowed_ || block_size() == 0) return true;
      if (!known_.find(here())) {
        if (block_size() >= longest_block_bytes) next_block();
        return true;
      }
    }
    if (flow == Flow::next || flow == Flow::branch) {
      point(PointState::boundary);
      jump_to(here());
      return false;
    }
    if (full() || known_.find(here())) return false;
    if (flow == Flow::call) {
      end_block();
      const auto landing = static_cast<std::uint16_t>(out_.size());
      emit_landing(out_, here(), targets_.indirect_miss);
      begin_block();
      block().landing = landing;
    } else {
      next_block();
    }
    return true;
  }

  // No room for the instruction at offset_ and `more` behind it.
  bool full(unsigned more = 0) const {
    const unsigned wanted = 1 + more;
    return offset_ >= end_ || trace_.instruction_count + wanted > most_instructions_ ||
           out_.size() + exit_count_ * exit_room + wanted * sequence_room > trace_.code_capacity ||
           trace_.point_count + wanted * sequence_points > trace_.point_capacity ||
           trace_.block_count == trace_.block_capacity ||
           exit_count_ + wanted * sequence_exits > exits_.size();
  }

  Flow one_instruction() {
    const auto decoded = decode(bytes_.subspan(offset_), true);
    if (!decoded) {
      const unsigned rest = static_cast<unsigned>(bytes_.size()) - offset_;
      exit_to_interpreter();
      count(rest < longest_instruction ? rest : longest_instruction);
      return Flow::away;
    }
    instruction_ = decoded.value();
    const Flow flow = translate();
    count(instruction_.length);
    shadowed_ = flow == Flow::next && instruction_.operation == Operation::sti;
    return flow;
  }

  void count(unsigned length) {
    offset_ += length;
    ++trace_.instruction_count;
  }
  std::uint32_t here() const { return eip_ + offset_; }
  std::uint32_t next() const { return here() + instruction_.length; }

  BlockRecord& block() { return trace_.blocks[trace_.block_count - 1]; }
  unsigned block_size() { return here() - block().eip; }
  void begin_block() {
    BlockRecord& made = trace_.blocks[trace_.block_count++];
    made = {};
    made.eip = here();
    made.code_start = static_cast<std::uint16_t>(out_.size());
    made.first_point = static_cast<std::uint16_t>(trace_.point_count);
    made.landing = no_landing;
    run_continues_ = false;
  }
  void end_block() {
    BlockRecord& made = block();
    made.guest_size = static_cast<std::uint8_t>(here() - made.eip);
    const std::uint32_t size = out_.size() - made.code_start;
    if (size < moved_exit_size) pad(moved_exit_size - size);
    made.code_size = static_cast<std::uint16_t>(out_.size() - made.code_start);
    made.point_count = static_cast<std::uint16_t>(trace_.point_count - made.first_point);
  }
  void next_block() {
    end_block();
    begin_block();
  }
  // One instruction of 1 to 6 bytes that does nothing.
  void pad(std::uint32_t size) {
    static constexpr std::uint8_t fillers[6][6] = {
        {0x90},                          // nop
        {0x89, 0xf6},                    // mov esi, esi
        {0x8d, 0x76, 0x00},              // lea esi, [esi + 0]
        {0x8d, 0x74, 0x26, 0x00},        // the same with SIB,
        {0x3e, 0x8d, 0x74, 0x26, 0x00},  // and with a prefix
        {0x8d, 0xb6, 0, 0, 0, 0},        // the same with a 32-bit displacement
    };
    point(PointState::boundary);
    out_.bytes({fillers[size - 1], size});
  }

  void point(PointState state) {
    trace_.points[trace_.point_count++] = {
        static_cast<std::uint16_t>(out_.size() - block().code_start),
        static_cast<std::uint8_t>(block_size()), state};
  }
  PointState start_state() const { return shadowed_ ? PointState::shadowed : PointState::boundary; }

  Flow translate() {
    switch (instruction_.instruction_class) {
      case InstructionClass::plain:
        if (uses_reserved_segment()) return exit_to_interpreter();
        return instruction_.operation == Operation::cmpxchg8b ? copy_with_settled_flags() : copy();
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

  // GS is the monitor's and CS the cache's, so an access through the guest's is emulated.
  bool uses_reserved_segment() const {
    return instruction_.accesses_data_segment() &&
           (instruction_.segment == Segment::gs || instruction_.segment == Segment::cs);
  }

  // A run of copies needs one point only, if nothing stands between them.
  Flow copy() {
    if (!run_continues_ || shadowed_) point(start_state());
    run_continues_ = !shadowed_;
    out_.bytes(bytes_.subspan(offset_, instruction_.length));
    return Flow::next;
  }

  // CMPXCHG8B under QEMU 7.2's TCG takes the flags it should keep from wherever an IRET before left
  // them, and puts garbage there, DF and VM included. CMC twice makes TCG compute them first.
  Flow copy_with_settled_flags() {
    constexpr std::uint8_t cmc = 0xf5;
    point(start_state());
    out_.byte(cmc);
    point(PointState::atomic);
    out_.byte(cmc);
    point(start_state());
    run_continues_ = !shadowed_;
    out_.bytes(bytes_.subspan(offset_, instruction_.length));
    return Flow::next;
  }

  Flow exit_to_interpreter() {
    point(start_state());
    exit(ExitKind::interpret);
    out_.word(here());
    return Flow::monitor;
  }

  void exit(ExitKind kind) {
    out_.byte(0x0f);
    out_.byte(0x0b);
    out_.byte(static_cast<std::uint32_t>(kind));
  }

  // A block that a branch can go to at once: of this trace, or in the cache.
  std::optional<std::uint32_t> known_target(std::uint32_t target) const {
    for (unsigned n = 0; n < trace_.block_count; ++n) {
      if (trace_.blocks[n].eip == target) {
        return out_.here() - out_.size() + trace_.blocks[n].code_start;
      }
    }
    return known_.find(target);
  }
  void jump_to(std::uint32_t target) {
    const auto known = known_target(target);
    const std::uint32_t place = out_.jump(known.value_or(0));
    if (!known) exit_later(place, ExitKind::branch, target);
  }

  Flow translate_branch() {
    if (instruction_.operand_size == 2) return exit_to_interpreter();
    run_continues_ = false;
    const std::uint32_t target = instruction_.branch_target(here());
    const bool direct = instruction_.operands[0].kind == OperandKind::relative;
    switch (instruction_.operation) {
      case Operation::jmp_near:
        if (!direct) return indirect_branch(false);
        point(start_state());
        jump_to(target);
        return Flow::away;
      case Operation::call_near:
        if (!direct) return indirect_branch(true);
        point(start_state());
        out_.push(next());
        point(PointState::atomic);
        jump_to(target);
        return Flow::call;
      case Operation::jcc:
        return conditional(target);
      case Operation::loop:
      case Operation::loope:
      case Operation::loopne:
      case Operation::jcxz:
        return counted(target);
      case Operation::ret_near:
        return return_near();
      default:
        return exit_to_interpreter();
    }
  }

  Flow conditional(std::uint32_t target) {
    point(start_state());
    const auto known = known_target(target);
    const std::uint32_t place = out_.jump_if(instruction_.condition(), known.value_or(0));
    if (!known) exit_later(place, ExitKind::branch, target);
    return Flow::branch;
  }

  // LOOP and JECXZ reach 127 bytes only: they go over the jump that falls through.
  Flow counted(std::uint32_t target) {
    constexpr std::uint32_t jump_size = 5;
    point(start_state());
    if (instruction_.address_size_prefix) out_.byte(0x67);
    out_.byte(instruction_.opcode & 0xff);
    out_.byte(jump_size);
    point(PointState::atomic);
    out_.jump(out_.here() + 2 * jump_size);
    jump_to(target);
    return Flow::branch;
  }

  Flow return_near() {
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    out_.pop(Register::ecx);
    point(PointState::borrowed_ecx);
    if (instruction_.immediate) out_.drop_stack(instruction_.immediate);
    look_up_target();
    return Flow::away;
  }

  Flow indirect_branch(bool call) {
    if (instruction_.has_memory &&
        (instruction_.segment == Segment::gs || instruction_.segment == Segment::cs)) {
      return exit_to_interpreter();
    }
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    load_operand_to_ecx();
    point(PointState::borrowed_ecx);
    if (call) out_.push(next());
    look_up_target();
    return call ? Flow::call : Flow::away;
  }

  // mov ecx, <the instruction's r/m operand>
  void load_operand_to_ecx() {
    if (instruction_.segment_override) out_.byte(override_prefix());
    if (instruction_.address_size_prefix) out_.byte(0x67);
    out_.byte(0x8b);
    out_.byte((instruction_.modrm & 0xc7) | static_cast<unsigned>(Register::ecx) << 3);
    const unsigned rest = instruction_.modrm_offset + 1u;
    out_.bytes(bytes_.subspan(offset_ + rest, instruction_.length - rest));
  }
  std::uint32_t override_prefix() const {
    constexpr std::uint8_t prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    return prefixes[static_cast<unsigned>(*instruction_.segment_override)];
  }

  // ECX holds the guest's target. The table has the landing of the last block with these 16 bits,
  // which compares the whole address (see emit_landing).
  void look_up_target() {
    out_.store_to_page(cpu_page_offset::saved_eax, Register::eax);
    out_.zero_extend_word(Register::eax, Register::ecx);
    point(PointState::borrowed_eax_ecx);
    out_.jump_by_table(targets_.jump_table);
  }

  Flow translate_sensitive() {
    run_continues_ = false;
    switch (instruction_.operation) {
      case Operation::cli:
        point(start_state());
        out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, 0);
        return Flow::next;
      case Operation::sti:
        return set_interrupt_flag();
      case Operation::pushf:
        return instruction_.operand_size == 4 ? push_flags() : exit_to_interpreter();
      case Operation::popf:
        return instruction_.operand_size == 4 ? pop_flags() : exit_to_interpreter();
      case Operation::iret:
        if (instruction_.operand_size == 4) return interrupt_return();
        exit_to_interpreter();
        return Flow::away;
      case Operation::mov_from_segment:
        return instruction_.has_memory ? exit_to_interpreter() : read_selector();
      case Operation::push_segment:
        if (instruction_.operand_size != 4) return exit_to_interpreter();
        point(start_state());
        out_.push_from_page(cpu_page_offset::selector(instruction_.segment_register));
        return Flow::next;
      case Operation::rdtsc:  // the guest's time stamp is the processor's
        return copy();
      case Operation::invlpg:  // the shadow follows the guest's tables at each write
        return Flow::next;
      case Operation::jmp_far:
      case Operation::ret_far:
      case Operation::sysenter:
      case Operation::sysexit:
        exit_to_interpreter();
        return Flow::away;
      default:
        return exit_to_interpreter();
    }
  }

  // An interrupt that waits needs the monitor, which also keeps the shadow; otherwise IF rises
  // here, and what comes later finds the next boundary by itself.
  Flow set_interrupt_flag() {
    constexpr std::uint8_t jump_size = 5;
    // The shadow is over the next instruction, which has to be in the same block.
    if (full(1) || offset_ + instruction_.length >= end_) return exit_to_interpreter();
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::borrowed_ecx);
    out_.load_from_page(Register::ecx, cpu_page_offset::interrupt_pending);
    out_.jump_if_ecx_zero(jump_size);
    interpret_later(out_.jump(0));
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    point(PointState::atomic);
    out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, eflags::interrupt >> 8);
    return Flow::next;
  }

  // The processor's IF is always set while a guest runs and its IOPL, NT and TF are clear; so are
  // the guest's own here (the monitor interprets otherwise), and a sum gives the image.
  Flow push_flags() {
    point(start_state());
    out_.byte(0x9c);
    point(PointState::pushed);
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    out_.store_to_page(cpu_page_offset::saved_edx, Register::edx);
    point(PointState::pushed_borrowed_ecx_edx);
    out_.load_stack(Register::ecx, 0);
    out_.load_from_page(Register::edx, cpu_page_offset::interrupt_flag);
    out_.lea(Register::ecx, Register::ecx, Register::edx, -eflags::interrupt);
    out_.store_top(Register::ecx);
    out_.load_from_page(Register::edx, cpu_page_offset::saved_edx);
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    return Flow::next;
  }

  // The flags are dead once the stack has been read: POPF replaces them all.
  Flow pop_flags() {
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    out_.load_stack(Register::ecx, 0);
    point(PointState::borrowed_ecx);
    take_interrupt_flag();
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    point(PointState::atomic);
    out_.byte(0x9d);
    return Flow::next;
  }

  // ECX holds an EFLAGS image: its IF becomes the guest's, unless the monitor has to see to it.
  void take_interrupt_flag() {
    out_.test_immediate(Register::ecx, unusual_flags);
    interpret_later(out_.jump_if(not_zero, 0));
    out_.and_immediate(Register::ecx, eflags::interrupt);
    out_.test_page(cpu_page_offset::interrupt_pending, Register::ecx);
    interpret_later(out_.jump_if(not_zero, 0));
    out_.store_to_page(cpu_page_offset::interrupt_flag, Register::ecx);
  }

  // To the same code segment, which is what a kernel interrupted in itself goes back to; all else
  // is the monitor's. All three words are read before anything changes, and no flag before the
  // segment is known.
  Flow interrupt_return() {
    constexpr std::uint8_t jump_size = 5;
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    out_.store_to_page(cpu_page_offset::saved_edx, Register::edx);
    out_.load_stack(Register::ecx, 8);
    point(PointState::borrowed_ecx);
    out_.load_stack(Register::ecx, 0);
    out_.load_stack(Register::ecx, 4);
    out_.load_from_page(Register::edx, cpu_page_offset::minus_selector(Segment::cs));
    point(PointState::borrowed_ecx_edx);
    out_.zero_extend_word(Register::ecx, Register::ecx);
    out_.lea(Register::ecx, Register::ecx, Register::edx, 0);
    out_.load_from_page(Register::edx, cpu_page_offset::saved_edx);
    point(PointState::borrowed_ecx);
    out_.jump_if_ecx_zero(jump_size);
    interpret_later(out_.jump(0));
    out_.load_stack(Register::ecx, 8);
    take_interrupt_flag();
    out_.load_stack(Register::ecx, 0);
    out_.drop_stack(8);
    out_.byte(0x9d);
    look_up_target();
    return Flow::away;
  }

  Flow read_selector() {
    point(start_state());
    if (instruction_.operand_size == 2) out_.byte(0x66);
    out_.load_from_page(static_cast<Register>(instruction_.rm()),
                        cpu_page_offset::selector(instruction_.segment_register));
    return Flow::next;
  }

  // Exits stand behind the trace, out of the way of what falls through.
  struct Exit {
    std::uint32_t place;  // of the displacement that goes there
    std::uint32_t eip;
    ExitKind kind;
  };
  void exit_later(std::uint32_t place, ExitKind kind, std::uint32_t eip) {
    exits_[exit_count_++] = {place, eip, kind};
  }
  // Gives ECX back and leaves the present instruction to the interpreter.
  void interpret_later(std::uint32_t place) { exit_later(place, ExitKind::interpret, here()); }

  void emit_exits() {
    for (unsigned n = 0; n < exit_count_; ++n) {
      const Exit& e = exits_[n];
      if (e.kind == ExitKind::branch) {
        if (const auto known = known_target(e.eip)) {
          out_.land_at(e.place, *known);
          continue;
        }
      }
      out_.land_at(e.place, out_.here());
      if (e.kind == ExitKind::interpret) {
        out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
      }
      exit(e.kind);
      out_.word(e.eip);
      if (e.kind == ExitKind::branch) out_.word(e.place);
    }
  }

  TranslatedTrace& trace_;
  Assembler<TranslatedTrace::code_capacity>& out_;
  std::span<const std::uint8_t> bytes_;
  std::uint32_t end_;  // no instruction begins from here on
  std::uint32_t eip_;
  const TranslationTargets& targets_;
  const KnownBlocks& known_;
  unsigned most_instructions_;
  Instruction instruction_{};
  unsigned offset_ = 0;         // of the present instruction
  bool shadowed_ = false;       // it follows STI
  bool run_continues_ = false;  // the last point still describes what comes
  std::array<Exit, 96> exits_;
  unsigned exit_count_ = 0;
};

}  // namespace

void translate_trace(TranslatedTrace& trace, std::span<const std::uint8_t> bytes,
                     std::uint32_t first_bytes, std::uint32_t eip,
                     const TranslationTargets& targets, const KnownBlocks& known,
                     unsigned most_instructions) {
  TraceTranslator(trace, bytes, first_bytes, eip, targets, known, most_instructions).run();
}

}  // namespace undercroft
