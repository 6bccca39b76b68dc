// Single x87, MMX and SSE instructions for the processor to run, each rewritten so that its memory
// operand is the one in the virtual CPU page. They stand in a page of the window of their own, as
// long as no other takes their place. Who runs them, and where the operand comes from, is not known
// here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../address.hpp"
#include "../instruction/instruction.hpp"
#include "../memory/mapping_slots.hpp"
#include "assembler.hpp"

namespace undercroft {

using NativeInstruction = Assembler<32>;

// The instruction, with GS at the virtual CPU page, then UD2. EDI must be native_operand's offset
// for MASKMOVQ and MASKMOVDQU. Behind an x87 store FNSTCW and FNSTSW leave the unit's registers in
// the page. None of it depends on where it stands.
NativeInstruction native_instruction(const Instruction&);

class NativeCode {
 public:
  // window: where the window's offset 0 is readable. image: its machine address.
  NativeCode(const std::byte* window, HostPhysical image, MappingSlots& slots)
      : window_(window), image_(image), slots_(slots) {}

  struct Place {  // window offsets
    std::uint32_t start;
    std::uint32_t end;  // of the UD2
  };
  // Where the instruction stands until the next call.
  Place place(const Instruction&);

 private:
  const std::byte* window_;
  HostPhysical image_;
  MappingSlots& slots_;
};

}  // namespace undercroft
