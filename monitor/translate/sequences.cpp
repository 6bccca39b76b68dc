#include "sequences.hpp"

namespace undercroft {
namespace {

// Flags that POPF and IRET must leave to the monitor when they are set; of IOPL, when it is
// another.
constexpr std::uint32_t unusual_flags = eflags::trap | eflags::iopl | eflags::nested_task |
                                        eflags::alignment_check | eflags::virtual_8086 |
                                        eflags::resume;
constexpr unsigned not_zero = 5;  // the condition of JNZ
constexpr std::uint8_t jump_size = 5;

}  // namespace

void Sequences::set_instruction(const Instruction& instruction,
                                std::span<const std::uint8_t> bytes) {
  instruction_ = &instruction;
  bytes_ = bytes;
}

// A run of copies needs one point only, if nothing stands between them.
void Sequences::copy() {
  if (!writer_.run_continues() || shadowed_) start_point();
  writer_.set_run_continues(!shadowed_);
  out_.bytes(bytes_);
}

// CMPXCHG8B under QEMU 7.2's TCG takes the flags it should keep from what was last computed, if
// nothing has made it compute them since, and puts garbage there, DF and VM included. Each branch
// makes it compute them.
void Sequences::copy_with_settled_flags() {
  constexpr std::uint8_t jump_short = 0xeb;
  start_point();
  out_.byte(jump_short);
  out_.byte(0);
  start_point();
  writer_.set_run_continues(!shadowed_);
  out_.bytes(bytes_);
}

void Sequences::push_return_address() {
  start_point();
  out_.push(next());
  writer_.point(PointState::atomic);
}

// LOOP and JECXZ reach 127 bytes only: they go over the jump that falls through.
void Sequences::count_down() {
  start_point();
  if (instruction_->address_size_prefix) out_.byte(0x67);
  out_.byte(instruction_->opcode & 0xff);
  out_.byte(jump_size);
  writer_.point(PointState::atomic);
  out_.jump(out_.here() + 2 * jump_size);
}

void Sequences::return_near() {
  start_point();
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  writer_.point(PointState::atomic);
  out_.pop(Register::ecx);
  writer_.point(PointState::borrowed_ecx);
  if (instruction_->immediate) out_.drop_stack(instruction_->immediate);
  look_up_target();
}

void Sequences::indirect_branch(bool call) {
  start_point();
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  writer_.point(PointState::atomic);
  load_operand_to_ecx();
  writer_.point(PointState::borrowed_ecx);
  if (call) out_.push(next());
  look_up_target();
}

// mov ecx, <the instruction's r/m operand>
void Sequences::load_operand_to_ecx() {
  if (instruction_->segment_override) out_.byte(override_prefix());
  if (instruction_->address_size_prefix) out_.byte(0x67);
  out_.byte(0x8b);
  out_.byte((instruction_->modrm & 0xc7) | static_cast<unsigned>(Register::ecx) << 3);
  out_.bytes(bytes_.subspan(instruction_->modrm_offset + 1u));
}

std::uint32_t Sequences::override_prefix() const {
  constexpr std::uint8_t prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
  return prefixes[static_cast<unsigned>(*instruction_->segment_override)];
}

// ECX holds the guest's target. The table has the landing of the last block with these 16 bits,
// which compares the whole address (see emit_landing).
void Sequences::look_up_target() {
  out_.store_to_page(cpu_page_offset::saved_eax, Register::eax);
  out_.zero_extend_word(Register::eax, Register::ecx);
  writer_.point(PointState::borrowed_eax_ecx);
  if (writer_.targets().level == CodeLevel::user) {
    out_.lea(Register::eax, Register::eax, user_mark);
    out_.jump_by_table(writer_.targets().jump_table - user_mark * 4);
  } else {
    out_.jump_by_table(writer_.targets().jump_table);
  }
}

// The shadow follows the guest's tables at each write, but the software TLB may hold pages of
// tables that have no shadow.
void Sequences::invalidate_page() {
  start_point();
  out_.store_byte_to_page(cpu_page_offset::page_invalidated, 1);
}

void Sequences::clear_interrupt_flag() {
  start_point();
  out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, 0);
}

// An interrupt that waits needs the monitor, which also keeps the shadow; otherwise IF rises here,
// and what comes later finds the next boundary by itself.
void Sequences::set_interrupt_flag() {
  start_point();
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  writer_.point(PointState::borrowed_ecx);
  out_.load_from_page(Register::ecx, cpu_page_offset::interrupt_pending);
  out_.jump_if_ecx_zero(jump_size);
  writer_.interpret_later(out_.jump(0));
  out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
  writer_.point(PointState::atomic);
  out_.store_byte_to_page(cpu_page_offset::interrupt_flag + 1, eflags::interrupt >> 8);
}

