#include "execution.hpp"

#include "named_register.hpp"

namespace undercroft {

Guarded<std::uint32_t> Execution::read(const Operand& operand) const {
  switch (operand.kind) {
    case OperandKind::rm:
      if (!instruction.has_memory) return register_value(instruction.rm(), operand.width);
      [[fallthrough]];
    case OperandKind::memory:
      return load(instruction.segment, memory_offset(), operand.width);
    case OperandKind::reg:
      return register_value(instruction.reg(), operand.width);
    case OperandKind::opcode_register:
      return register_value(instruction.opcode_register(), operand.width);
    case OperandKind::accumulator:
      return accumulator(operand.width);
    case OperandKind::count:
      return register_value(1, 1);
    case OperandKind::port:
      return register_value(2, 2);
    case OperandKind::one:
      return 1;
    case OperandKind::immediate:
    case OperandKind::relative:
    case OperandKind::far_pointer:
      return instruction.immediate & arithmetic::mask(operand.width);
    case OperandKind::second_immediate:
      return std::uint32_t{instruction.second_immediate};
    case OperandKind::segment_register:
      return std::uint32_t{vcpu[instruction.segment_register].selector};
    case OperandKind::none:
    case OperandKind::control_register:
    case OperandKind::debug_register:
    case OperandKind::vector:
    case OperandKind::implicit:
      break;
  }
  // No table row has such an operand in an instruction that reads it here.
  return Failure{Exception::invalid_opcode()};
}

Guarded<Done> Execution::write(const Operand& operand, std::uint32_t value) {
  if (const auto number = named_register(instruction, operand)) {
    set_register(*number, value, operand.width);
    return Done{};
  }
  return store(instruction.segment, memory_offset(), value, operand.width);
}

Guarded<Execution::Opened> Execution::open(const Operand& operand) const {
  if (const auto number = named_register(instruction, operand)) {
    return Opened{register_value(*number, operand.width), {}};
  }
  const GuestLinear address = TRY(memory_operand(operand.width, Access::write));
  // A writable segment is readable, but for none: data segments always are.
  return Opened{TRY(memory.read_to_modify(address, operand.width, privilege())), address};
}

Guarded<Done> Execution::close(const Operand& operand, const Opened& opened, std::uint32_t value) {
  if (const auto number = named_register(instruction, operand)) {
    set_register(*number, value, operand.width);
    return Done{};
  }
  return memory.write(opened.address, value, operand.width, privilege());
}

Guarded<Done> Execution::probe_stack(std::uint32_t displacement, unsigned size) const {
  const std::uint32_t offset = (stack_pointer() + displacement) & stack_mask();
  const GuestLinear address = TRY(linear(Segment::ss, offset, size, Access::write));
  return memory.probe_write(address, size, privilege());
}

Guarded<Done> Execution::alignment_fault() const {
  if (vcpu.checks_alignment()) return Failure{Exception::alignment_check()};
  return Done{};
}

}  // namespace undercroft
