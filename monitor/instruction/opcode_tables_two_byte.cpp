// The two-byte opcode map but for its MMX and SSE instructions (SDM volume 2, table A-3), and its
// groups (table A-6).
#include "opcode_tables.hpp"
#include "opcode_tables_vector.hpp"

namespace undercroft::opcode {
namespace {

using enum Operation;
using Map2 = Map<two_byte_groups>;

constexpr void set_descriptor_tables(Map2& map) {
  map.group(0x00,
            {sensitive(sldt, "Mw/Rv"), sensitive(str, "Mw/Rv"), privileged(lldt, "Ew"),
             privileged(ltr, "Ew"), sensitive(verr, "Ew"), sensitive(verw, "Ew"), none, none});
  const Row smsw_row = sensitive(smsw, "Mw/Rv");
  const Row lmsw_row = privileged(lmsw, "Ew");
  // Behind a mandatory prefix these bytes are other instructions.
  const auto bare = [](const Row& made) { return vector_forms(made, {1, o, o, o}); };
  const Row monitors =
      map.by_rm({bare(privileged(monitor)).with(implicit_data), bare(privileged(mwait))});
  const Row extended = map.by_rm({bare(sensitive(xgetbv)), bare(privileged(xsetbv))});
  const Row last = map.by_rm({none, sensitive(rdtscp).with(has_modrm)});
  map.group(0x01,
            {sensitive(sgdt, "Ms"), sensitive(sidt, "Ms"), privileged(lgdt, "Ms"),
             privileged(lidt, "Ms"), smsw_row, none, lmsw_row, privileged(invlpg, "M")},
            {none, monitors, extended, none, smsw_row, none, lmsw_row, last});  // group 7
  map.set(0x02, sensitive(lar, "Gv Ew"));
  map.set(0x03, sensitive(lsl, "Gv Ew"));
}

constexpr void set_system(Map2& map) {
  map.set(0x06, privileged(clts));
  map.set(0x08, privileged(invd));
  map.set(0x09, privileged(wbinvd));
  const Row from_cr = privileged(mov_from_cr, "Rd Cd");
  const Row to_cr = privileged(mov_to_cr, "Cd Rd");
  map.group(0x20, {from_cr, none, from_cr, from_cr, from_cr, none, none, none});
  map.set(0x21, privileged(mov_from_dr, "Rd Dd"));
  map.group(0x22, {to_cr, none, to_cr, to_cr, to_cr, none, none, none});
  map.set(0x23, privileged(mov_to_dr, "Dd Rd"));
  map.set(0x30, privileged(wrmsr));
  map.set(0x31, sensitive(rdtsc));
  map.set(0x32, privileged(rdmsr));
  map.set(0x33, sensitive(rdpmc));
  map.set(0x34, sensitive(sysenter));
  map.set(0x35, privileged(sysexit));
  map.set(0xa2, sensitive(cpuid));
  map.set(0xaa, privileged(rsm));
  map.set(0x0b, row(InstructionClass::undefined, undefined));                           // UD2
  map.set(0xb9, row(InstructionClass::undefined, undefined, "Gv Ev").with(no_access));  // UD1
  map.set(0xff, row(InstructionClass::undefined, undefined, "Gv Ev").with(no_access));  // UD0
}

constexpr void set_segments(Map2& map) {
  map.set(0xa0, sensitive(push_segment, "FS").uses_stack());
  map.set(0xa1, sensitive(pop_segment, "FS").uses_stack());
  map.set(0xa8, sensitive(push_segment, "GS").uses_stack());
  map.set(0xa9, sensitive(pop_segment, "GS").uses_stack());
  map.set(0xb2, sensitive(load_far_pointer, "Gv Mp SS"));
  map.set(0xb4, sensitive(load_far_pointer, "Gv Mp FS"));
  map.set(0xb5, sensitive(load_far_pointer, "Gv Mp GS"));
}

constexpr void set_hints(Map2& map) {
  const Row hint = plain(prefetch, "M");
  const Row idle = plain(nop, "Ev").with(no_access);
  map.group(0x0d, {hint, hint, hint, hint, hint, hint, hint, hint},
            {idle, idle, idle, idle, idle, idle, idle, idle});  // group P
  map.group(0x18, {hint, hint, hint, hint, idle, idle, idle, idle},
            {idle, idle, idle, idle, idle, idle, idle, idle});  // group 16
  for (unsigned opcode = 0x19; opcode <= 0x1f; ++opcode) map.set(opcode, idle);
}

constexpr void set_conditional(Map2& map) {
  for (unsigned condition = 0; condition < 16; ++condition) {
    map.set(0x40 + condition, plain(cmovcc, "Gv Ev"));
    map.set(0x80 + condition, branch(jcc, "Jz"));
    map.set(0x90 + condition, plain(setcc, "Eb"));
  }
}

constexpr void set_bits(Map2& map) {
  map.set(0xa3, plain(bt, "Ev Gv"));
  map.set(0xab, plain(bts, "Ev Gv").locks());
  map.set(0xb3, plain(btr, "Ev Gv").locks());
  map.set(0xbb, plain(btc, "Ev Gv").locks());
  map.group(0xba, {none, none, none, none, plain(bt, "Ev Ib"), plain(bts, "Ev Ib").locks(),
                   plain(btr, "Ev Ib").locks(), plain(btc, "Ev Ib").locks()});  // group 8
  map.set(0xbc, plain(bsf, "Gv Ev"));
  map.set(0xbd, plain(bsr, "Gv Ev"));
  map.set(0xb8, map.by_prefix({none, none, plain(popcnt, "Gv Ev"), none}));
  map.set(0xa4, plain(shld, "Ev Gv Ib"));
  map.set(0xa5, plain(shld, "Ev Gv CL"));
  map.set(0xac, plain(shrd, "Ev Gv Ib"));
  map.set(0xad, plain(shrd, "Ev Gv CL"));
}

constexpr void set_arithmetic(Map2& map) {
  map.set(0xaf, plain(imul, "Gv Ev"));
  map.set(0xb0, plain(cmpxchg, "Eb Gb").locks());
  map.set(0xb1, plain(cmpxchg, "Ev Gv").locks());
  map.set(0xb6, plain(movzx, "Gv Eb"));
  map.set(0xb7, plain(movzx, "Gv Ew"));
  map.set(0xbe, plain(movsx, "Gv Eb"));
  map.set(0xbf, plain(movsx, "Gv Ew"));
  map.set(0xc0, plain(xadd, "Eb Gb").locks());
  map.set(0xc1, plain(xadd, "Ev Gv").locks());
  map.set(0xc3, vector_forms(plain(movnti, "Md Gd"), {d, o, o, o}));
  map.group(0xc7, {none, plain(cmpxchg8b, "Mq").locks()});  // group 9
  for (unsigned r = 0; r < 8; ++r) map.set(0xc8 + r, plain(bswap, "Zv"));
}

constexpr Map2 make() {
  Map2 map;
  set_descriptor_tables(map);
  set_system(map);
  set_segments(map);
  set_hints(map);
  set_conditional(map);
  set_bits(map);
  set_arithmetic(map);
  set_vector_two_byte(map);
  return map;
}

}  // namespace

constexpr Map<two_byte_groups> two_byte = make();
static_assert(two_byte.groups_used == two_byte_groups);

}  // namespace undercroft::opcode
