// Arithmetic and logic on registers and memory: operands in, arithmetic.hpp, operands and flags
// out.
#include "decimal.hpp"
#include "execution.hpp"

namespace undercroft::execute {

namespace {

using undercroft::arithmetic::Outcome;
namespace math = undercroft::arithmetic;

// destination = destination op source, flags.
template <class F>
Guarded<Done> binary(Execution& x, F operation) {
  const Operand& destination = x.operand(0);
  const std::uint32_t source = TRY(x.read(x.operand(1)));
  const Execution::Opened old = TRY(x.open(destination));
  const Outcome outcome = operation(old.value, source, destination.width);
  TRY(x.close(destination, old, outcome.value));
  x.set_flags(outcome.flags);
  return Done{};
}

// CMP and TEST: flags only.
template <class F>
Guarded<Done> compare(Execution& x, F operation) {
  const std::uint32_t a = TRY(x.read(x.operand(0)));
  const std::uint32_t b = TRY(x.read(x.operand(1)));
  x.set_flags(operation(a, b, x.operand(0).width).flags);
  return Done{};
}

template <class F>
Guarded<Done> unary(Execution& x, std::uint32_t which, F operation) {
  const Operand& destination = x.operand(0);
  const Execution::Opened old = TRY(x.open(destination));
  const Outcome outcome = operation(old.value, destination.width);
  TRY(x.close(destination, old, outcome.value));
  x.set_flags(outcome.flags, which);
  return Done{};
}

Outcome subtract(std::uint32_t a, std::uint32_t b, unsigned width) {
  return math::subtract(a, b, 0, width);
}

}  // namespace

Guarded<Done> arithmetic(Execution& x) {
  const std::uint32_t carry = x.vcpu.eflags & eflags::carry;
  constexpr std::uint32_t all_but_carry = eflags::arithmetic & ~eflags::carry;
  switch (x.instruction.operation) {
    case Operation::add:
      return binary(x, [](auto a, auto b, unsigned w) { return math::add(a, b, 0, w); });
    case Operation::adc:
      return binary(x, [=](auto a, auto b, unsigned w) { return math::add(a, b, carry, w); });
    case Operation::sub:
      return binary(x, subtract);
    case Operation::sbb:
      return binary(x, [=](auto a, auto b, unsigned w) { return math::subtract(a, b, carry, w); });
    case Operation::and_:
      return binary(x, [](auto a, auto b, unsigned w) { return math::logic(a & b, w); });
    case Operation::or_:
      return binary(x, [](auto a, auto b, unsigned w) { return math::logic(a | b, w); });
    case Operation::xor_:
      return binary(x, [](auto a, auto b, unsigned w) { return math::logic(a ^ b, w); });
    case Operation::cmp:
      return compare(x, subtract);
    case Operation::test:
      return compare(x, [](auto a, auto b, unsigned w) { return math::logic(a & b, w); });
    case Operation::inc:
      return unary(x, all_but_carry, math::increment);
    case Operation::dec:
      return unary(x, all_but_carry, math::decrement);
    case Operation::neg:
      return unary(x, eflags::arithmetic,
                   [](auto a, unsigned w) { return math::subtract(0, a, 0, w); });
    case Operation::not_:
      return unary(x, 0, [](auto a, unsigned w) { return Outcome{~a & math::mask(w), 0}; });
    default:
      return x.unknown();
  }
}

Guarded<Done> multiply(Execution& x) {
  const Instruction& i = x.instruction;
  if (i.operation == Operation::imul && i.operands[1].kind != OperandKind::none) {
    // Two and three operand forms: the product is cut to the destination's width.
    const bool three = i.operands[2].kind != OperandKind::none;
    const unsigned width = i.operands[0].width;
    const std::uint32_t a = TRY(x.read(x.operand(three ? 1 : 0)));
    const std::uint32_t b = TRY(x.read(x.operand(three ? 2 : 1)));
    const math::Product product = math::multiply_signed(a, b, width);
    x.set_flags(product.flags);
    return x.write(x.operand(0), product.low);
  }
  const unsigned width = i.operands[0].width;
  const std::uint32_t source = TRY(x.read(x.operand(0)));
  // The wide operand is AX, DX:AX or EDX:EAX.
  const std::uint32_t low = x.accumulator(width);
  const std::uint32_t high = width == 1 ? x.register_value(4, 1) : x.register_value(2, width);
  const auto set_wide = [&](std::uint32_t new_low, std::uint32_t new_high) {
    x.set_accumulator(new_low, width);
    x.set_register(width == 1 ? 4 : 2, new_high, width);
  };
  if (i.operation == Operation::mul || i.operation == Operation::imul) {
    const math::Product product = i.operation == Operation::mul
                                      ? math::multiply(low, source, width)
                                      : math::multiply_signed(low, source, width);
    set_wide(product.low, product.high);
    x.set_flags(product.flags);
    return Done{};
  }
  const std::uint64_t dividend = std::uint64_t{high} << math::bits(width) | low;
  const auto result = i.operation == Operation::div ? math::divide(dividend, source, width)
                                                    : math::divide_signed(dividend, source, width);
  if (!result) return Failure{Exception::without_code(Vector::divide_error)};
  set_wide(result->quotient, result->remainder);
  return Done{};
}

Guarded<Done> decimal(Execution& x) {
  const std::uint32_t ax = x.accumulator(2);
  const std::uint32_t flags = x.vcpu.eflags;
  const auto set = [&x](const Outcome& outcome, unsigned width) {
    x.set_accumulator(outcome.value, width);
    x.set_flags(outcome.flags);
    return Done{};
  };
  switch (x.instruction.operation) {
    case Operation::daa:
      return set(math::decimal_adjust(ax & 0xff, flags, false), 1);
    case Operation::das:
      return set(math::decimal_adjust(ax & 0xff, flags, true), 1);
    case Operation::aaa:
      return set(math::ascii_adjust(ax, flags, false), 2);
    case Operation::aas:
      return set(math::ascii_adjust(ax, flags, true), 2);
    case Operation::aad:
      return set(math::ascii_adjust_divide(ax, x.instruction.immediate & 0xff), 2);
    case Operation::aam: {
      const auto outcome = math::ascii_adjust_multiply(ax & 0xff, x.instruction.immediate & 0xff);
      if (!outcome) return Failure{Exception::without_code(Vector::divide_error)};
      return set(*outcome, 2);
    }
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
