// A decoded instruction as a value: what the bytes say, before any register or memory is read, and
// in which virtualization class its row of the opcode tables puts it. Decoding is decoder.hpp's
// business, execution the interpreter's, copying and rewriting the translator's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "../vcpu.hpp"

namespace undercroft {

// clang-format off
// One value per mnemonic family. Conditional families (jcc, setcc, cmovcc) have their condition in
// Instruction::condition().
enum class Operation : std::uint8_t {
  invalid,  // never in a decoded instruction
  // Arithmetic and logic, in the order of the opcode's bits 3 to 5 and of group 1
  add, or_, adc, sbb, and_, sub, xor_, cmp,
  // Shifts, in the order of group 2's reg field (/6 is the undocumented alias of shl)
  rol, ror, rcl, rcr, shl, shr, sal, sar,
  inc, dec, not_, neg, test, mul, imul, div, idiv,
  shld, shrd, bt, bts, btr, btc, bsf, bsr, bswap, popcnt, crc32,
  cbw, cwd,  // also CWDE and CDQ, by operand size
  daa, das, aaa, aas, aam, aad,
  // Data movement
  mov, movzx, movsx, lea, xchg, xadd, cmpxchg, cmpxchg8b, cmovcc, setcc, xlat, movbe, movnti,
  push, pop, pusha, popa, enter, leave,
  movs, cmps, stos, lods, scas,
  lahf, sahf, salc, clc, stc, cmc, cld, std_,
  nop,  // also with ModRM (0F 1F): its memory operand is not accessed
  pause, prefetch, fence, clflush, bound, arpl,
  // Near branches; the operand says whether direct (relative) or indirect (rm)
  jcc, jcxz, loop, loope, loopne, jmp_near, call_near, ret_near,
  // Far branches, interrupts, system calls
  jmp_far, call_far, ret_far, iret, int_, int3, int1, into, sysenter, sysexit,
  // Segment registers
  mov_from_segment, mov_to_segment, push_segment, pop_segment,
  load_far_pointer,  // LDS, LES, LSS, LFS, LGS: by Instruction::segment_register
  // Flags
  pushf, popf, cli, sti,
  // Input and output
  in, out, ins, outs,
  // System registers
  sgdt, sidt, lgdt, lidt, sldt, str, lldt, ltr, smsw, lmsw, clts,
  lar, lsl, verr, verw,
  mov_from_cr, mov_to_cr, mov_from_dr, mov_to_dr,  // register number in reg(); rm() is general
  hlt, invd, wbinvd, invlpg, rdmsr, wrmsr, rdtsc, rdtscp, rdpmc, cpuid, rsm, monitor, mwait,
  xgetbv, xsetbv,
  // Run as they are on the processor, never interpreted
  fpu,  // x87
  fpu_environment,  // FNSTENV, FNSAVE: store the address of the last x87 instruction
  fwait,
  mmx,  // MMX registers
  sse,  // XMM registers and MXCSR
  fxsave,  // stores the address of the last x87 instruction, as FNSAVE
  fxrstor,
  undefined,  // UD0, UD1, UD2: class undefined; raise #UD
};
// clang-format on

// What an opcode may do in ring 3 (Popek and Goldberg; design section 1). It holds for a guest that
// believes itself to be at any privilege level.
enum class InstructionClass : std::uint8_t {
  plain,       // same effect at CPL 3: may be copied as it is
  branch,      // near control transfer: plain but for EIP
  privileged,  // always traps at CPL 3
  sensitive,   // does not always trap, and differs at CPL 3 or touches privileged state
  undefined,   // always raises #UD
};

enum class Repeat : std::uint8_t { none, repe, repne };  // repe is F3 (REP), repne is F2

// Where an operand is. In parentheses the manual's letters (SDM volume 2, appendix A.2.1).
enum class OperandKind : std::uint8_t {
  none,
  rm,                // (E, M, R) Instruction::memory if has_memory, else register rm()
  memory,            // (O) direct address without ModRM: Instruction::memory, has_memory is set
  reg,               // (G) register reg()
  opcode_register,   // (Z) register in the opcode's low three bits: opcode_register()
  accumulator,       // AL, AX, EAX
  count,             // CL, the shift count
  port,              // DX
  one,               // the constant 1 of D0 and D1
  immediate,         // (I) Instruction::immediate, already extended to the operand's width
  second_immediate,  // ENTER's nesting level
  relative,          // (J) branch displacement: see branch_target()
  far_pointer,       // (A) offset in immediate, selector in second_immediate
  segment_register,  // (S) Instruction::segment_register
  control_register,  // (C) number in reg()
  debug_register,    // (D) number in reg()
  vector,            // (P, Q, V, W, U, N) MMX or XMM, in reg() or rm()
  implicit,          // (X, Y) string operand: see accesses_data_segment(), accesses_es()
};

struct Operand {
  OperandKind kind = OperandKind::none;
  // Bytes, of the form at hand (MOV r/m,Sreg and SMSW: 2 in memory, the operand size in a
  // register): 1, 2, 4; 6 or 4 for a far pointer in memory; 8 for CMPXCHG8B; 8 or 4 for BOUND; 0
  // where only the address counts (LEA, INVLPG) or nothing does.
  std::uint8_t width = 0;
  constexpr bool operator==(const Operand&) const = default;
};

// offset = base + index * scale + displacement, cut to 16 bits if is_16_bit. The segment is
// Instruction::segment.
struct MemoryOperand {
  std::optional<Register> base{};
  std::optional<Register> index{};
  std::uint8_t scale = 1;  // 1, 2, 4, 8
  bool is_16_bit = false;
  std::uint32_t displacement = 0;  // sign-extended

