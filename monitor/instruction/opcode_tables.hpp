// The opcode tables: which encodings exist, what their operands are, and in which virtualization
// class they are (design section 1). Sources: SDM volume 2, appendix A; for the classes, volume 3,
// 5.9 and the operation section of each instruction.
//
// The processor modelled is a 32-bit one of the P6 and Pentium 4 class with SSE up to SSE4.2;
// CPUID must hide what is not here. Departures from the manual's maps:
//  - VEX, EVEX, XOP: absent; C4, C5, 62 with mod 11 are undefined. So are 3DNow, MPX (its opcodes
//    are NOPs), VMX, SMX, SVM, TSX, XSAVE, RDRAND, AES, CLMUL, SHA, ADX, CET, SMAP, SYSCALL.
//  - F3 0F BC and F3 0F BD are BSF and BSR (no BMI1, no LZCNT). A processor that has TZCNT and
//    LZCNT runs those instead when such an instruction is copied; dropping F3 makes it exact.
//  - 0F 0D is PREFETCH, with mod 11 a NOP.
//  - Aliases that every processor executes but the manual omits are rows: 82, C0 /6 and kin
//    (SHL), F6 /1 (TEST), SALC, INT1, and the x87 ones (FSTP1, FXCH4, FCOM2, ...).
//  - FENI, FDISI, FSETPM are what they have been since the 387: NOPs.
//  - Of class sensitive is also what depends on IOPL (CLI, STI, IN, OUT, ...) or on CR4 (RDTSC,
//    RDPMC); of class privileged only what traps at CPL 3 under all circumstances.
//  - ARPL is plain: it works on a selector value, not on the processor's state.
//  - x87 and SSE are plain; FNSTENV, FNSAVE and FXSAVE store the address of the last x87
//    instruction, so a translator may want to look at them: they have operations of their own.
#pragma once

#include "opcode_row.hpp"

namespace undercroft::opcode {

inline constexpr std::size_t one_byte_groups = 20;
inline constexpr std::size_t two_byte_groups = 16;
inline constexpr std::size_t three_byte_groups = 2;

extern const Map<one_byte_groups> one_byte;
extern const Map<two_byte_groups> two_byte;
extern const Map<three_byte_groups> three_byte_38;
extern const Map<0> three_byte_3a;

// x87 (D8 to DF). Memory forms: the row, by opcode & 7 and ModRM.reg. Register forms: bit n of
// fpu_register_forms[opcode & 7] is set if ModRM 0xc0 + n is defined.
extern const std::array<std::array<Row, 8>, 8> fpu_memory_forms;
extern const std::array<std::uint64_t, 8> fpu_register_forms;

}  // namespace undercroft::opcode
