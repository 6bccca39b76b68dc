// A row of the opcode tables and how it is made, at compile time, from the manual's own operand
// letters. It knows the notation only; the rows are in opcode_tables_*.cpp.
//
// Letters (SDM volume 2, appendix A.2), separated by blanks, destination first. An operand is a
// location followed by a width:
//   E ModRM: register or memory    M ModRM: memory only       R ModRM: register only, mod ignored
//   G ModRM.reg                    Z register in the opcode   O direct address
//   I immediate                    J branch displacement      A far pointer in the code
//   C D control, debug register    X Y string source, destination
//   b 1, w 2, d 4, q 8 bytes; v z by operand size; p far pointer, a two of v, s 6 bytes
// Departures: "Is" is the manual's sign-extended Ib; "Ib2" is ENTER's second immediate; "M" alone
// is an address that is not accessed; "Mw/Rv" is Ew whose register form has the operand size; a
// segment register is written by its name, for LDS and its kin as third operand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "instruction.hpp"

namespace undercroft::opcode {

enum class Immediate : std::uint8_t {
  none,
  byte,
  byte_signed,  // extended to the operand size
  word,
  full,       // operand size
  word_byte,  // ENTER
  far,        // operand size, then a selector
  direct,     // address size: O
};

// What chooses the row of a group.
enum class Selector : std::uint8_t {
  none,
  reg,     // ModRM.reg, +8 for the register form
  rm,      // ModRM.rm
  prefix,  // none, 66, F3, F2
};

// Bits of Row::flags.
inline constexpr std::uint16_t has_modrm = 1u << 0;
inline constexpr std::uint16_t lockable = 1u << 1;       // LOCK allowed with a memory destination
inline constexpr std::uint16_t memory_only = 1u << 2;    // the register form is undefined
inline constexpr std::uint16_t register_only = 1u << 3;  // the memory form is undefined
inline constexpr std::uint16_t ignores_mod = 1u << 4;    // any mod means a register
inline constexpr std::uint16_t wide_register = 1u << 5;  // "Mw/Rv"
inline constexpr std::uint16_t prefixed = 1u << 6;       // Row::forms holds the allowed forms
inline constexpr std::uint16_t implicit_data = 1u << 7;  // reads or writes DS without ModRM
inline constexpr std::uint16_t no_access = 1u << 8;      // the memory operand is not accessed
inline constexpr std::uint16_t escape = 1u << 9;         // x87: opcode_tables_fpu.cpp goes on

// A form of an MMX or SSE instruction: the width of its memory operand, what is done to it and what
// is allowed.
using Form = std::uint16_t;
inline constexpr Form form_width = 0x0f;  // index of form_widths; 0: undefined
inline constexpr Form form_mmx = 0x20;    // works on MMX registers alone
inline constexpr Form form_memory_only = 0x40;
inline constexpr Form form_register_only = 0x80;
inline constexpr Form form_store = 0x100;      // the memory operand is written, not read
inline constexpr Form form_unaligned = 0x200;  // 16 bytes at any address
inline constexpr std::array<std::uint16_t, 10> form_widths{0, 0, 1, 2, 4, 8, 16, 512, 6, 10};

struct Row {
  Operation operation = Operation::invalid;  // invalid: undefined opcode
  InstructionClass instruction_class = InstructionClass::plain;
  Immediate immediate = Immediate::none;
  Selector selector = Selector::none;
  std::uint8_t group = 0;  // of the row's map, if there is a selector
  std::uint8_t facts = 0;
  Segment segment_register = Segment::ds;
  std::uint16_t flags = 0;
  std::array<Form, 4> forms{};                       // without prefix, 66, F3, F2
  std::array<std::array<Operand, 3>, 2> operands{};  // for operand size 2 and 4
  std::array<std::uint8_t, 2> memory_width{};        // likewise, of the memory operand

