// MMX and SSE in the two-byte map (SDM volume 2, table A-3 and groups 12 to 15). The monitor never
// computes them: a row says which prefixes select a form, how wide its memory operand is, whether
// it is written and may be unaligned, and whether the form exists for memory and for registers.
#pragma once

#include "opcode_row.hpp"

namespace undercroft::opcode {

// Forms, as indices of form_widths: the bytes accessed in memory.
inline constexpr Form o = 0;  // undefined
inline constexpr Form b = 2, w = 3, d = 4, q = 5, x = 6;
inline constexpr Form fx = 7;                      // FXSAVE
inline constexpr Form r = 1 | form_register_only;  // registers only
inline constexpr Form m_q = q | form_memory_only;
inline constexpr Form m_x = x | form_memory_only;
inline constexpr Form m_d = d | form_memory_only;
inline constexpr Form u = x | form_unaligned;
// Stores.
inline constexpr Form sb = b | form_store, sw = w | form_store, sd = d | form_store,
                      sq = q | form_store, sx = x | form_store, su = u | form_store;
inline constexpr Form m_sq = m_q | form_store, m_sx = m_x | form_store, m_sd = m_d | form_store;
// On MMX registers: without a prefix where SSE has 66.
inline constexpr Form p = q | form_mmx;
inline constexpr Form p_d = d | form_mmx;
inline constexpr Form p_w = w | form_mmx;
inline constexpr Form p_r = r | form_mmx;
inline constexpr Form p_s = sq | form_mmx;
inline constexpr Form p_sd = sd | form_mmx;
inline constexpr Form p_ms = m_sq | form_mmx;

constexpr Row vector_forms(Row row, const std::array<Form, 4>& forms) {
  row.forms = forms;
  return row.with(has_modrm | prefixed);
}
constexpr Row vector(const std::array<Form, 4>& forms) {
  Row row = vector_forms(plain(Operation::sse).native(), forms);
  for (auto& operands : row.operands) operands[0].kind = OperandKind::vector;
  return row;
}
constexpr Row with_byte(Row row) {  // a trailing Ib
  row.immediate = Immediate::byte;
  for (auto& operands : row.operands) operands[1] = {OperandKind::immediate, 1};
  return row;
}

template <std::size_t n>
constexpr void set_vector_moves(Map<n>& map) {
  map.set(0x10, vector({u, u, d, q}));
  map.set(0x11, vector({su, su, sd, sq}));
  map.set(0x12, vector({q, m_q, x, q}));
  map.set(0x13, vector({m_sq, m_sq, o, o}));
  map.set(0x14, vector({x, x, o, o}));
  map.set(0x15, vector({x, x, o, o}));
  map.set(0x16, vector({q, m_q, x, o}));
  map.set(0x17, vector({m_sq, m_sq, o, o}));
  map.set(0x28, vector({x, x, o, o}));
  map.set(0x29, vector({sx, sx, o, o}));
  map.set(0x2b, vector({m_sx, m_sx, o, o}));
  map.set(0x50, vector({r, r, o, o}));
  map.set(0x6e, vector({p_d, d, o, o}));
  map.set(0x6f, vector({p, x, u, o}));
  map.set(0x7e, vector({p_sd, sd, q, o}));
  map.set(0x7f, vector({p_s, sx, su, o}));
  map.set(0xd6, vector({o, sq, r, r}));
  map.set(0xd7, vector({p_r, r, o, o}));
  map.set(0xe7, vector({p_ms, m_sx, o, o}));
  map.set(0xf0, vector({o, o, o, m_x | form_unaligned}));
  map.set(0xf7, vector({p_r, r, o, o}).with(implicit_data));  // MASKMOVQ, MASKMOVDQU
}

template <std::size_t n>
constexpr void set_vector_floating_point(Map<n>& map) {
  map.set(0x2a, vector({q, q, d, d}));
  map.set(0x2c, vector({q, x, d, q}));
  map.set(0x2d, vector({q, x, d, q}));
  map.set(0x2e, vector({d, q, o, o}));
  map.set(0x2f, vector({d, q, o, o}));
  map.set(0x51, vector({x, x, d, q}));
  map.set(0x52, vector({x, o, d, o}));
  map.set(0x53, vector({x, o, d, o}));
  for (unsigned opcode = 0x54; opcode <= 0x57; ++opcode) map.set(opcode, vector({x, x, o, o}));
  map.set(0x58, vector({x, x, d, q}));
  map.set(0x59, vector({x, x, d, q}));
  map.set(0x5a, vector({q, x, d, q}));
  map.set(0x5b, vector({x, x, x, o}));
  for (unsigned opcode = 0x5c; opcode <= 0x5f; ++opcode) map.set(opcode, vector({x, x, d, q}));
  map.set(0x7c, vector({o, x, o, x}));
  map.set(0x7d, vector({o, x, o, x}));
  map.set(0xc2, with_byte(vector({x, x, d, q})));
  map.set(0xc6, with_byte(vector({x, x, o, o})));
  map.set(0xd0, vector({o, x, o, x}));
  map.set(0xe6, vector({o, x, q, x}));
}

// Each with an MMX form and, behind 66, an SSE2 form of twice the width.
template <std::size_t n>
constexpr void set_vector_integer(Map<n>& map) {
  const Row both = vector({p, x, o, o});
  for (unsigned opcode = 0x60; opcode <= 0x62; ++opcode) map.set(opcode, vector({p_d, x, o, o}));
  for (unsigned opcode = 0x63; opcode <= 0x6b; ++opcode) map.set(opcode, both);
  map.set(0x6c, vector({o, x, o, o}));
  map.set(0x6d, vector({o, x, o, o}));
  map.set(0x70, with_byte(vector({p, x, x, x})));
  for (unsigned opcode = 0x74; opcode <= 0x76; ++opcode) map.set(opcode, both);
  map.set(0xc4, with_byte(vector({p_w, w, o, o})));
  map.set(0xc5, with_byte(vector({p_r, r, o, o})));
  for (unsigned opcode = 0xd1; opcode <= 0xfe; ++opcode)
    if (map.rows[opcode].operation == Operation::invalid) map.set(opcode, both);
}

template <std::size_t n>
constexpr void set_vector_groups(Map<n>& map) {
  const Row shift = with_byte(vector({p_r, r, o, o}));
  const Row shift_bytes = with_byte(vector({o, r, o, o}));
  map.group(0x71, {none, none, shift, none, shift, none, shift, none});               // group 12
  map.group(0x72, {none, none, shift, none, shift, none, shift, none});               // group 13
  map.group(0x73, {none, none, shift, shift_bytes, none, none, shift, shift_bytes});  // group 14
  Row emms = vector({1 | form_mmx, o, o, o});
  emms.flags = prefixed;
  map.set(0x77, emms);
  const auto only = [](Operation operation, Form form) {
    return vector_forms(plain(operation).native(), {form, o, o, o});
  };
  const Row barrier = only(Operation::fence, r);
  map.group(0xae,
            {only(Operation::fxsave, fx), only(Operation::fxrstor, fx), vector({m_d, o, o, o}),
             vector({m_sd, o, o, o}), none, none, none, only(Operation::clflush, 1)},
            {none, none, none, none, none, barrier, barrier, barrier});  // group 15
}

template <std::size_t n>
constexpr void set_vector_two_byte(Map<n>& map) {
  set_vector_moves(map);
  set_vector_floating_point(map);
  set_vector_groups(map);
  set_vector_integer(map);
}

}  // namespace undercroft::opcode
