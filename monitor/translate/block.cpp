// Rewriting: which guest instructions are copied, which become sequences over the virtual CPU page,
// and which leave the cache (design section 1). Every sequence either faults only while the guest
// state is that of its start, or says in its map points what has to be put back.
#include "block.hpp"

#include "../instruction/decoder.hpp"
#include "cpu_page.hpp"

namespace undercroft {
namespace {

// Bounds of one block, so that buffers and the 8-bit guest offsets hold.
constexpr unsigned longest_block_instructions = 32;
constexpr unsigned longest_block_bytes = 224;
constexpr unsigned longest_instruction = 15;

// Flags that POPF must leave to the monitor when they are set: TF, IOPL, NT, AC.
constexpr std::uint32_t unusual_flags =
    eflags::trap | eflags::iopl | eflags::nested_task | eflags::alignment_check;

class BlockTranslator {
 public:
  BlockTranslator(TranslatedBlock& block, std::span<const std::uint8_t> bytes,
                  std::uint32_t first_bytes, std::uint32_t eip, const TranslationTargets& targets)
      : block_(block),
        out_(block.assembler),
        bytes_(bytes),
        end_(first_bytes < bytes.size() ? first_bytes : static_cast<std::uint32_t>(bytes.size())),
        eip_(eip),
        targets_(targets) {}

  void run() {
    bool open = true;
    while (open) {
      if (must_end()) {
        point(PointState::boundary);
        branch_to(eip_ + offset_);
        break;
      }
      const auto decoded = decode(bytes_.subspan(offset_), true);
      if (!decoded) {
        exit_to_interpreter();
        const unsigned rest = static_cast<unsigned>(bytes_.size()) - offset_;
        count(rest < longest_instruction ? rest : longest_instruction);
        break;
      }
      instruction_ = decoded.value();
      open = translate();
      count(instruction_.length);
      shadowed_ = open && instruction_.operation == Operation::sti;
    }
    block_.guest_size = offset_;
    emit_slow_paths();
  }

 private:
  // Full, or at the end of the page; not in the shadow of STI, which covers one more instruction.
  bool must_end() const {
    if (offset_ >= end_) return true;
    return !shadowed_ && (block_.instruction_count >= longest_block_instructions ||
                          offset_ >= longest_block_bytes);
  }
  void count(unsigned length) {
    offset_ += length;
    ++block_.instruction_count;
  }
  std::uint32_t here() const { return eip_ + offset_; }
  std::uint32_t next() const { return here() + instruction_.length; }

  void point(PointState state) {
    block_.points[block_.point_count++] = {static_cast<std::uint16_t>(out_.size()),
                                           static_cast<std::uint8_t>(offset_), state};
  }
  PointState start_state() const { return shadowed_ ? PointState::shadowed : PointState::boundary; }

  // True if the block goes on behind the instruction.
  bool translate() {
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
        return exit_to_interpreter();
    }
    return exit_to_interpreter();
  }

  // GS is the monitor's and CS the cache's, so an access through the guest's is emulated.
  bool uses_reserved_segment() const {
    return instruction_.accesses_data_segment() &&
           (instruction_.segment == Segment::gs || instruction_.segment == Segment::cs);
  }

  bool copy() {
    // A run of copies needs one point only, if nothing stands between them.
    const bool continues = block_.point_count != 0 && !shadowed_ &&
                           block_.points[block_.point_count - 1].state == PointState::boundary &&
                           run_continues_;
    if (!continues) point(start_state());
    run_continues_ = !shadowed_;
    out_.bytes(bytes_.subspan(offset_, instruction_.length));
    return true;
  }

  // CMPXCHG8B under QEMU 7.2's TCG takes the flags it should keep from wherever an IRET before left
  // them, and puts garbage there, DF and VM included. CMC twice makes TCG compute them first.
  bool copy_with_settled_flags() {
    constexpr std::uint8_t cmc = 0xf5;
    point(start_state());
    out_.byte(cmc);
    point(PointState::atomic);
    out_.byte(cmc);
    point(start_state());
    run_continues_ = !shadowed_;
    out_.bytes(bytes_.subspan(offset_, instruction_.length));
    return true;
  }

  bool exit_to_interpreter() {
    point(start_state());
    exit(ExitKind::interpret);
    out_.word(here());
    return false;
  }

