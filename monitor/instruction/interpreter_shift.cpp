// Shifts, rotates and the instructions on single bits.
#include <bit>

#include "execution.hpp"

namespace undercroft::execute {

namespace {

namespace math = undercroft::arithmetic;

constexpr std::uint32_t rotate_flags = eflags::carry | eflags::overflow;

math::Outcome shifted(Operation operation, std::uint32_t a, bool carry, unsigned count,
                      unsigned width) {
  switch (operation) {
    case Operation::rol:
      return math::rotate_left(a, count, width);
    case Operation::ror:
      return math::rotate_right(a, count, width);
    case Operation::rcl:
      return math::rotate_left_through_carry(a, carry, count, width);
    case Operation::rcr:
      return math::rotate_right_through_carry(a, carry, count, width);
    case Operation::shl:
    case Operation::sal:
      return math::shift_left(a, count, width);
    case Operation::shr:
      return math::shift_right(a, count, width);
    default:
      return math::shift_arithmetic_right(a, count, width);
  }
}

bool is_rotate(Operation operation) {
  return operation == Operation::rol || operation == Operation::ror ||
         operation == Operation::rcl || operation == Operation::rcr;
}

Guarded<Done> shift_double(Execution& x, unsigned count) {
  const Operand& destination = x.operand(0);
  const std::uint32_t fill = TRY(x.read(x.operand(1)));
  const Execution::Opened old = TRY(x.open(destination));
  if (count == 0) return x.close(destination, old, old.value);
  const math::Outcome outcome =
      x.instruction.operation == Operation::shld
          ? math::shift_left_double(old.value, fill, count, destination.width)
          : math::shift_right_double(old.value, fill, count, destination.width);
  TRY(x.close(destination, old, outcome.value));
  x.set_flags(outcome.flags);
  return Done{};
}

}  // namespace

Guarded<Done> shift(Execution& x) {
  const Operation operation = x.instruction.operation;
  const bool is_double = operation == Operation::shld || operation == Operation::shrd;
  const unsigned count = TRY(x.read(x.operand(is_double ? 2 : 1))) & 31;
  if (is_double) return shift_double(x, count);
  const Operand& destination = x.operand(0);
  // A count of 0 still writes the old value to memory, and so can fault.
  const Execution::Opened old = TRY(x.open(destination));
  if (count == 0) return x.close(destination, old, old.value);
  const math::Outcome outcome =
      shifted(operation, old.value, x.flag(eflags::carry), count, destination.width);
  TRY(x.close(destination, old, outcome.value));
  x.set_flags(outcome.flags, is_rotate(operation) ? rotate_flags : eflags::arithmetic);
  return Done{};
}

namespace {

std::uint32_t with_bit(Operation operation, std::uint32_t value, std::uint32_t bit) {
  switch (operation) {
    case Operation::bts:
      return value | bit;
    case Operation::btr:
      return value & ~bit;
    case Operation::btc:
      return value ^ bit;
    default:
      return value;
  }
}

// BT BTS BTR BTC. CF is the bit; the other flags (OF, SF, AF, PF undefined) stay.
Guarded<Done> bit_test(Execution& x) {
  const Operation operation = x.instruction.operation;
  const Operand& base = x.operand(0);
  const unsigned width = base.width;
  const std::uint32_t index = TRY(x.read(x.operand(1)));
  const std::uint32_t bit = 1u << (index & (math::bits(width) - 1));
  const bool writes = operation != Operation::bt;
  const auto finish = [&](std::uint32_t value) {
    x.set_flags(math::flag(value & bit, eflags::carry), eflags::carry);
    return Done{};
  };
  if (!x.instruction.has_memory || x.operand(1).kind == OperandKind::immediate) {
    const Execution::Opened old =
        writes ? TRY(x.open(base)) : Execution::Opened{TRY(x.read(base)), {}};
    if (writes) TRY(x.close(base, old, with_bit(operation, old.value, bit)));
    return finish(old.value);
  }
  // A register index reaches beyond the operand: a signed bit offset, in units of the operand.
  const auto signed_index = static_cast<std::int32_t>(math::sign_extend(index, width));
  const std::int32_t unit = signed_index >> (width == 4 ? 5 : 4);
  const std::uint32_t displacement = static_cast<std::uint32_t>(unit) * width;
  const GuestLinear address =
      TRY(x.memory_operand(width, writes ? Access::write : Access::read, displacement));
  if (!writes) return finish(TRY(x.memory.read(address, width, x.privilege())));
  const std::uint32_t old = TRY(x.memory.read_to_modify(address, width, x.privilege()));
  TRY(x.memory.write(address, with_bit(operation, old, bit), width, x.privilege()));
  return finish(old);
}

// BSF and BSR of 0 leave the destination as it was. ZF tells; CF, OF, SF, AF and PF are undefined:
// they stay as they were.
Guarded<Done> bit_scan(Execution& x) {
  const std::uint32_t source = TRY(x.read(x.operand(1)));
  x.set_flags(math::flag(source == 0, eflags::zero), eflags::zero);
  if (source == 0) return Done{};
  const int index = x.instruction.operation == Operation::bsf ? std::countr_zero(source)
                                                              : 31 - std::countl_zero(source);
  return x.write(x.operand(0), static_cast<std::uint32_t>(index));
}

// CRC32 (iSCSI polynomial, bit-reflected), SSE4.2.
Guarded<Done> crc32(Execution& x) {
  const Operand& source = x.operand(1);
  std::uint32_t crc = TRY(x.read(x.operand(0))) ^ TRY(x.read(source));
  for (unsigned i = 0; i < math::bits(source.width); ++i) {
    crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return x.write(x.operand(0), crc);
}

}  // namespace

Guarded<Done> bits(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::bt:
    case Operation::bts:
    case Operation::btr:
    case Operation::btc:
      return bit_test(x);
    case Operation::bsf:
    case Operation::bsr:
      return bit_scan(x);
    case Operation::bswap: {
      // With a 16-bit operand the result is undefined: processors clear the register's low half.
      const Operand& operand = x.operand(0);
      const std::uint32_t value = TRY(x.read(operand));
      return x.write(operand, operand.width == 4 ? __builtin_bswap32(value) : 0);
    }
    case Operation::popcnt: {
      const std::uint32_t source = TRY(x.read(x.operand(1)));
      x.set_flags(math::flag(source == 0, eflags::zero));
      return x.write(x.operand(0), static_cast<std::uint32_t>(std::popcount(source)));
    }
    case Operation::crc32:
      return crc32(x);
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