  constexpr bool has(std::uint16_t flag) const { return flags & flag; }
  constexpr Row with(std::uint16_t flag) const {
    Row row = *this;
    row.flags |= flag;
    return row;
  }
  constexpr Row fact(std::uint8_t bit) const {
    Row row = *this;
    row.facts |= bit;
    return row;
  }
  constexpr Row locks() const { return with(lockable); }
  constexpr Row uses_stack() const { return fact(instruction_fact::stack); }
  constexpr Row native() const { return fact(instruction_fact::native); }
  constexpr Row stores() const { return fact(instruction_fact::native_store); }
};

inline constexpr Row none{};  // an undefined opcode

// Never defined: reached in constant evaluation only, where it stops the build.
void bad_opcode_table(const char* reason);

namespace letters {

struct Widths {
  std::uint8_t at_16, at_32;
};

constexpr Widths widths(std::string_view letter) {
  if (letter.empty()) return {0, 0};
  switch (letter[0]) {
    case 'b':
      return {1, 1};
    case 'w':
      return {2, 2};
    case 'd':
      return {4, 4};
    case 'q':
      return {8, 8};
    case 's':
      return {6, 6};
    case 'v':
    case 'z':
      return {2, 4};
    case 'p':
      return {4, 6};
    case 'a':
      return {4, 8};
  }
  bad_opcode_table("unknown width");
  return {};
}

constexpr OperandKind kind_of_location(char letter) {
  switch (letter) {
    case 'E':
    case 'M':
    case 'R':
      return OperandKind::rm;
    case 'G':
      return OperandKind::reg;
    case 'Z':
      return OperandKind::opcode_register;
    case 'O':
      return OperandKind::memory;
    case 'I':
      return OperandKind::immediate;
    case 'J':
      return OperandKind::relative;
    case 'A':
      return OperandKind::far_pointer;
    case 'C':
      return OperandKind::control_register;
    case 'D':
      return OperandKind::debug_register;
    case 'X':
    case 'Y':
      return OperandKind::implicit;
  }
  bad_opcode_table("unknown location");
  return {};
}

constexpr Immediate immediate_of(std::string_view word) {
  if (word == "Is" || word == "Jb") return Immediate::byte_signed;
  if (word == "Ib") return Immediate::byte;
  if (word == "Iw") return Immediate::word;
  if (word == "Ib2") return Immediate::word_byte;
  if (word[0] == 'I' || word[0] == 'J') return Immediate::full;
  if (word == "Ap") return Immediate::far;
  if (word[0] == 'O') return Immediate::direct;
  return Immediate::none;
}

// Operands that are one fixed place.
constexpr bool fixed(std::string_view word, OperandKind& kind, Widths& width) {
  const auto is = [&](OperandKind k, Widths w) {
    kind = k;
    width = w;
    return true;
  };
  if (word == "AL") return is(OperandKind::accumulator, {1, 1});
  if (word == "eAX") return is(OperandKind::accumulator, {2, 4});
  if (word == "CL") return is(OperandKind::count, {1, 1});
  if (word == "DX") return is(OperandKind::port, {2, 2});
  if (word == "1") return is(OperandKind::one, {1, 1});
  if (word == "Is") return is(OperandKind::immediate, {2, 4});
  if (word == "Ib2") return is(OperandKind::second_immediate, {1, 1});
  if (word == "Jb") return is(OperandKind::relative, {2, 4});
  if (word == "Mw/Rv") return is(OperandKind::rm, {2, 2});
  return false;
}

constexpr bool segment_name(std::string_view word, Segment& segment) {
  constexpr std::array<std::string_view, 6> names{"ES", "CS", "SS", "DS", "FS", "GS"};
  for (std::size_t i = 0; i < names.size(); ++i)
    if (word == names[i]) {
      segment = static_cast<Segment>(i);
      return true;
    }
  return false;
}

constexpr void add(Row& row, std::size_t index, std::string_view word) {
  OperandKind kind{};
  Widths width{};
  if (segment_name(word, row.segment_register)) {
    kind = OperandKind::segment_register;
    width = {2, 2};
  } else if (!fixed(word, kind, width)) {
    kind = kind_of_location(word[0]);
    width = widths(word.substr(1));
  }
  row.operands[0][index] = {kind, width.at_16};
  row.operands[1][index] = {kind, width.at_32};
  if (kind == OperandKind::rm || kind == OperandKind::memory)
    row.memory_width = {width.at_16, width.at_32};
  if (const Immediate immediate = immediate_of(word); immediate != Immediate::none)
    row.immediate = immediate;
  if (word == "Mw/Rv")
    row.flags |= wide_register;
  else if (word[0] == 'M')
    row.flags |= memory_only;
  if (word[0] == 'R') row.flags |= ignores_mod | register_only;
  if (kind == OperandKind::rm || kind == OperandKind::reg) row.flags |= has_modrm;
  if (kind == OperandKind::implicit) row.facts |= instruction_fact::string;
  if (word[0] == 'X') row.flags |= implicit_data;
  if (word[0] == 'Y') row.facts |= instruction_fact::es;
}

}  // namespace letters

constexpr Row row(InstructionClass instruction_class, Operation operation,
                  std::string_view operands = {}) {
  Row made;
  made.operation = operation;
  made.instruction_class = instruction_class;
  for (std::size_t index = 0; !operands.empty(); ++index) {
    const std::size_t end = operands.find(' ');
    letters::add(made, index, operands.substr(0, end));
    operands = end == std::string_view::npos ? std::string_view{} : operands.substr(end + 1);
  }
  return made;
}
constexpr Row plain(Operation operation, std::string_view operands = {}) {
  return row(InstructionClass::plain, operation, operands);
}
constexpr Row branch(Operation operation, std::string_view operands = {}) {
  return row(InstructionClass::branch, operation, operands);
}
constexpr Row privileged(Operation operation, std::string_view operands = {}) {
  return row(InstructionClass::privileged, operation, operands);
}
constexpr Row sensitive(Operation operation, std::string_view operands = {}) {
  return row(InstructionClass::sensitive, operation, operands);
}

using Group = std::array<Row, 16>;

// The rows of one opcode map and of its groups. Setting a row twice, or a group too many or too
// few, does not compile.
template <std::size_t group_count>
struct Map {
  std::array<Row, 256> rows{};
  std::array<Group, group_count> groups{};
  std::size_t groups_used = 0;