  void exit(ExitKind kind) {
    out_.byte(0x0f);
    out_.byte(0x0b);
    out_.byte(static_cast<std::uint32_t>(kind));
  }

  // A direct jump that starts as an exit and is chained later.
  void branch_to(std::uint32_t target) {
    const std::uint32_t place = out_.jump(out_.here() + 5);
    point(PointState::atomic);
    exit(ExitKind::branch);
    out_.word(target);
    out_.word(place);
  }

  bool translate_branch() {
    if (instruction_.operand_size == 2) return exit_to_interpreter();
    const std::uint32_t target = instruction_.branch_target(here());
    const bool direct = instruction_.operands[0].kind == OperandKind::relative;
    switch (instruction_.operation) {
      case Operation::jmp_near:
        if (!direct) return indirect_branch(false);
        point(start_state());
        branch_to(target);
        return false;
      case Operation::call_near:
        if (!direct) return indirect_branch(true);
        point(start_state());
        out_.push(next());
        point(PointState::atomic);
        branch_to(target);
        return false;
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

  bool conditional(std::uint32_t target) {
    point(start_state());
    const std::uint32_t taken = out_.jump_if(instruction_.condition(), 0);
    point_after();
    branch_to(next());
    out_.land_here(taken);
    point(PointState::atomic);
    exit(ExitKind::branch);
    out_.word(target);
    out_.word(taken);
    return false;
  }

  // LOOP and JECXZ reach 127 bytes only: over the jump that falls through.
  bool counted(std::uint32_t target) {
    constexpr std::uint32_t not_taken_size = 5 + exit_head_size + 8;
    point(start_state());
    if (instruction_.address_size_prefix) out_.byte(0x67);
    out_.byte(instruction_.opcode & 0xff);
    out_.byte(not_taken_size);
    point_after();
    branch_to(next());
    point(PointState::atomic);
    branch_to(target);
    return false;
  }

  // The guest is at the boundary behind the instruction.
  void point_after() {
    offset_ += instruction_.length;
    point(PointState::boundary);
    offset_ -= instruction_.length;
  }

  bool return_near() {
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    out_.pop(Register::ecx);
    point(PointState::borrowed_ecx);
    if (instruction_.immediate) out_.drop_stack(instruction_.immediate);
    look_up_target();
    return false;
  }

  bool indirect_branch(bool call) {
    if (instruction_.has_memory &&
        (instruction_.segment == Segment::gs || instruction_.segment == Segment::cs))
      return exit_to_interpreter();
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    load_operand_to_ecx();
    point(PointState::borrowed_ecx);
    if (call) out_.push(next());
    look_up_target();
    return false;
  }

  // mov ecx, <the instruction's r/m operand>
  void load_operand_to_ecx() {
    if (instruction_.segment_override) out_.byte(bytes_of_override());
    if (instruction_.address_size_prefix) out_.byte(0x67);
    out_.byte(0x8b);
    out_.byte((instruction_.modrm & 0xc7) | static_cast<unsigned>(Register::ecx) << 3);
    const unsigned rest = instruction_.modrm_offset + 1u;
    out_.bytes(bytes_.subspan(offset_ + rest, instruction_.length - rest));
  }
  std::uint32_t bytes_of_override() const {
    constexpr std::uint8_t prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    return prefixes[static_cast<unsigned>(*instruction_.segment_override)];
  }

  // ECX holds the guest's target. The table has the landing of the last block with these 16 bits,
  // which compares the whole address (see TranslationCache::make_landing).
  void look_up_target() {
    out_.store_to_page(cpu_page_offset::saved_eax, Register::eax);
    out_.zero_extend_word(Register::eax, Register::ecx);
    point(PointState::borrowed_eax_ecx);
    out_.jump_by_table(targets_.jump_table);
  }

  bool translate_sensitive() {
    run_continues_ = false;
    switch (instruction_.operation) {
      case Operation::cli:
        point(start_state());
        out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, 0);
        return true;
      case Operation::sti:
        return set_interrupt_flag();
      case Operation::pushf:
        return instruction_.operand_size == 4 ? push_flags() : exit_to_interpreter();
      case Operation::popf:
        return instruction_.operand_size == 4 ? pop_flags() : exit_to_interpreter();
      case Operation::mov_from_segment:
        return instruction_.has_memory ? exit_to_interpreter() : read_selector();
      case Operation::push_segment:
        if (instruction_.operand_size != 4) return exit_to_interpreter();
        point(start_state());
        out_.push_from_page(cpu_page_offset::selector(instruction_.segment_register));
        return true;
      case Operation::rdtsc:  // the guest's time stamp is the processor's
        return copy();
      default:
        return exit_to_interpreter();
    }
  }

  // An interrupt that waits needs the monitor, which also keeps the shadow; otherwise IF rises
  // here, and what comes later finds the next boundary by itself.
  bool set_interrupt_flag() {
    constexpr std::uint8_t jump_size = 5;
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::borrowed_ecx);
    out_.load_from_page(Register::ecx, cpu_page_offset::interrupt_pending);
    out_.jump_if_ecx_zero(jump_size);
    slow_path(out_.jump(0));
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    point(PointState::atomic);
    out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, eflags::interrupt >> 8);
    return true;
  }

