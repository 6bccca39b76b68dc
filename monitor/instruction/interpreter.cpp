#include "interpreter.hpp"

#include <array>

#include "decoder.hpp"
#include "execution.hpp"

namespace undercroft {

namespace {

using Handler = Guarded<Done> (*)(Execution&);

// The family of each operation. No default: the compiler finds an operation without one.
constexpr Handler handler_of(Operation operation) {
  switch (operation) {
    case Operation::add:
    case Operation::or_:
    case Operation::adc:
    case Operation::sbb:
    case Operation::and_:
    case Operation::sub:
    case Operation::xor_:
    case Operation::cmp:
    case Operation::inc:
    case Operation::dec:
    case Operation::not_:
    case Operation::neg:
    case Operation::test:
      return execute::arithmetic;
    case Operation::rol:
    case Operation::ror:
    case Operation::rcl:
    case Operation::rcr:
    case Operation::shl:
    case Operation::shr:
    case Operation::sal:
    case Operation::sar:
    case Operation::shld:
    case Operation::shrd:
      return execute::shift;
    case Operation::mul:
    case Operation::imul:
    case Operation::div:
    case Operation::idiv:
      return execute::multiply;
    case Operation::bt:
    case Operation::bts:
    case Operation::btr:
    case Operation::btc:
    case Operation::bsf:
    case Operation::bsr:
    case Operation::bswap:
    case Operation::popcnt:
    case Operation::crc32:
      return execute::bits;
    case Operation::daa:
    case Operation::das:
    case Operation::aaa:
    case Operation::aas:
    case Operation::aam:
    case Operation::aad:
      return execute::decimal;
    case Operation::cbw:
    case Operation::cwd:
    case Operation::mov:
    case Operation::movzx:
    case Operation::movsx:
    case Operation::lea:
    case Operation::xchg:
    case Operation::xadd:
    case Operation::cmpxchg:
    case Operation::cmpxchg8b:
    case Operation::cmovcc:
    case Operation::setcc:
    case Operation::xlat:
    case Operation::movbe:
    case Operation::movnti:
    case Operation::salc:
    case Operation::nop:
    case Operation::pause:
    case Operation::prefetch:
    case Operation::fence:
    case Operation::clflush:
      return execute::move;
    case Operation::push:
    case Operation::pop:
    case Operation::pusha:
    case Operation::popa:
    case Operation::enter:
    case Operation::leave:
      return execute::stack;
    case Operation::movs:
    case Operation::cmps:
    case Operation::stos:
    case Operation::lods:
    case Operation::scas:
    case Operation::ins:
    case Operation::outs:
      return execute::string;
    case Operation::in:
    case Operation::out:
      return execute::port;
    case Operation::lahf:
    case Operation::sahf:
    case Operation::clc:
    case Operation::stc:
    case Operation::cmc:
    case Operation::cld:
    case Operation::std_:
    case Operation::pushf:
    case Operation::popf:
    case Operation::cli:
    case Operation::sti:
      return execute::flags;
    case Operation::jcc:
    case Operation::jcxz:
    case Operation::loop:
    case Operation::loope:
    case Operation::loopne:
    case Operation::jmp_near:
    case Operation::call_near:
    case Operation::ret_near:
    case Operation::bound:
      return execute::branch;
    case Operation::arpl:
    case Operation::jmp_far:
    case Operation::call_far:
    case Operation::ret_far:
    case Operation::iret:
    case Operation::int_:
    case Operation::int3:
    case Operation::int1:
    case Operation::into:
    case Operation::sysenter:
    case Operation::sysexit:
    case Operation::mov_from_segment:
    case Operation::mov_to_segment:
    case Operation::push_segment:
    case Operation::pop_segment:
    case Operation::load_far_pointer:
    case Operation::sldt:
    case Operation::str:
    case Operation::lldt:
    case Operation::ltr:
    case Operation::lar:
    case Operation::lsl:
    case Operation::verr:
    case Operation::verw:
      return execute::segment;
    case Operation::sgdt:
    case Operation::sidt:
    case Operation::lgdt:
    case Operation::lidt:
    case Operation::smsw:
    case Operation::lmsw:
    case Operation::clts:
    case Operation::mov_from_cr:
    case Operation::mov_to_cr:
    case Operation::mov_from_dr:
    case Operation::mov_to_dr:
      return execute::table;
    case Operation::hlt:
    case Operation::invd:
    case Operation::wbinvd:
    case Operation::invlpg:
    case Operation::rdmsr:
    case Operation::wrmsr:
    case Operation::rdtsc:
    case Operation::rdtscp:
    case Operation::rdpmc:
    case Operation::cpuid:
    case Operation::rsm:
    case Operation::monitor:
    case Operation::mwait:
    case Operation::xgetbv:
    case Operation::xsetbv:
    case Operation::undefined:
    case Operation::invalid:
      return execute::processor;
    case Operation::fpu:
    case Operation::fpu_environment:
    case Operation::fwait:
    case Operation::mmx:
    case Operation::sse:
    case Operation::fxsave:
    case Operation::fxrstor:
      return execute::native;
  }
  return execute::processor;
}

constexpr unsigned operation_count = static_cast<unsigned>(Operation::undefined) + 1;
constexpr auto handlers = [] {
  std::array<Handler, operation_count> table{};
  for (unsigned i = 0; i < operation_count; ++i) table[i] = handler_of(static_cast<Operation>(i));
  return table;
}();

using Kind = StepOutcome::Kind;

StepOutcome raised(const Exception& exception, const Instruction* instruction) {
  StepOutcome outcome;
  outcome.kind = Kind::exception;
  outcome.exception = exception;
  outcome.instruction = instruction;
  return outcome;
}

// What the instruction asked for instead of retiring; nothing of the Vcpu has changed.
void hand_over(const Execution& x, StepOutcome& outcome) {
  outcome.kind = Kind::unsupported;
  if (!x.software_event) return;
  outcome.kind = Kind::software_event;
  outcome.event = {x.event_kind, {}, x.event_vector, x.next_eip, 0};
}

// What the instruction has decided, made true: EIP, RF, the shadow, HLT.
void commit(Execution& x, StepOutcome& outcome) {
  Vcpu& vcpu = x.vcpu;
  vcpu.interrupt_shadow = x.shadow;
  if (x.unfinished) [[unlikely]] {
    outcome.kind = Kind::unfinished;
    vcpu.eflags |= eflags::resume;
    return;
  }
  if (!x.transferred) vcpu.eip = x.next_eip;
  if (!x.keep_resume) vcpu.eflags &= ~eflags::resume;
  outcome.task_trap = x.task_trap;
  if (x.halts) {
    outcome.kind = Kind::halted;
    vcpu.halted = true;
  }
}

}  // namespace

StepOutcome Interpreter::execute(Vcpu& vcpu, const Instruction& instruction) {
  const bool trap = vcpu.eflags & eflags::trap;
  Execution x{vcpu, memory_, environment_, instruction, vcpu.eip + instruction.length};
  const Guarded<Done> done = handlers[static_cast<unsigned>(instruction.operation)](x);
  if (!done.ok()) [[unlikely]]
    return raised(done.error(), &instruction);
  StepOutcome outcome;
  outcome.instruction = &instruction;
  if (x.software_event || x.unsupported) [[unlikely]] {
    hand_over(x, outcome);
    return outcome;
  }
  commit(x, outcome);
  outcome.single_step = trap && x.shadow != InterruptShadow::mov_ss;
  return outcome;
}

StepOutcome Interpreter::step(Vcpu& vcpu) {
  const Instruction* instruction = fetch_and_decode(vcpu);
  if (!instruction) [[unlikely]]
    return raised(failure_, nullptr);
  return execute(vcpu, *instruction);
}

// The first attempt stays within the page, so that the next one is not touched (its accessed bit,
// its fault) unless the instruction reaches into it. Every byte has to lie within the limit of CS.
const Instruction* Interpreter::fetch_and_decode(const Vcpu& vcpu) {
  const DescriptorCache& cs = vcpu[Segment::cs];
  const std::uint32_t eip = vcpu.eip;
  const Privilege privilege = vcpu.cpl == 3 ? Privilege::user : Privilege::supervisor;
  if (eip > cs.limit) return fail(Exception::general_protection());
  const std::uint32_t left = cs.limit == ~0u ? ~0u : cs.limit - eip + 1;
  const unsigned allowed = left < longest_instruction ? left : longest_instruction;
  const GuestLinear address(cs.base + eip);
  const bool is_32_bit = cs.is_32_bit();
  Decoded& entry = cache_[address.value() % cached_instructions];
  const unsigned length = entry.instruction.length;
  if (length != 0 && length <= allowed && entry.is_32_bit == is_32_bit &&
      memory_.is_code(address, std::span(entry.code).first(length), privilege)) [[likely]] {
    return &entry.instruction;
  }

  const unsigned in_page = page_size - address.page_offset();
  const unsigned at_first = in_page < allowed ? in_page : allowed;
  std::array<std::uint8_t, longest_instruction> code{};
  const std::span<std::uint8_t> bytes(code);
  const Guarded<unsigned> fetched = memory_.fetch(address, bytes.first(at_first), privilege);
  if (!fetched.ok()) [[unlikely]]
    return fail(fetched.error());
  unsigned count = fetched.value();

  auto decoded = decode(std::span<const std::uint8_t>(bytes.first(count)), is_32_bit);
  if (!decoded.ok() && decoded.error() == DecodeError::truncated && count < allowed) {
    const auto rest =
        memory_.fetch(address + count, bytes.subspan(count, allowed - count), privilege);
    if (!rest.ok()) return fail(rest.error());
    count += rest.value();
    decoded = decode(std::span<const std::uint8_t>(bytes.first(count)), is_32_bit);
  }
  if (decoded.ok()) {
    entry.code = code;
    entry.is_32_bit = is_32_bit;
    entry.instruction = decoded.value();
    return &entry.instruction;
  }
  // Truncated with nothing more allowed: cut off by the limit of CS.
  const bool undefined = decoded.error() == DecodeError::undefined;
  return fail(undefined ? Exception::invalid_opcode() : Exception::general_protection());
}

}  // namespace undercroft
