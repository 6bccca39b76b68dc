// One translated basic block before it is put into the cache: its code, and the map from cache
// addresses back to guest states. translate_block is a pure function of the guest's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "assembler.hpp"

namespace undercroft {

// How translated code leaves the cache: ud2, then this byte, then the words named here.
enum class ExitKind : std::uint8_t {
  interpret = 1,  // eip: the monitor executes the guest instruction there
  branch = 2,     // eip, place: continue at eip; the branch displacement at `place` may be chained
  indirect = 3,   // none: continue at ECX; EAX and ECX are borrowed
  moved = 4,      // eip: the block that stood here is gone; continue at eip
};
inline constexpr std::uint32_t exit_head_size = 3;  // ud2 and the kind

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
  // The same, with ESP lowered by four; then with ECX and EDX in the page as well.
  pushed,
  pushed_borrowed_ecx_edx,
};

struct MapPoint {
  std::uint16_t code_offset;  // from the block's start
  std::uint8_t guest_offset;  // of the guest instruction, from the block's first
  PointState state;
};

struct TranslatedBlock {
  static constexpr unsigned code_capacity = 3072;
  static constexpr unsigned point_capacity = 256;

  explicit constexpr TranslatedBlock(std::uint32_t origin) : assembler(origin) {}
  Assembler<code_capacity> assembler;
  std::array<MapPoint, point_capacity> points;
  unsigned point_count = 0;
  unsigned guest_size = 0;         // bytes of guest code that the block depends on
  unsigned instruction_count = 0;  // guest instructions
};

// Where code outside the blocks stands, as window offsets.
struct TranslationTargets {
  std::uint32_t jump_table;
  std::uint32_t indirect_miss;
};

// Translates from `eip` (an offset in a flat 32-bit code segment at CPL 0). bytes: the guest's code
// there. Every instruction of the block begins among the first `first_bytes` (the rest of the
// page); the last may reach beyond. One that the bytes cut short is left to the interpreter.
void translate_block(TranslatedBlock& block, std::span<const std::uint8_t> bytes,
                     std::uint32_t first_bytes, std::uint32_t eip,
                     const TranslationTargets& targets);

}  // namespace undercroft