  constexpr std::uint32_t offset(const std::array<std::uint32_t, 8>& general) const {
    std::uint32_t sum = displacement;
    if (base) sum += general[static_cast<unsigned>(*base)];
    if (index) sum += general[static_cast<unsigned>(*index)] * scale;
    return is_16_bit ? sum & 0xffff : sum;
  }
  constexpr bool operator==(const MemoryOperand&) const = default;
};

// Opcode maps, as the high byte of Instruction::opcode.
namespace opcode_map {
inline constexpr std::uint16_t one_byte = 0x0000;
inline constexpr std::uint16_t two_byte = 0x0f00;       // 0F xx
inline constexpr std::uint16_t three_byte_38 = 0x3800;  // 0F 38 xx
inline constexpr std::uint16_t three_byte_3a = 0x3a00;  // 0F 3A xx
}  // namespace opcode_map

// Bits of Instruction::facts.
namespace instruction_fact {
inline constexpr std::uint8_t data_segment = 1u << 0;  // see accesses_data_segment()
inline constexpr std::uint8_t es = 1u << 1;            // see accesses_es()
inline constexpr std::uint8_t stack = 1u << 2;         // see accesses_stack()
inline constexpr std::uint8_t string = 1u << 3;
inline constexpr std::uint8_t native = 1u << 4;        // x87, MMX, SSE: see is_native()
inline constexpr std::uint8_t native_store = 1u << 5;  // see stores_memory()
inline constexpr std::uint8_t aligned = 1u << 6;       // see needs_alignment()
}  // namespace instruction_fact

struct Instruction {
  Operation operation = Operation::invalid;
  InstructionClass instruction_class = InstructionClass::plain;
  std::uint8_t length = 0;   // bytes, 1 to 15
  std::uint8_t facts = 0;    // instruction_fact
  std::uint16_t opcode = 0;  // opcode_map | last opcode byte

