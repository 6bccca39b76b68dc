#include "guard.hpp"

#include "../instruction/named_register.hpp"
#include "../window_layout.hpp"

namespace undercroft {
namespace {

constexpr unsigned granule_shift = 16;  // what take_high_half leaves out

// How far displacements may be from a register that has passed, and how far the additions of one
// trace may move it: together less than the slot has on either side of its user pages.
constexpr std::uint32_t reach = 0x20000;
constexpr std::uint32_t longest_step = 0x1000;
constexpr std::uint32_t bit_reach = 0x20000;  // bytes that a bit offset may reach to
constexpr std::uint32_t longest_operand = 512;
static_assert(reach + bit_reach + longest_operand + 32 * longest_step <
              window::size - window::cache_end);
static_assert(reach + bit_reach + longest_operand + 32 * longest_step < window::cpu_page);

// Window offsets T such that reading at T + n faults for n below the number of the slot's granules
// and no other n; and such that it faults for all from the number of bit_reach's on.
constexpr std::uint32_t outside_slot = window::jump_table - (window::size >> granule_shift);
constexpr std::uint32_t near_bits = window::cache_end - (2 * 8 * bit_reach >> granule_shift);
// The pages below the jump table and behind the cache are no user pages; see docs/architecture.md.
static_assert(window::native_code + page_size <= window::jump_table - page_size);
static_assert(window::cache_end - window::jump_table >= 0x10000);
static_assert(window::size - window::cache_end >= 0x10000);
// T such that reading at T + n faults for all n from the flat guard's limit to 255, and none below.
constexpr std::uint32_t from_limit(std::uint8_t limit) { return window::cache_end - limit; }

constexpr std::uint8_t bit(Register reg) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(reg));
}
constexpr std::uint8_t any_register = 0xff;

constexpr bool within(std::uint32_t value, std::uint32_t distance) {
  return value + distance <= 2 * distance;
}

constexpr PointState guarding_with(Register borrowed) {
  if (borrowed == Register::eax) return PointState::guarding_with_eax;
  return borrowed == Register::ecx ? PointState::guarding_with_ecx : PointState::guarding_with_edx;
}
constexpr std::uint32_t saved_in_page(Register borrowed) {
  if (borrowed == Register::eax) return cpu_page_offset::saved_eax;
  return borrowed == Register::ecx ? cpu_page_offset::saved_ecx : cpu_page_offset::saved_edx;
}

// One that the address does not need, and best one that the page has already.
constexpr Register register_to_borrow(const MemoryOperand& memory, std::uint8_t saved) {
  std::optional<Register> other;
  for (const Register reg : {Register::ecx, Register::edx, Register::eax}) {
    if (memory.base == reg || memory.index == reg) continue;
    if (saved & bit(reg)) return reg;
    if (!other) other = reg;
  }
  return *other;
}

constexpr std::uint8_t register_named(unsigned number, unsigned width) {
  return static_cast<std::uint8_t>(1u << (width == 1 ? number & 3 : number));
}

// The register that the first operand is, if it is one.
std::uint8_t destination(const Instruction& i) {
  const Operand& operand = i.operands[0];
  if (const auto number = named_register(i, operand)) return register_named(*number, operand.width);
  const bool memory = operand.kind == OperandKind::rm || operand.kind == OperandKind::memory;
  return memory ? 0 : any_register;
}

// The registers that may be elsewhere after the instruction, farther than a step; what is not known
// here may change all. ESP moves by a few bytes only where the stack is used.
std::uint8_t changed_registers(const Instruction& i) {
  switch (i.operation) {
    case Operation::cmp:
    case Operation::test:
    case Operation::nop:
    case Operation::bt:
    case Operation::clc:
    case Operation::stc:
    case Operation::cmc:
    case Operation::cld:
    case Operation::std_:
    case Operation::sahf:
    case Operation::pause:
    case Operation::prefetch:
    case Operation::fence:
    case Operation::push:
    case Operation::push_segment:
    case Operation::pushf:
    case Operation::popf:
    case Operation::cli:
    case Operation::sti:
      return 0;
    case Operation::inc:
    case Operation::dec:
      return i.width() == 4 ? 0 : destination(i);
    case Operation::add:
    case Operation::sub: {
      const bool step = i.width() == 4 && i.operands[1].kind == OperandKind::immediate &&
                        within(i.immediate, longest_step);
      return step ? 0 : destination(i);
    }
    case Operation::imul:
      return i.operands[1].kind == OperandKind::none ? any_register : destination(i);
    case Operation::fpu:
      return i.has_memory ? 0 : any_register;
    case Operation::or_:
    case Operation::adc:
    case Operation::sbb:
    case Operation::and_:
    case Operation::xor_:
    case Operation::rol:
    case Operation::ror:
    case Operation::rcl:
    case Operation::rcr:
    case Operation::shl:
    case Operation::shr:
    case Operation::sal:
    case Operation::sar:
    case Operation::not_:
    case Operation::neg:
    case Operation::shld:
    case Operation::shrd:
    case Operation::bts:
    case Operation::btr:
    case Operation::btc:
    case Operation::bsf:
    case Operation::bsr:
    case Operation::bswap:
    case Operation::mov:
    case Operation::movzx:
    case Operation::movsx:
    case Operation::lea:
    case Operation::cmovcc:
    case Operation::setcc:
    case Operation::pop:
      return destination(i);
    default:
      return any_register;
  }
}

