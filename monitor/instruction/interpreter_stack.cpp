// The stack instructions and near branches. The stack's address size is SS.B's; the size of what is
// pushed is the operand size.
#include "execution.hpp"

namespace undercroft::execute {

namespace {

namespace math = undercroft::arithmetic;

Guarded<Done> pop(Execution& x) {
  const unsigned size = x.operand(0).width;
  const std::uint32_t value = TRY(x.peek(0, size));
  const std::uint32_t old_esp = x.vcpu[Register::esp];
  // ESP is raised before the destination's address is computed (SDM volume 2, POP), and a popped
  // ESP wins over the raised one.
  x.set_stack_pointer(x.stack_pointer() + size);
  const Guarded<Done> written = x.write(x.operand(0), value);
  if (!written.ok()) x.vcpu[Register::esp] = old_esp;
  return written;
}

Guarded<Done> push_all(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  for (unsigned i = 0; i < 8; ++i) TRY(x.probe_stack(0 - (i + 1) * size, size));
  // EAX first, at the highest address; the ESP pushed is the one before the instruction.
  for (unsigned i = 0; i < 8; ++i) {
    TRY(x.poke(0 - (i + 1) * size, x.register_value(i, size), size));
  }
  x.set_stack_pointer(x.stack_pointer() - 8 * size);
  return Done{};
}

Guarded<Done> pop_all(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  constexpr unsigned esp = static_cast<unsigned>(Register::esp);
  std::array<std::uint32_t, 8> values{};
  for (unsigned i = 0; i < 8; ++i) {
    values[7 - i] = TRY(x.peek(i * size, size));  // ESP's slot is read too, then skipped
  }
  for (unsigned i = 0; i < 8; ++i) {
    if (i != esp) x.set_register(i, values[i], size);
  }
  x.set_stack_pointer(x.stack_pointer() + 8 * size);
  return Done{};
}

// SDM volume 2, ENTER. Registers change only when all is written; what is written before a fault
// lies below the stack pointer. Last comes a check that the new stack top can be written.
Guarded<Done> enter(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const std::uint32_t locals = x.instruction.immediate & 0xffff;
  const unsigned level = x.instruction.second_immediate & 31;
  // Where the saved EBP goes: ESP after the first push.
  const std::uint32_t frame =
      (x.vcpu[Register::esp] & ~x.stack_mask()) | ((x.stack_pointer() - size) & x.stack_mask());
  const unsigned pushed = size * (1 + level);
  const std::uint32_t ebp = x.vcpu[Register::ebp];
  TRY(x.poke(0 - size, ebp, size));
  // The outer frames' pointers are copied, then this frame's own.
  for (unsigned i = 1; i < level; ++i) {
    const std::uint32_t offset = (ebp - i * size) & x.stack_mask();
    const std::uint32_t outer = TRY(x.load(Segment::ss, offset, size));
    TRY(x.poke(0 - (1 + i) * size, outer, size));
  }
  if (level > 0) TRY(x.poke(0 - (1 + level) * size, frame, size));
  TRY(x.probe_stack(0 - pushed - locals, size));
  x.set_register(5, frame, size);
  x.set_stack_pointer(x.stack_pointer() - pushed - locals);
  return Done{};
}

Guarded<Done> leave(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const std::uint32_t frame = x.vcpu[Register::ebp] & x.stack_mask();
  const std::uint32_t saved = TRY(x.load(Segment::ss, frame, size));
  x.set_stack_pointer(frame + size);
  x.set_register(5, saved, size);
  return Done{};
}

}  // namespace

Guarded<Done> stack(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::push:
      return x.push(TRY(x.read(x.operand(0))), x.instruction.operand_size);
    case Operation::pop:
      return pop(x);
    case Operation::pusha:
      return push_all(x);
    case Operation::popa:
      return pop_all(x);
    case Operation::enter:
      return enter(x);
    case Operation::leave:
      return leave(x);
    default:
      return x.unknown();
  }
}

namespace {

Guarded<std::uint32_t> near_target(Execution& x) {
  if (x.operand(0).kind != OperandKind::relative) return x.read(x.operand(0));
  return x.instruction.branch_target(x.vcpu.eip);
}

Guarded<Done> call(Execution& x) {
  const std::uint32_t return_eip = x.next_eip;
  const std::uint32_t target = TRY(near_target(x));
  TRY(x.branch(target));
  return x.push(return_eip, x.instruction.operand_size);
}

Guarded<Done> ret(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const std::uint32_t target = TRY(x.peek(0, size));
  TRY(x.branch(target));
  const bool releases = x.operand(0).kind == OperandKind::immediate;
  x.set_stack_pointer(x.stack_pointer() + size + (releases ? x.instruction.immediate & 0xffff : 0));
  return Done{};
}

// LOOP, LOOPE, LOOPNE: the count register has the address size.
Guarded<Done> loop(Execution& x) {
  const Operation operation = x.instruction.operation;
  const std::uint32_t mask = x.address_mask();
  const std::uint32_t count = (x.vcpu[Register::ecx] - 1) & mask;
  const bool zero = x.flag(eflags::zero);
  const bool taken =
      count != 0 && (operation == Operation::loop || zero == (operation == Operation::loope));
  if (taken) TRY(x.branch(x.instruction.branch_target(x.vcpu.eip)));
  x.set_register(1, count, x.instruction.address_size);
  return Done{};
}

Guarded<Done> bound(Execution& x) {
  const unsigned size = x.operand(0).width;
  const auto value = [size](std::uint32_t raw) {
    return static_cast<std::int32_t>(math::sign_extend(raw, size));
  };
  const std::int32_t index = value(TRY(x.read(x.operand(0))));
  const Segment segment = x.instruction.segment;
  const std::int32_t lower = value(TRY(x.load(segment, x.memory_offset(), size)));
  const std::int32_t upper = value(TRY(x.load(segment, x.memory_offset(size), size)));
  if (index < lower || index > upper) {
    return Failure{Exception::without_code(Vector::bound_range)};
  }
  return Done{};
}

}  // namespace

Guarded<Done> branch(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::jcc:
      if (!math::condition_holds(x.instruction.condition(), x.vcpu.eflags)) return Done{};
      return x.branch(x.instruction.branch_target(x.vcpu.eip));
    case Operation::jcxz:
      if (x.register_value(1, x.instruction.address_size) != 0) return Done{};
      return x.branch(x.instruction.branch_target(x.vcpu.eip));
    case Operation::loop:
    case Operation::loope:
    case Operation::loopne:
      return loop(x);
    case Operation::jmp_near:
      return x.branch(TRY(near_target(x)));
    case Operation::call_near:
      return call(x);
    case Operation::ret_near:
      return ret(x);
    case Operation::bound:
      return bound(x);
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