  constexpr void set(unsigned opcode, const Row& row) {
    if (rows[opcode].operation != Operation::invalid || rows[opcode].selector != Selector::none)
      bad_opcode_table("opcode set twice");
    rows[opcode] = row;
  }
  constexpr std::uint8_t add_group(const Group& group) {
    groups[groups_used] = group;  // beyond the last: not a constant expression
    return static_cast<std::uint8_t>(groups_used++);
  }
  static constexpr Row select(Selector selector, std::uint8_t group) {
    Row row;
    row.selector = selector;
    row.group = group;
    if (selector != Selector::prefix) row.flags = has_modrm;
    return row;
  }
  // Chosen by ModRM.reg, the same for memory and registers but for what the letters forbid.
  constexpr void group(unsigned opcode, const std::array<Row, 8>& by_reg) {
    Group both{};
    for (std::size_t i = 0; i < 16; ++i) both[i] = by_reg[i % 8];
    set(opcode, select(Selector::reg, add_group(both)));
  }
  constexpr void group(unsigned opcode, const std::array<Row, 8>& memory,
                       const std::array<Row, 8>& registers) {
    Group both{};
    for (std::size_t i = 0; i < 16; ++i) both[i] = i < 8 ? memory[i] : registers[i - 8];
    set(opcode, select(Selector::reg, add_group(both)));
  }
  constexpr Row by_rm(const std::array<Row, 8>& rows_by_rm) {
    Group group{};
    for (std::size_t i = 0; i < 8; ++i) group[i] = rows_by_rm[i];
    return select(Selector::rm, add_group(group));
  }
  // Without prefix, 66, F3, F2. The rows agree on having a ModRM byte.
  constexpr Row by_prefix(const std::array<Row, 4>& rows_by_prefix) {
    Group group{};
    Row made = select(Selector::prefix, 0);
    for (std::size_t i = 0; i < 4; ++i) {
      group[i] = rows_by_prefix[i];
      if (rows_by_prefix[i].has(has_modrm)) made.flags |= has_modrm;
    }
    made.group = add_group(group);
    return made;
  }
};

}  // namespace undercroft::opcode