// All that have another value after the instruction.
std::uint8_t written_registers(const Instruction& i) {
  switch (i.operation) {
    case Operation::inc:
    case Operation::dec:
    case Operation::add:
    case Operation::sub:
      return destination(i);
    default:
      return changed_registers(i);
  }
}

bool takes_bit_offset(const Instruction& i) {
  const bool bits = i.operation == Operation::bt || i.operation == Operation::bts ||
                    i.operation == Operation::btr || i.operation == Operation::btc;
  return bits && i.has_memory && i.operands[1].kind == OperandKind::reg && i.operand_size == 4;
}

}  // namespace

void Guard::forget() {
  passed_.fill({});
  saved_ = 0;
}

void Guard::check(const Instruction& i, PointState start) {
  start_ = start;
  if (i.accesses_data_segment()) {
    if (takes_bit_offset(i)) check_bit_offset(static_cast<Register>(i.reg()));
    if (i.has_memory)
      check_operand(i.segment, i.memory);
    else if (i.address_size == 2)
      check_offset(i.segment, 0);
    else if (i.operation == Operation::xlat)
      check_register(i.segment, Register::ebx);
    else
      check_register(i.segment, i.is_string() ? Register::esi : Register::edi);  // MASKMOVQ: EDI
  }
  if (i.accesses_es()) {
    if (i.address_size == 2)
      check_offset(Segment::es, 0);
    else
      check_register(Segment::es, Register::edi);
  }
  if (i.accesses_stack() && guards_stack_) {
    if (i.operation == Operation::enter || i.operation == Operation::leave)
      check_register(Segment::ss, Register::ebp);
    if (i.operation != Operation::leave) check_register(Segment::ss, Register::esp);
  }
}

void Guard::follow(const Instruction& i) {
  const std::uint8_t changed = changed_registers(i);
  for (Passed& passed : passed_) passed.registers &= static_cast<std::uint8_t>(~changed);
  saved_ &= static_cast<std::uint8_t>(~written_registers(i));
}

void Guard::check_operand(Segment segment, const MemoryOperand& memory) {
  if (segment == Segment::ss && !guards_stack_) return;
  if (memory.is_16_bit) return check_offset(segment, 0);  // 64 KB are within reach
  if (!memory.base && !memory.index) return check_offset(segment, memory.displacement);
  if (memory.base && !memory.index && within(memory.displacement, reach))
    return check_register(segment, *memory.base);
  emit(segment, memory);
}

void Guard::check_register(Segment segment, Register reg) {
  std::uint8_t& passed = passed_[static_cast<unsigned>(segment)].registers;
  if (passed & bit(reg)) return;
  passed |= bit(reg);
  MemoryOperand memory;
  memory.base = reg;
  emit(segment, memory);
}

void Guard::check_offset(Segment segment, std::uint32_t offset) {
  auto& passed = passed_[static_cast<unsigned>(segment)].offset;
  if (passed && within(offset - *passed, reach)) return;
  passed = offset;
  MemoryOperand memory;
  memory.displacement = offset;
  emit(segment, memory);
}

void Guard::emit(Segment segment, const MemoryOperand& memory) {
  const Register borrowed = register_to_borrow(memory, saved_);
  auto& out = writer_.out();
  begin(borrowed);
  if (const std::uint8_t limit = writer_.targets().flat_guard) {
    form_address(borrowed, memory);
    out.take_high_byte(borrowed);
    return end(borrowed, from_limit(limit));
  }
  out.load_from_page(borrowed, cpu_page_offset::guard_base(segment));
  go_on(borrowed);
  if (memory.base)
    out.lea(borrowed, *memory.base, borrowed, memory.displacement);
  else if (memory.displacement)
    out.lea(borrowed, borrowed, memory.displacement);
  if (memory.index) out.lea(borrowed, borrowed, *memory.index, 0, memory.scale);
  out.take_high_half(borrowed);
  end(borrowed, outside_slot);
}

// The operand's offset in its segment.
void Guard::form_address(Register to, const MemoryOperand& memory) {
  auto& out = writer_.out();
  if (!memory.base)
    out.move(to, memory.displacement);
  else
    out.move(to, *memory.base);
  go_on(to);
  if (memory.index)
    out.lea(to, to, *memory.index, memory.base ? memory.displacement : 0, memory.scale);
  else if (memory.base && memory.displacement)
    out.lea(to, to, memory.displacement);
}

// The bit string begins at the operand's address and goes both ways.
void Guard::check_bit_offset(Register offset) {
  const Register borrowed = offset == Register::ecx ? Register::edx : Register::ecx;
  begin(borrowed);
  writer_.out().move(borrowed, offset);
  go_on(borrowed);
  writer_.out().lea(borrowed, borrowed, 8 * bit_reach);
  writer_.out().take_high_half(borrowed);
  end(borrowed, near_bits);
}

void Guard::begin(Register borrowed) {
  writer_.set_run_continues(false);
  writer_.point(start_);
  saving_ = !(saved_ & bit(borrowed));
  if (!saving_) return;
  writer_.out().store_to_page(saved_in_page(borrowed), borrowed);
  writer_.point(guarding_with(borrowed));
  saved_ |= bit(borrowed);
}

void Guard::go_on(Register borrowed) {
  if (!saving_) writer_.point(guarding_with(borrowed));
}

void Guard::end(Register borrowed, std::uint32_t table) {
  auto& out = writer_.out();
  out.probe(borrowed, table);
  out.load_from_page(borrowed, saved_in_page(borrowed));
}

}  // namespace undercroft
