// The one-byte opcode map (SDM volume 2, table A-2) and its groups (table A-6).
#include "opcode_tables.hpp"

namespace undercroft::opcode {
namespace {

using enum Operation;
using Map1 = Map<one_byte_groups>;

constexpr std::array<Operation, 8> arithmetic{add, or_, adc, sbb, and_, sub, xor_, cmp};
constexpr std::array<Operation, 8> shifts{rol, ror, rcl, rcr, shl, shr, sal, sar};

constexpr Row arithmetic_row(unsigned index, std::string_view operands, bool memory_destination) {
  const Row made = plain(arithmetic[index], operands);
  return memory_destination && arithmetic[index] != cmp ? made.locks() : made;
}

constexpr void set_arithmetic(Map1& map) {
  for (unsigned i = 0; i < 8; ++i) {
    map.set(i * 8 + 0, arithmetic_row(i, "Eb Gb", true));
    map.set(i * 8 + 1, arithmetic_row(i, "Ev Gv", true));
    map.set(i * 8 + 2, arithmetic_row(i, "Gb Eb", false));
    map.set(i * 8 + 3, arithmetic_row(i, "Gv Ev", false));
    map.set(i * 8 + 4, arithmetic_row(i, "AL Ib", false));
    map.set(i * 8 + 5, arithmetic_row(i, "eAX Iz", false));
  }
  constexpr std::array<std::string_view, 4> operands{"Eb Ib", "Ev Iz", "Eb Ib", "Ev Is"};
  for (unsigned form = 0; form < 4; ++form) {
    std::array<Row, 8> group{};
    for (unsigned i = 0; i < 8; ++i) group[i] = arithmetic_row(i, operands[form], true);
    map.group(0x80 + form, group);  // group 1
  }
  map.set(0x27, plain(daa));
  map.set(0x2f, plain(das));
  map.set(0x37, plain(aaa));
  map.set(0x3f, plain(aas));
  map.set(0xd4, plain(aam, "Ib"));
  map.set(0xd5, plain(aad, "Ib"));
  map.set(0x69, plain(imul, "Gv Ev Iz"));
  map.set(0x6b, plain(imul, "Gv Ev Is"));
  map.set(0x84, plain(test, "Eb Gb"));
  map.set(0x85, plain(test, "Ev Gv"));
  map.set(0xa8, plain(test, "AL Ib"));
  map.set(0xa9, plain(test, "eAX Iz"));
  map.set(0x98, plain(cbw));
  map.set(0x99, plain(cwd));
}

constexpr void set_shifts(Map1& map) {  // group 2
  const auto group = [&](unsigned opcode, std::string_view operands) {
    std::array<Row, 8> rows{};
    for (unsigned i = 0; i < 8; ++i) rows[i] = plain(shifts[i], operands);
    map.group(opcode, rows);
  };
  group(0xc0, "Eb Ib");
  group(0xc1, "Ev Ib");
  group(0xd0, "Eb 1");
  group(0xd1, "Ev 1");
  group(0xd2, "Eb CL");
  group(0xd3, "Ev CL");
}

constexpr void set_unary(Map1& map) {
  map.group(0xf6, {plain(test, "Eb Ib"), plain(test, "Eb Ib"), plain(not_, "Eb").locks(),
                   plain(neg, "Eb").locks(), plain(mul, "Eb"), plain(imul, "Eb"), plain(div, "Eb"),
                   plain(idiv, "Eb")});  // group 3
  map.group(0xf7, {plain(test, "Ev Iz"), plain(test, "Ev Iz"), plain(not_, "Ev").locks(),
                   plain(neg, "Ev").locks(), plain(mul, "Ev"), plain(imul, "Ev"), plain(div, "Ev"),
                   plain(idiv, "Ev")});
  map.group(0xfe, {plain(inc, "Eb").locks(), plain(dec, "Eb").locks()});  // group 4
  map.group(0xff, {plain(inc, "Ev").locks(), plain(dec, "Ev").locks(),
                   branch(call_near, "Ev").uses_stack(), sensitive(call_far, "Mp").uses_stack(),
                   branch(jmp_near, "Ev"), sensitive(jmp_far, "Mp"), plain(push, "Ev").uses_stack(),
                   none});
  for (unsigned r = 0; r < 8; ++r) {
    map.set(0x40 + r, plain(inc, "Zv"));
    map.set(0x48 + r, plain(dec, "Zv"));
  }
}

constexpr void set_moves(Map1& map) {
  map.set(0x86, plain(xchg, "Eb Gb").locks());
  map.set(0x87, plain(xchg, "Ev Gv").locks());
  map.set(0x88, plain(mov, "Eb Gb"));
  map.set(0x89, plain(mov, "Ev Gv"));
  map.set(0x8a, plain(mov, "Gb Eb"));
  map.set(0x8b, plain(mov, "Gv Ev"));
  map.set(0x8d, plain(lea, "Gv M"));
  map.set(0xa0, plain(mov, "AL Ob"));
  map.set(0xa1, plain(mov, "eAX Ov"));
  map.set(0xa2, plain(mov, "Ob AL"));
  map.set(0xa3, plain(mov, "Ov eAX"));
  map.set(0xd7, plain(xlat).with(implicit_data));
  map.group(0xc6, {plain(mov, "Eb Ib")});  // group 11
  map.group(0xc7, {plain(mov, "Ev Iz")});
  map.set(0x90, map.by_prefix({plain(nop), plain(nop), plain(pause), plain(nop)}));
  for (unsigned r = 0; r < 8; ++r) {
    if (r != 0) map.set(0x90 + r, plain(xchg, "Zv eAX"));
    map.set(0xb0 + r, plain(mov, "Zb Ib"));
    map.set(0xb8 + r, plain(mov, "Zv Iz"));
  }
  map.set(0x62, plain(bound, "Gv Ma"));
  map.set(0x63, plain(arpl, "Ew Gw"));
}

constexpr void set_stack(Map1& map) {
  for (unsigned r = 0; r < 8; ++r) {
    map.set(0x50 + r, plain(push, "Zv").uses_stack());
    map.set(0x58 + r, plain(pop, "Zv").uses_stack());
  }
  map.set(0x60, plain(pusha).uses_stack());
  map.set(0x61, plain(popa).uses_stack());
  map.set(0x68, plain(push, "Iz").uses_stack());
  map.set(0x6a, plain(push, "Is").uses_stack());
  map.group(0x8f, {plain(pop, "Ev").uses_stack()});  // group 1A
  map.set(0xc8, plain(enter, "Iw Ib2").uses_stack());
  map.set(0xc9, plain(leave).uses_stack());
  map.set(0x9c, sensitive(pushf).uses_stack());
  map.set(0x9d, sensitive(popf).uses_stack());
}

constexpr void set_strings(Map1& map) {
  map.set(0x6c, sensitive(ins, "Yb DX"));
  map.set(0x6d, sensitive(ins, "Yv DX"));
  map.set(0x6e, sensitive(outs, "DX Xb"));
  map.set(0x6f, sensitive(outs, "DX Xv"));
  map.set(0xa4, plain(movs, "Yb Xb"));
  map.set(0xa5, plain(movs, "Yv Xv"));
  map.set(0xa6, plain(cmps, "Xb Yb"));
  map.set(0xa7, plain(cmps, "Xv Yv"));
  map.set(0xaa, plain(stos, "Yb AL"));
  map.set(0xab, plain(stos, "Yv eAX"));
  map.set(0xac, plain(lods, "AL Xb"));
  map.set(0xad, plain(lods, "eAX Xv"));
  map.set(0xae, plain(scas, "AL Yb"));
  map.set(0xaf, plain(scas, "eAX Yv"));
}

constexpr void set_flags(Map1& map) {
  map.set(0x9e, plain(sahf));
  map.set(0x9f, plain(lahf));
  map.set(0xd6, plain(salc));
  map.set(0xf5, plain(cmc));
  map.set(0xf8, plain(clc));
  map.set(0xf9, plain(stc));
  map.set(0xfa, sensitive(cli));
  map.set(0xfb, sensitive(sti));
  map.set(0xfc, plain(cld));
  map.set(0xfd, plain(std_));
}

constexpr void set_branches(Map1& map) {
  for (unsigned condition = 0; condition < 16; ++condition)
    map.set(0x70 + condition, branch(jcc, "Jb"));
  map.set(0xe0, branch(loopne, "Jb"));
  map.set(0xe1, branch(loope, "Jb"));
  map.set(0xe2, branch(loop, "Jb"));
  map.set(0xe3, branch(jcxz, "Jb"));
  map.set(0xe8, branch(call_near, "Jz").uses_stack());
  map.set(0xe9, branch(jmp_near, "Jz"));
  map.set(0xeb, branch(jmp_near, "Jb"));
  map.set(0xc2, branch(ret_near, "Iw").uses_stack());
  map.set(0xc3, branch(ret_near).uses_stack());
  map.set(0x9a, sensitive(call_far, "Ap").uses_stack());
  map.set(0xea, sensitive(jmp_far, "Ap"));
  map.set(0xca, sensitive(ret_far, "Iw").uses_stack());
  map.set(0xcb, sensitive(ret_far).uses_stack());
  map.set(0xcc, sensitive(int3).uses_stack());
  map.set(0xcd, sensitive(int_, "Ib").uses_stack());
  map.set(0xce, sensitive(into).uses_stack());
  map.set(0xcf, sensitive(iret).uses_stack());
  map.set(0xf1, sensitive(int1).uses_stack());
}

constexpr void set_segments(Map1& map) {
  map.set(0x06, sensitive(push_segment, "ES").uses_stack());
  map.set(0x07, sensitive(pop_segment, "ES").uses_stack());
  map.set(0x0e, sensitive(push_segment, "CS").uses_stack());
  map.set(0x16, sensitive(push_segment, "SS").uses_stack());
  map.set(0x17, sensitive(pop_segment, "SS").uses_stack());
  map.set(0x1e, sensitive(push_segment, "DS").uses_stack());
  map.set(0x1f, sensitive(pop_segment, "DS").uses_stack());
  map.group(0x8c, {sensitive(mov_from_segment, "Mw/Rv ES"), sensitive(mov_from_segment, "Mw/Rv CS"),
                   sensitive(mov_from_segment, "Mw/Rv SS"), sensitive(mov_from_segment, "Mw/Rv DS"),
                   sensitive(mov_from_segment, "Mw/Rv FS"), sensitive(mov_from_segment, "Mw/Rv GS"),
                   none, none});
  map.group(0x8e, {sensitive(mov_to_segment, "ES Ew"), none, sensitive(mov_to_segment, "SS Ew"),
                   sensitive(mov_to_segment, "DS Ew"), sensitive(mov_to_segment, "FS Ew"),
                   sensitive(mov_to_segment, "GS Ew"), none, none});
  map.set(0xc4, sensitive(load_far_pointer, "Gv Mp ES"));
  map.set(0xc5, sensitive(load_far_pointer, "Gv Mp DS"));
}

constexpr void set_system(Map1& map) {
  map.set(0x9b, plain(fwait).native());
  map.set(0xe4, sensitive(in, "AL Ib"));
  map.set(0xe5, sensitive(in, "eAX Ib"));
  map.set(0xe6, sensitive(out, "Ib AL"));
  map.set(0xe7, sensitive(out, "Ib eAX"));
  map.set(0xec, sensitive(in, "AL DX"));
  map.set(0xed, sensitive(in, "eAX DX"));
  map.set(0xee, sensitive(out, "DX AL"));
  map.set(0xef, sensitive(out, "DX eAX"));
  map.set(0xf4, privileged(hlt));
  for (unsigned opcode = 0xd8; opcode <= 0xdf; ++opcode)
    map.set(opcode, plain(fpu).native().with(has_modrm | escape));
}

constexpr Map1 make() {
  Map1 map;
  set_arithmetic(map);
  set_shifts(map);
  set_unary(map);
  set_moves(map);
  set_stack(map);
  set_strings(map);
  set_flags(map);
  set_branches(map);
  set_segments(map);
  set_system(map);
  return map;
}

constexpr bool is_prefix(unsigned byte) {
  return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e ||
         (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

// Every byte of the map is a prefix, the escape 0F, or an instruction; nothing is left over.
constexpr bool complete(const Map1& map) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const Row& row = map.rows[byte];
    const bool used = row.operation != invalid || row.selector != Selector::none;
    if (used == (is_prefix(byte) || byte == 0x0f)) return false;
  }
  return map.groups_used == one_byte_groups;
}

}  // namespace

constexpr Map<one_byte_groups> one_byte = make();
static_assert(complete(one_byte));

}  // namespace undercroft::opcode