  // The processor's IF is always set while a guest runs and its IOPL, NT and TF are clear; so are
  // the guest's own here (the monitor interprets otherwise), and a sum gives the image.
  bool push_flags() {
    point(start_state());
    out_.byte(0x9c);
    point(PointState::pushed);
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    out_.store_to_page(cpu_page_offset::saved_edx, Register::edx);
    point(PointState::pushed_borrowed_ecx_edx);
    out_.load_top(Register::ecx);
    out_.load_from_page(Register::edx, cpu_page_offset::interrupt_flag);
    out_.lea(Register::ecx, Register::ecx, Register::edx, -eflags::interrupt);
    out_.store_top(Register::ecx);
    out_.load_from_page(Register::edx, cpu_page_offset::saved_edx);
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    return true;
  }

  // The flags are dead once the stack has been read: POPF replaces them all.
  bool pop_flags() {
    constexpr unsigned not_zero = 5;
    point(start_state());
    out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
    point(PointState::atomic);
    out_.load_top(Register::ecx);
    point(PointState::borrowed_ecx);
    out_.test_immediate(Register::ecx, unusual_flags);
    slow_path(out_.jump_if(not_zero, 0));
    out_.and_immediate(Register::ecx, eflags::interrupt);
    out_.test_page(cpu_page_offset::interrupt_pending, Register::ecx);
    slow_path(out_.jump_if(not_zero, 0));
    out_.store_to_page(cpu_page_offset::interrupt_flag, Register::ecx);
    out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    point(PointState::atomic);
    out_.byte(0x9d);
    return true;
  }

  // Behind the block's end: gives ECX back and leaves the present instruction to the interpreter.
  void slow_path(std::uint32_t displacement_at) {
    slow_paths_[slow_path_count_++] = {displacement_at, offset_};
  }
  void emit_slow_paths() {
    for (unsigned i = 0; i < slow_path_count_; ++i) {
      out_.land_here(slow_paths_[i].displacement_at);
      offset_ = slow_paths_[i].guest_offset;
      point(PointState::borrowed_ecx);
      out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
      point(PointState::atomic);
      exit(ExitKind::interpret);
      out_.word(here());
    }
  }

  bool read_selector() {
    point(start_state());
    if (instruction_.operand_size == 2) out_.byte(0x66);
    out_.load_from_page(static_cast<Register>(instruction_.rm()),
                        cpu_page_offset::selector(instruction_.segment_register));
    return true;
  }

  TranslatedBlock& block_;
  Assembler<TranslatedBlock::code_capacity>& out_;
  std::span<const std::uint8_t> bytes_;
  std::uint32_t end_;  // no instruction begins from here on
  std::uint32_t eip_;
  const TranslationTargets& targets_;
  Instruction instruction_{};
  unsigned offset_ = 0;  // of the present instruction
  struct SlowPath {
    std::uint32_t displacement_at;
    unsigned guest_offset;
  };
  std::array<SlowPath, 2 * longest_block_instructions + 2> slow_paths_{};
  unsigned slow_path_count_ = 0;
  bool shadowed_ = false;       // it follows STI
  bool run_continues_ = false;  // the last point still describes what comes
};

}  // namespace

void translate_block(TranslatedBlock& block, std::span<const std::uint8_t> bytes,
                     std::uint32_t first_bytes, std::uint32_t eip,
                     const TranslationTargets& targets) {
  BlockTranslator(block, bytes, first_bytes, eip, targets).run();
}

}  // namespace undercroft
