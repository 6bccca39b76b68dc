// The decoder: bytes to Instruction, by one look-up in the opcode tables per part. It knows nothing
// of modes beyond the default size of the code segment; whether an instruction is allowed at a
// privilege level or in real mode is the interpreter's business.
#pragma once

#include <cstdint>
#include <span>

#include "../result.hpp"
#include "instruction.hpp"

namespace undercroft {

// The first 15 bytes matter; fewer may be given, and are enough if the instruction is shorter.
// code_is_32_bit: the D bit of CS; false in real and virtual-8086 mode.
Result<Instruction, DecodeError> decode(std::span<const std::uint8_t> bytes, bool code_is_32_bit);

}  // namespace undercroft