// The processor's IF is always set while a guest runs and its IOPL, NT and TF are clear; so are the
// guest's NT and TF here (the monitor interprets otherwise), and a sum gives the image.
void Sequences::push_flags() {
  start_point();
  out_.byte(0x9c);
  writer_.point(PointState::pushed);
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  out_.store_to_page(cpu_page_offset::saved_edx, Register::edx);
  writer_.point(PointState::pushed_borrowed_ecx_edx);
  out_.load_stack(Register::ecx, 0);
  out_.load_from_page(Register::edx, cpu_page_offset::interrupt_flag);
  out_.lea(Register::ecx, Register::ecx, Register::edx, -eflags::interrupt);
  out_.load_from_page(Register::edx, cpu_page_offset::io_privilege);
  out_.lea(Register::ecx, Register::ecx, Register::edx, 0);
  out_.store_top(Register::ecx);
  out_.load_from_page(Register::edx, cpu_page_offset::saved_edx);
  out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
}

// The flags are dead once the stack has been read: POPF replaces them all.
void Sequences::pop_flags() {
  start_point();
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  writer_.point(PointState::atomic);
  out_.load_stack(Register::ecx, 0);
  writer_.point(PointState::borrowed_ecx);
  take_interrupt_flag();
  out_.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
  writer_.point(PointState::atomic);
  out_.byte(0x9d);
}

// ECX holds an EFLAGS image: its IF becomes the guest's, unless the monitor has to see to it.
void Sequences::take_interrupt_flag() {
  out_.xor_from_page(Register::ecx, cpu_page_offset::io_privilege);
  out_.test_immediate(Register::ecx, unusual_flags);
  writer_.interpret_later(out_.jump_if(not_zero, 0));
  out_.and_immediate(Register::ecx, eflags::interrupt);
  out_.test_page(cpu_page_offset::interrupt_pending, Register::ecx);
  writer_.interpret_later(out_.jump_if(not_zero, 0));
  out_.store_to_page(cpu_page_offset::interrupt_flag, Register::ecx);
}

// Goes on if ECX and EDX add up to 0; EDX is given back.
void Sequences::expect_zero_sum() {
  out_.lea(Register::ecx, Register::ecx, Register::edx, 0);
  out_.load_from_page(Register::edx, cpu_page_offset::saved_edx);
  writer_.point(PointState::borrowed_ecx);
  out_.jump_if_ecx_zero(jump_size);
  writer_.interpret_later(out_.jump(0));
}

// Half of the descriptor in the guest's table, which is read where the processor reads it.
void Sequences::expect_descriptor_word(std::uint8_t displacement, std::uint32_t minus_word) {
  out_.load_from_page(Register::edx, cpu_page_offset::code_descriptor);
  writer_.point(PointState::borrowed_ecx_edx);
  out_.load_by_stack_segment(Register::ecx, Register::edx, displacement);
  out_.load_from_page(Register::edx, minus_word);
  expect_zero_sum();
}

// To the same code segment, which is what a kernel interrupted in itself goes back to, if its
// descriptor is still the same; all else is the monitor's. All three words are read before anything
// changes, and no flag before the segment is known.
void Sequences::interrupt_return() {
  start_point();
  out_.store_to_page(cpu_page_offset::saved_ecx, Register::ecx);
  writer_.point(PointState::atomic);
  out_.store_to_page(cpu_page_offset::saved_edx, Register::edx);
  out_.load_stack(Register::ecx, 8);
  writer_.point(PointState::borrowed_ecx);
  out_.load_stack(Register::ecx, 0);
  out_.load_stack(Register::ecx, 4);
  out_.load_from_page(Register::edx, cpu_page_offset::minus_code_selector);
  writer_.point(PointState::borrowed_ecx_edx);
  out_.zero_extend_word(Register::ecx, Register::ecx);
  expect_zero_sum();
  expect_descriptor_word(0, cpu_page_offset::minus_code_low);
  expect_descriptor_word(4, cpu_page_offset::minus_code_high);
  out_.load_stack(Register::ecx, 8);
  take_interrupt_flag();
  out_.load_stack(Register::ecx, 0);
  out_.drop_stack(8);
  out_.byte(0x9d);
  look_up_target();
}

void Sequences::read_selector() {
  start_point();
  if (instruction_->operand_size == 2) out_.byte(0x66);
  out_.load_from_page(static_cast<Register>(instruction_->rm()),
                      cpu_page_offset::selector(instruction_->segment_register));
}

void Sequences::push_selector() {
  start_point();
  out_.push_from_page(cpu_page_offset::selector(instruction_->segment_register));
}

}  // namespace undercroft
