// The maps 0F 38 and 0F 3A (SDM volume 2, tables ): SSSE3, SSE4.1, SSE4.2, MOVBE, CRC32.
#include "opcode_tables.hpp"
#include "opcode_tables_vector.hpp"

namespace undercroft::opcode {
namespace {

using enum Operation;

constexpr Map<three_byte_groups> make_38() {
  Map<three_byte_groups> map;
  for (unsigned opcode = 0x00; opcode <= 0x0b; ++opcode) map.set(opcode, vector({p, x, o, o}));
  for (unsigned opcode = 0x1c; opcode <= 0x1e; ++opcode) map.set(opcode, vector({p, x, o, o}));
  const Row full = vector({o, x, o, o});
  for (unsigned opcode : {0x10, 0x14, 0x15, 0x17, 0x28, 0x29, 0x2b, 0x37}) map.set(opcode, full);
  for (unsigned opcode = 0x38; opcode <= 0x41; ++opcode) map.set(opcode, full);
  for (unsigned base : {0x20, 0x30}) {  // PMOVSX, PMOVZX: bw bd bq wd wq dq
    constexpr std::array<Form, 6> sources{q, d, w, q, d, q};
    for (unsigned i = 0; i < sources.size(); ++i) map.set(base + i, vector({o, sources[i], o, o}));
  }
  map.set(0x2a, vector({o, m_x, o, o}));  // MOVNTDQA
  const Row crc_byte = plain(crc32, "Gd Eb");
  const Row crc = plain(crc32, "Gd Ev");
  map.set(0xf0, map.by_prefix({plain(movbe, "Gv Mv"), plain(movbe, "Gv Mv"), none, crc_byte}));
  map.set(0xf1, map.by_prefix({plain(movbe, "Mv Gv"), plain(movbe, "Mv Gv"), none, crc}));
  return map;
}

constexpr Map<0> make_3a() {
  Map<0> map;
  const auto set = [&](unsigned opcode, Form form) {
    map.set(opcode, with_byte(vector({o, form, o, o})));
  };
  for (unsigned opcode : {0x08, 0x09, 0x0c, 0x0d, 0x0e, 0x40, 0x41, 0x42}) set(opcode, x);
  for (unsigned opcode : {0x60, 0x61, 0x62, 0x63}) set(opcode, u);  // PCMPxSTRx
  set(0x0a, d);                                                     // ROUNDSS
  set(0x0b, q);                                                     // ROUNDSD
  map.set(0x0f, with_byte(vector({p, x, o, o})));                   // PALIGNR
  set(0x14, sb);                                                    // PEXTRB
  set(0x15, sw);                                                    // PEXTRW
  set(0x16, sd);                                                    // PEXTRD
  set(0x17, sd);                                                    // EXTRACTPS
  set(0x20, b);                                                     // PINSRB
  set(0x21, d);                                                     // INSERTPS
  set(0x22, d);                                                     // PINSRD
  return map;
}

}  // namespace

constexpr Map<three_byte_groups> three_byte_38 = make_38();
static_assert(three_byte_38.groups_used == three_byte_groups);
constexpr Map<0> three_byte_3a = make_3a();

}  // namespace undercroft::opcode
