// Translated code before it is put into the cache: a trace of basic blocks that follow one another
// in the guest, each with its code and the map from cache addresses back to guest states.
// translate_trace is a pure function of the guest's bytes and of what is in the cache already.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "assembler.hpp"
#include "cpu_page.hpp"

namespace undercroft {

// How translated code leaves the cache: ud2, then this byte, then the words named here.
enum class ExitKind : std::uint8_t {
  interpret = 1,  // eip: the monitor executes the guest instruction there
  branch = 2,     // eip, place: continue at eip; the branch displacement at `place` may be chained
  indirect = 3,   // none: continue at ECX; EAX and ECX are borrowed
  moved = 4,      // eip: the block that stood here is gone; continue at eip
  port = 5,       // eip, access: IN or OUT; make it and go on behind this exit, or interpret it
  segment = 6,    // eip, load: a data segment register; go on behind this exit, or interpret it
};
inline constexpr unsigned exit_kind_count = 7;
inline constexpr std::uint32_t port_exit_size = 3 + 4 + 4;

inline constexpr std::uint32_t segment_exit_size = 3 + 4 + 4;

// What an exit for MOV or POP to DS, ES, FS or GS says of the instruction.
struct SegmentLoad {
  Segment segment = Segment::ds;
  bool pops = false;
  std::uint8_t reg = 0;     // that holds the selector, if it is not popped
  std::uint8_t length = 0;  // of the instruction, bytes
  constexpr std::uint32_t encode() const {
    return static_cast<std::uint32_t>(segment) | std::uint32_t{pops} << 8 |
           std::uint32_t{reg} << 16 | std::uint32_t{length} << 24;
  }
  static constexpr SegmentLoad decode(std::uint32_t word) {
    return {static_cast<Segment>(word & 7), (word >> 8 & 1) != 0,
            static_cast<std::uint8_t>(word >> 16 & 7), static_cast<std::uint8_t>(word >> 24)};
  }
  constexpr bool operator==(const SegmentLoad&) const = default;
};

// What an exit for IN or OUT says of the access and of the instruction.
struct PortAccess {
  std::uint16_t port = 0;  // unless in DX
  bool in_dx = false;
  bool writes = false;
  std::uint8_t size = 0;    // bytes
  std::uint8_t length = 0;  // of the instruction, bytes
  constexpr std::uint32_t encode() const {
    return port | std::uint32_t{in_dx} << 16 | std::uint32_t{writes} << 17 |
           std::uint32_t{length} << 20 | std::uint32_t{size} << 24;
  }
  static constexpr PortAccess decode(std::uint32_t word) {
    return {static_cast<std::uint16_t>(word), (word >> 16 & 1) != 0, (word >> 17 & 1) != 0,
            static_cast<std::uint8_t>(word >> 24), static_cast<std::uint8_t>(word >> 20 & 0xf)};
  }
  constexpr bool operator==(const PortAccess&) const = default;
};
inline constexpr std::uint32_t exit_head_size = 3;  // ud2 and the kind
// A block is at least as long as the exit that takes its place when it is dropped.
inline constexpr std::uint32_t moved_exit_size = exit_head_size + 4;

// What is true of the machine while it stands at an instruction of the cache.
enum class PointState : std::uint8_t {
  // A guest instruction boundary, exact in all registers; so is every later instruction up to the
  // next point, at the same distance from its original.
  boundary,
  // As boundary, for one instruction in the shadow of STI: no interrupt may be delivered.
  shadowed,
  // Within a sequence; on a fault the guest is at the start of the instruction, registers exact.
  atomic,
  // The same, but the guest's ECX is in the virtual CPU page.
  borrowed_ecx,
  borrowed_eax_ecx,
  borrowed_ecx_edx,
  // The same, with ESP lowered by four; then with ECX and EDX in the page as well.
  pushed,
  pushed_borrowed_ecx_edx,
  // In a guard (guard.hpp), with the register in the page. A fault means that the instruction's
  // memory operand is in the window's slot, or near it.
  guarding_with_eax,
  guarding_with_ecx,
  guarding_with_edx,
};

struct MapPoint {
  std::uint16_t code_offset;  // from the block's start
  std::uint8_t guest_offset;  // of the guest instruction, from the block's first
  PointState state;
};

// Who the code is of. The virtual CPU page is reached through a segment register that the other
// engines' guests seldom use: kernels of GS, programs of FS, which have their thread's data in GS.
enum class CodeLevel : std::uint8_t { kernel, user };
constexpr Segment page_segment(CodeLevel level) {
  return level == CodeLevel::user ? Segment::fs : Segment::gs;
}

// One block of a trace. Offsets are from the trace's start.
struct BlockRecord {
  std::uint32_t eip = 0;
  std::uint16_t code_start = 0;
  std::uint16_t code_size = 0;
  std::uint16_t first_point = 0;
  std::uint16_t point_count = 0;
  std::uint16_t landing = 0;    // where indirect branches to it land; no_landing: not made
  std::uint8_t guest_size = 0;  // bytes of guest code that the block depends on
};
inline constexpr std::uint16_t no_landing = 0xffff;

struct TranslatedTrace {
  static constexpr unsigned code_capacity = 6144;
  static constexpr unsigned point_capacity = 384;
  static constexpr unsigned block_capacity = 32;

