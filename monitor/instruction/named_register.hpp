// The general register that an operand names.
#pragma once

#include <optional>

#include "instruction.hpp"

namespace undercroft {

// Its number in the encoding: of a byte operand, 4 to 7 are AH to BH. Empty: memory, or no general
// register, or one that goes without saying for this instruction alone.
constexpr std::optional<unsigned> named_register(const Instruction& instruction,
                                                 const Operand& operand) {
  switch (operand.kind) {
    case OperandKind::rm:
      if (instruction.has_memory) return std::nullopt;
      return instruction.rm();
    case OperandKind::reg:
      return instruction.reg();
    case OperandKind::opcode_register:
      return instruction.opcode_register();
    case OperandKind::accumulator:
      return 0;
    case OperandKind::none:
    case OperandKind::memory:
    case OperandKind::count:
    case OperandKind::port:
    case OperandKind::one:
    case OperandKind::immediate:
    case OperandKind::second_immediate:
    case OperandKind::relative:
    case OperandKind::far_pointer:
    case OperandKind::segment_register:
    case OperandKind::control_register:
    case OperandKind::debug_register:
    case OperandKind::vector:
    case OperandKind::implicit:
      break;
  }
  return std::nullopt;
}

}  // namespace undercroft