  // Prefixes. Of several segment overrides, or of several F2 and F3, the last one counts.
  std::uint8_t prefix_count = 0;  // bytes before the opcode's first byte
  bool lock = false;
  Repeat repeat = Repeat::none;      // also where F2 or F3 selects an SSE instruction
  bool operand_size_prefix = false;  // 66 is there
  bool address_size_prefix = false;  // 67 is there
  std::uint8_t operand_size = 4;     // effective: 2 or 4
  std::uint8_t address_size = 4;     // effective: 2 or 4
  std::optional<Segment> segment_override{};
  // Of the memory operand, or of the implicit source (string instructions, XLAT, MASKMOVQ):
  Segment default_segment = Segment::ds;
  Segment segment = Segment::ds;  // effective

  bool has_modrm = false;
  bool has_sib = false;
  bool has_memory = false;  // memory is valid; by ModRM or by direct address (A0 to A3)
  std::uint8_t modrm = 0;
  Segment segment_register = Segment::ds;  // of a segment_register operand, of load_far_pointer
  std::uint16_t memory_width = 0;          // bytes accessed at memory; 0: none. FXSAVE has 512
  std::array<Operand, 3> operands{};       // in the manual's order: destination first
  MemoryOperand memory{};
  std::uint32_t immediate = 0;  // sign-extended where the manual does, else zero-extended
  std::uint16_t second_immediate = 0;

  // Where the parts stand within the instruction, in bytes from its first; 0: absent (no part can
  // be the first byte). Sizes: 0, 1, 2, 4. A far pointer is immediate (size 2 or 4), then selector.
  std::uint8_t modrm_offset = 0;
  std::uint8_t displacement_offset = 0;
  std::uint8_t displacement_size = 0;
  std::uint8_t immediate_offset = 0;
  std::uint8_t immediate_size = 0;

  constexpr unsigned mod() const { return modrm >> 6; }
  constexpr unsigned reg() const { return (modrm >> 3) & 7; }
  constexpr unsigned rm() const { return modrm & 7; }
  constexpr unsigned opcode_register() const { return opcode & 7; }
  constexpr unsigned condition() const { return opcode & 0xf; }  // SDM volume 2, B.1.4.7
  // Bytes of the first operand, the destination: 1, 2, 4, or something else for few.
  constexpr unsigned width() const { return operands[0].width; }
  constexpr bool has(std::uint8_t fact) const { return facts & fact; }

  // Reads or writes memory through `segment`: a memory operand that is accessed (not LEA, NOP,
  // INVLPG, PREFETCH), the source of a string instruction, XLAT, MASKMOVQ.
  constexpr bool accesses_data_segment() const { return has(instruction_fact::data_segment); }
  constexpr bool accesses_es() const { return has(instruction_fact::es); }  // ES:EDI of strings
  constexpr bool accesses_stack() const { return has(instruction_fact::stack); }  // implicitly
  constexpr bool is_string() const { return has(instruction_fact::string); }
  // x87, MMX and SSE: no interpreter; the processor runs a copy.
  constexpr bool is_native() const { return has(instruction_fact::native); }
  // Native ones only. The memory operand is written and not read; of the others it is read, and
  // FXSAVE writes parts of it.
  constexpr bool stores_memory() const { return has(instruction_fact::native_store); }
  // The memory operand is at a multiple of 16, else #GP(0).
  constexpr bool needs_alignment() const { return has(instruction_fact::aligned); }

  // Target of a relative branch at eip (SDM volume 2, JMP: a 16-bit operand size clears the upper
  // half).
  constexpr std::uint32_t branch_target(std::uint32_t eip) const {
    const std::uint32_t target = eip + length + immediate;
    return operand_size == 2 ? target & 0xffff : target;
  }
};

static_assert(std::is_trivially_copyable_v<Instruction>);

enum class DecodeError : std::uint8_t {
  too_long,   // more than 15 bytes: #GP(0)
  undefined,  // no such instruction, or not in this form: #UD
  truncated,  // needs more bytes than were given
};

}  // namespace undercroft