  explicit constexpr TranslatedTrace(std::uint32_t origin, CodeLevel level = CodeLevel::kernel)
      : assembler(origin, page_segment(level)) {}
  Assembler<code_capacity> assembler;
  std::array<MapPoint, point_capacity> points;
  std::array<BlockRecord, block_capacity> blocks;
  unsigned point_count = 0;
  unsigned block_count = 0;
  unsigned instruction_count = 0;  // guest instructions
  unsigned guest_size = 0;         // bytes of guest code from the trace's first to its last
};

// What a translation depends on besides the guest's bytes.
struct TranslationTargets {
  // Where code outside the trace stands, as window offsets.
  std::uint32_t jump_table;
  std::uint32_t indirect_miss;
  // Memory operands are kept away from the window (guard.hpp).
  bool guarded = false;
  CodeLevel level = CodeLevel::kernel;
  // There are blocks of both levels, which must not find each other.
  bool both_levels = false;
  // If guarded: what goes through SS is, too.
  bool guards_stack = true;
  // If guarded, and not 0: all segments begin at 0, and what lies at this many times 16 MB and
  // above is kept away from (guard.hpp).
  std::uint8_t flat_guard = 0;
};

// Blocks of the same level that are there already: branches to them need no exit.
class KnownBlocks {
 public:
  virtual std::optional<std::uint32_t> find(std::uint32_t eip) const = 0;
  // Where a landing for the address sends what is meant for another that shares its place in the
  // jump table.
  virtual std::uint32_t next_landing(std::uint32_t eip) const = 0;

 protected:
  ~KnownBlocks() = default;
};

// Translates from `eip` (an offset in a flat 32-bit code segment), going on behind
// branches as long as there is room. bytes: the guest's code there. Every instruction begins among
// the first `first_bytes` (the rest of the page); the last may reach beyond. One that the bytes cut
// short is left to the interpreter.
void translate_trace(TranslatedTrace& trace, std::span<const std::uint8_t> bytes,
                     std::uint32_t first_bytes, std::uint32_t eip,
                     const TranslationTargets& targets, const KnownBlocks& known,
                     unsigned most_instructions);

// Indirect branches come to a landing with ECX holding the target and EAX its lower half and, of
// user code, this; the guest's own are in the virtual CPU page.
inline constexpr std::uint32_t user_mark = 0x10000;
constexpr std::uint32_t landing_key(std::uint32_t eip, CodeLevel level) {
  return (eip & 0xffff) | (level == CodeLevel::user ? user_mark : 0);
}

// Places within a landing: of its address as a negative, and of the displacement to the next.
inline constexpr std::uint32_t landing_address_place = 2, landing_next_place = 15;

// What indirect branches to eip find by the jump table, up to where its block begins; next: where
// those to another address go on. Changes no flag.
template <std::size_t capacity>
constexpr void emit_landing(Assembler<capacity>& out, std::uint32_t eip,
                            const TranslationTargets& targets, std::uint32_t next) {
  constexpr std::uint8_t miss_size = 6 + 5;
  out.lea(Register::ecx, Register::ecx, -eip);
  out.jump_if_ecx_zero(miss_size);
  out.lea(Register::ecx, Register::ecx, eip);
  out.jump(next);
  if (targets.both_levels) {
    constexpr std::uint8_t other_level_size = 5 + 5;
    out.lea(Register::ecx, Register::eax, -landing_key(eip, targets.level));
    out.jump_if_ecx_zero(other_level_size);
    out.move(Register::ecx, eip);
    out.jump(next);
  }
  out.load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
  out.load_from_page(Register::eax, cpu_page_offset::saved_eax);
}

}  // namespace undercroft
