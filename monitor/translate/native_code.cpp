#include "native_code.hpp"

#include <cstring>

#include "../window_layout.hpp"
#include "cpu_page.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t place_size = 32;
constexpr std::uint32_t places = page_size / place_size;
constexpr std::uint32_t end_size = 2;  // UD2

constexpr unsigned gs_prefix = 0x65, operand_size_prefix = 0x66;
constexpr unsigned page_operand = 0x05;  // ModRM: mod 0, rm 5, a displacement alone

bool is_x87(Operation operation) {
  return operation == Operation::fpu || operation == Operation::fpu_environment ||
         operation == Operation::fwait;
}

// For x87 the operand size counts, which in 16-bit code is another; for the rest the prefix is part
// of the opcode.
void emit_prefixes(NativeInstruction& out, const Instruction& instruction) {
  if (instruction.memory_width != 0) out.byte(gs_prefix);
  if (is_x87(instruction.operation)) {
    if (instruction.operand_size == 2) out.byte(operand_size_prefix);
  } else if (instruction.repeat != Repeat::none) {
    out.byte(instruction.repeat == Repeat::repe ? 0xf3 : 0xf2);
  } else if (instruction.operand_size_prefix) {
    out.byte(operand_size_prefix);
  }
}

void emit_opcode(NativeInstruction& out, std::uint16_t opcode) {
  const std::uint16_t map = opcode & 0xff00;
  if (map != opcode_map::one_byte) out.byte(0x0f);
  if (map == opcode_map::three_byte_38 || map == opcode_map::three_byte_3a) out.byte(map >> 8);
  out.byte(opcode & 0xff);
}

}  // namespace

NativeInstruction native_instruction(const Instruction& instruction) {
  NativeInstruction out(0);
  const bool masked_move = instruction.accesses_data_segment() && !instruction.has_memory;
  if (masked_move) out.byte(gs_prefix);
  emit_prefixes(out, instruction);
  emit_opcode(out, instruction.opcode);
  if (instruction.memory_width != 0) {
    out.byte(instruction.reg() << 3 | page_operand);
    out.word(cpu_page_offset::native_operand);
  } else if (instruction.has_modrm) {
    out.byte(instruction.modrm);
  }
  if (instruction.immediate_size != 0) out.byte(instruction.immediate);
  if (instruction.operation == Operation::fpu && instruction.stores_memory()) {
    out.bytes(std::array<std::uint8_t, 3>{gs_prefix, 0xd9, 7 << 3 | page_operand});
    out.word(cpu_page_offset::native_control);
    out.bytes(std::array<std::uint8_t, 3>{gs_prefix, 0xdd, 7 << 3 | page_operand});
    out.word(cpu_page_offset::native_status);
  }
  out.byte(0x0f);
  out.byte(0x0b);
  return out;
}

NativeCode::Place NativeCode::place(const Instruction& instruction) {
  const NativeInstruction made = native_instruction(instruction);
  std::uint32_t hash = 0;
  for (const std::uint8_t byte : made.code()) hash = hash * 31 + byte;
  const std::uint32_t start = window::native_code + hash % places * place_size;
  if (std::memcmp(window_ + start, made.code().data(), made.size()) != 0) {
    const auto frame = slots_.map(image_ + window::native_code);
    std::memcpy(frame.bytes() + (start - window::native_code), made.code().data(), made.size());
  }
  return {start, start + made.size() - end_size};
}

}  // namespace undercroft
