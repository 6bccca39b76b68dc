// Rewritten x87, MMX and SSE instructions: the same operation on the operand in the virtual CPU
// page.
#include "monitor/translate/native_code.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "monitor/instruction/decoder.hpp"
#include "monitor/translate/cpu_page.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

Instruction decoded(const Bytes& bytes, bool code_is_32_bit = true) {
  return decode(bytes, code_is_32_bit).value();
}

struct Row {
  Bytes guest;
  bool is_32_bit = true;
};

const Row rows[] = {
    {{0xd9, 0x04, 0x24}},                       // fld dword [esp]
    {{0x2e, 0xdc, 0x44, 0x8b, 0x10}},           // fadd qword cs:[ebx + ecx * 4 + 16]
    {{0x64, 0xdf, 0x35, 1, 2, 3, 4}},           // fbstp fs:[04030201]
    {{0x66, 0xd9, 0x30}},                       // fnstenv with 16-bit operands
    {{0xdd, 0x37}, false},                      // fnsave [bx], 16-bit code
    {{0x66, 0x67, 0xdd, 0x20}, false},          // frstor [eax], 32-bit operands
    {{0x9b}},                                   // fwait
    {{0xdb, 0xf1}},                             // fcomi st, st(1)
    {{0x0f, 0x77}},                             // emms
    {{0x0f, 0x6f, 0x08}},                       // movq mm1, [eax]
    {{0x0f, 0x7e, 0xd9}},                       // movd ecx, mm3
    {{0x66, 0x0f, 0x6f, 0x10}},                 // movdqa xmm2, [eax]
    {{0xf3, 0x0f, 0x10, 0x58, 0x04}},           // movss xmm3, [eax + 4]
    {{0xf2, 0x0f, 0x2d, 0x10}},                 // cvtsd2si edx, [eax]
    {{0x0f, 0xc6, 0x40, 0x10, 0x1b}},           // shufps xmm0, [eax + 16], 1b
    {{0x66, 0x0f, 0x38, 0x00, 0x00}},           // pshufb xmm0, [eax]
    {{0x66, 0x0f, 0x3a, 0x0f, 0x50, 0x10, 7}},  // palignr xmm2, [eax + 16], 7
    {{0x0f, 0xae, 0x00}},                       // fxsave [eax]
    {{0x0f, 0xae, 0x14, 0x24}},                 // ldmxcsr [esp]
    {{0x66, 0x0f, 0x28, 0x07}, false},          // movapd xmm0, [bx]
    {{0x0f, 0x28, 0x07}, false},                // movaps xmm0, [bx]
    {{0x0f, 0xf7, 0xc1}},                       // maskmovq mm0, mm1
};

TEST(NativeInstruction, IsTheSameOnThePage) {
  for (const Row& row : rows) {
    const Instruction guest = decoded(row.guest, row.is_32_bit);
    const NativeInstruction made = native_instruction(guest);
    const Instruction native = decoded(Bytes(made.code().begin(), made.code().end()));
    EXPECT_EQ(native.operation, guest.operation);
    EXPECT_EQ(native.opcode, guest.opcode);
    EXPECT_EQ(native.repeat, guest.repeat);
    EXPECT_EQ(native.facts, guest.facts);
    EXPECT_EQ(native.reg(), guest.reg());
    EXPECT_EQ(native.memory_width, guest.memory_width);
    EXPECT_EQ(native.immediate, guest.immediate);
    EXPECT_EQ(native.has_memory, guest.has_memory);
    if (guest.accesses_data_segment()) {
      EXPECT_EQ(native.segment, Segment::gs);
    }
    if (!guest.has_memory) {
      EXPECT_EQ(native.modrm, guest.modrm);
    }
    if (guest.has_memory) {
      EXPECT_EQ(native.memory, (MemoryOperand{.displacement = cpu_page_offset::native_operand}));
    }
  }
}

// What stands behind the instruction: UD2; before it, for x87 stores, the unit's registers.
TEST(NativeInstruction, EndsWithUd2) {
  for (const Row& row : rows) {
    const NativeInstruction made = native_instruction(decoded(row.guest, row.is_32_bit));
    const Bytes code(made.code().begin(), made.code().end());
    const unsigned length = decoded(code).length;
    const bool x87_store = row.guest.size() > 2 && row.guest[1] == 0xdf;
    EXPECT_EQ(code.size(), length + (x87_store ? 16 : 2));
    EXPECT_EQ(Bytes(code.end() - 2, code.end()), (Bytes{0x0f, 0x0b}));
    if (!x87_store) continue;
    const Instruction control = decoded(Bytes(code.begin() + length, code.end()));
    const Instruction status = decoded(Bytes(code.begin() + length + control.length, code.end()));
    EXPECT_EQ(control.opcode << 8 | control.reg(), 0xd907u);
    EXPECT_EQ(status.opcode << 8 | status.reg(), 0xdd07u);
    EXPECT_EQ(control.memory.displacement, cpu_page_offset::native_control);
    EXPECT_EQ(status.memory.displacement, cpu_page_offset::native_status);
  }
}

TEST(NativeCode, KeepsInstructionsInPlace) {
  MachineMemory machine;
  constexpr HostPhysical image(0x100000);
  const std::byte* window = machine.view(image, window::size, PROT_READ);
  NativeCode code(window, image, machine.slots);
  for (unsigned round = 0; round < 2; ++round) {
    for (const Row& row : rows) {
      const Instruction instruction = decoded(row.guest, row.is_32_bit);
      const NativeCode::Place place = code.place(instruction);
      EXPECT_GE(place.start, window::native_code);
      EXPECT_LE(place.end + 2, window::native_code + page_size);
      const NativeInstruction made = native_instruction(instruction);
      EXPECT_EQ(place.end + 2 - place.start, made.size());
      EXPECT_EQ(std::memcmp(window + place.start, made.code().data(), made.size()), 0);
    }
  }
}

}  // namespace
}  // namespace undercroft::test
