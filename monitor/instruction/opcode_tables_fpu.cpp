// x87 (SDM volume 2, appendix A.5): which forms exist, how wide their memory operand is, and
// whether they write it.
#include "opcode_tables.hpp"

namespace undercroft::opcode {
namespace {

constexpr Row memory(unsigned at_16, unsigned at_32, Operation operation = Operation::fpu) {
  Row row = plain(operation).native();
  row.operands[0][0] = {OperandKind::rm, static_cast<std::uint8_t>(at_16)};
  row.operands[1][0] = {OperandKind::rm, static_cast<std::uint8_t>(at_32)};
  row.memory_width = {row.operands[0][0].width, row.operands[1][0].width};
  return row;
}
constexpr Row memory(unsigned width) { return memory(width, width); }

constexpr Row w = memory(2), d = memory(4), q = memory(8), t = memory(10);
constexpr Row sw = w.stores(), sd = d.stores(), sq = q.stores(), st = t.stores();
constexpr Row load_environment = memory(14, 28);
constexpr Row store_environment = memory(14, 28, Operation::fpu_environment).stores();
constexpr Row load_state = memory(94, 108);
constexpr Row store_state = memory(94, 108, Operation::fpu_environment).stores();

// Eight bits, one for each ModRM from 0xc0 + 8 * line on.
constexpr std::uint64_t line(unsigned index, unsigned defined = 0xff) {
  return std::uint64_t{defined} << (8 * index);
}

}  // namespace

constexpr std::array<std::array<Row, 8>, 8> fpu_memory_forms{{
    {d, d, d, d, d, d, d, d},                                       // D8
    {d, none, sd, sd, load_environment, w, store_environment, sw},  // D9
    {d, d, d, d, d, d, d, d},                                       // DA
    {d, sd, sd, sd, none, t, none, st},                             // DB
    {q, q, q, q, q, q, q, q},                                       // DC
    {q, sq, sq, sq, load_state, none, store_state, sw},             // DD
    {w, w, w, w, w, w, w, w},                                       // DE
    {w, sw, sw, sw, t, q, st, sq},                                  // DF
}};

constexpr std::array<std::uint64_t, 8> fpu_register_forms{
    ~std::uint64_t{0},  // D8
    // D9: FLD, FXCH, FNOP, FSTP1, FCHS FABS FTST FXAM, FLD1 to FLDZ, the functions
    line(0) | line(1) | line(2, 0x01) | line(3) | line(4, 0x33) | line(5, 0x7f) | line(6) | line(7),
    line(0) | line(1) | line(2) | line(3) | line(5, 0x02),  // DA: FCMOV, FUCOMPP
    line(0) | line(1) | line(2) | line(3) | line(4, 0x1f) | line(5) | line(6),            // DB
    ~std::uint64_t{0},                                                                    // DC
    line(0) | line(1) | line(2) | line(3) | line(4) | line(5),                            // DD
    line(0) | line(1) | line(2) | line(3, 0x02) | line(4) | line(5) | line(6) | line(7),  // DE
    line(0) | line(1) | line(2) | line(3) | line(4, 0x01) | line(5) | line(6),            // DF
};

}  // namespace undercroft::opcode
