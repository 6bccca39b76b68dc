// Data movement: MOV and its kin, exchanges, conditional moves, and the flag instructions that need
// no privilege.
#include "execution.hpp"

namespace undercroft::execute {

namespace {

namespace math = undercroft::arithmetic;

Guarded<Done> exchange(Execution& x) {
  // The memory operand, if there is one, is the first or the second: it is opened before anything.
  const bool memory_second = x.operand(1).kind == OperandKind::rm && x.instruction.has_memory;
  const Operand& first = x.operand(memory_second ? 1 : 0);
  const Operand& second = x.operand(memory_second ? 0 : 1);
  const Execution::Opened old = TRY(x.open(first));
  const std::uint32_t other = TRY(x.read(second));
  TRY(x.close(first, old, other));
  return x.write(second, old.value);
}

Guarded<Done> exchange_add(Execution& x) {
  const Operand& destination = x.operand(0);
  const Execution::Opened old = TRY(x.open(destination));
  const std::uint32_t source = TRY(x.read(x.operand(1)));
  const math::Outcome sum = math::add(old.value, source, 0, destination.width);
  // The register is written first where both are the same: the sum stays (SDM volume 2, XADD).
  if (x.instruction.has_memory) TRY(x.close(destination, old, sum.value));
  TRY(x.write(x.operand(1), old.value));
  if (!x.instruction.has_memory) TRY(x.close(destination, old, sum.value));
  x.set_flags(sum.flags);
  return Done{};
}

Guarded<Done> compare_exchange(Execution& x) {
  const Operand& destination = x.operand(0);
  const unsigned width = destination.width;
  const Execution::Opened old = TRY(x.open(destination));
  const std::uint32_t source = TRY(x.read(x.operand(1)));
  const math::Outcome difference = math::subtract(x.accumulator(width), old.value, 0, width);
  const bool equal = difference.value == 0;
  // The destination is written in either case.
  TRY(x.close(destination, old, equal ? source : old.value));
  if (!equal) x.set_accumulator(old.value, width);
  x.set_flags(difference.flags);
  return Done{};
}

Guarded<Done> compare_exchange_8_bytes(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  const GuestLinear address = TRY(x.memory_operand(8, Access::write));
  const Privilege privilege = x.privilege();
  TRY(x.memory.probe_write(address, 8, privilege));
  const std::uint32_t low = TRY(x.memory.read(address, 4, privilege));
  const std::uint32_t high = TRY(x.memory.read(address + 4, 4, privilege));
  const bool equal = low == vcpu[Register::eax] && high == vcpu[Register::edx];
  TRY(x.memory.write(address, equal ? vcpu[Register::ebx] : low, 4, privilege));
  TRY(x.memory.write(address + 4, equal ? vcpu[Register::ecx] : high, 4, privilege));
  if (!equal) {
    vcpu[Register::eax] = low;
    vcpu[Register::edx] = high;
  }
  x.set_flags(math::flag(equal, eflags::zero), eflags::zero);
  return Done{};
}

// The operand is read whether or not the condition holds.
Guarded<Done> conditional_move(Execution& x) {
  const std::uint32_t source = TRY(x.read(x.operand(1)));
  if (!math::condition_holds(x.instruction.condition(), x.vcpu.eflags)) return Done{};
  return x.write(x.operand(0), source);
}

Guarded<Done> byte_swapped_move(Execution& x) {
  const std::uint32_t value = TRY(x.read(x.operand(1)));
  const std::uint32_t swapped = __builtin_bswap32(value);
  return x.write(x.operand(0), x.operand(0).width == 4 ? swapped : swapped >> 16);
}

Guarded<Done> translate(Execution& x) {
  const std::uint32_t offset = (x.vcpu[Register::ebx] + x.accumulator(1)) & x.address_mask();
  x.set_accumulator(TRY(x.load(x.instruction.segment, offset, 1)), 1);
  return Done{};
}

// CBW and CWDE widen the accumulator; CWD and CDQ fill DX with its sign.
Guarded<Done> widen(Execution& x) {
  const unsigned width = x.instruction.operand_size;
  if (x.instruction.operation == Operation::cbw) {
    x.set_accumulator(math::sign_extend(x.accumulator(width / 2), width / 2), width);
  } else {
    const bool negative = x.accumulator(width) & math::sign_bit(width);
    x.set_register(2, negative ? ~0u : 0, width);
  }
  return Done{};
}

}  // namespace

Guarded<Done> move(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::mov:
    case Operation::movzx:
    case Operation::movnti:
      return x.write(x.operand(0), TRY(x.read(x.operand(1))));
    case Operation::movsx:
      return x.write(x.operand(0),
                     math::sign_extend(TRY(x.read(x.operand(1))), x.operand(1).width));
    case Operation::movbe:
      return byte_swapped_move(x);
    case Operation::lea:
      return x.write(x.operand(0), x.memory_offset());
    case Operation::xchg:
      return exchange(x);
    case Operation::xadd:
      return exchange_add(x);
    case Operation::cmpxchg:
      return compare_exchange(x);
    case Operation::cmpxchg8b:
      return compare_exchange_8_bytes(x);
    case Operation::cmovcc:
      return conditional_move(x);
    case Operation::setcc:
      return x.write(x.operand(0), math::condition_holds(x.instruction.condition(), x.vcpu.eflags));
    case Operation::xlat:
      return translate(x);
    case Operation::cbw:
    case Operation::cwd:
      return widen(x);
    case Operation::salc:
      x.set_accumulator(x.flag(eflags::carry) ? 0xff : 0, 1);
      return Done{};
    case Operation::nop:
    case Operation::pause:
    case Operation::prefetch:
    case Operation::fence:
      return Done{};
    case Operation::clflush: {
      // Checked as a load of one byte.
      const GuestLinear address = TRY(x.memory_operand(1, Access::read));
      TRY(x.memory.read(address, 1, x.privilege()));
      return Done{};
    }
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
