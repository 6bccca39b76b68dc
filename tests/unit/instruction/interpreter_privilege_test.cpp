// Who may execute what: instructions by mode, CPL and IOPL, each with its exception.
#include <gtest/gtest.h>

#include "interpreter_machine.hpp"

namespace undercroft::test {
namespace {

struct Row {
  const char* name;
  std::initializer_list<int> bytes;
  // What happens: in protected mode at CPL 0 and 3, in V86 mode, in real mode. '+' retires (or
  // halts), 'G' is #GP(0), 'U' is #UD.
  const char* outcome;
};

const Row rows[] = {
    {"hlt", {0xf4}, "+GG+"},
    {"clts", {0x0f, 0x06}, "+GG+"},
    {"invd", {0x0f, 0x08}, "+GG+"},
    {"wbinvd", {0x0f, 0x09}, "+GG+"},
    {"mov eax, cr0", {0x0f, 0x20, 0xc0}, "+GG+"},
    {"mov cr3, eax", {0x0f, 0x22, 0xd8}, "+GG+"},
    {"mov eax, cr1", {0x0f, 0x20, 0xc8}, "UUUU"},
    {"mov eax, dr0", {0x0f, 0x21, 0xc0}, "+GG+"},
    {"mov dr3, eax", {0x0f, 0x23, 0xd8}, "+GG+"},
    {"rdmsr", {0x0f, 0x32}, "+GG+"},
    {"wrmsr", {0x0f, 0x30}, "+GG+"},
    {"lmsw ax", {0x0f, 0x01, 0xf0}, "+GG+"},
    {"smsw ax", {0x0f, 0x01, 0xe0}, "++++"},
    {"sgdt [bx+si]/[eax]", {0x0f, 0x01, 0x00}, "++++"},
    {"sidt", {0x0f, 0x01, 0x08}, "++++"},
    {"lgdt", {0x0f, 0x01, 0x10}, "+GG+"},
    {"lidt", {0x0f, 0x01, 0x18}, "+GG+"},
    {"invlpg", {0x0f, 0x01, 0x38}, "+GG+"},
    {"sldt ax", {0x0f, 0x00, 0xc0}, "++UU"},
    {"str ax", {0x0f, 0x00, 0xc8}, "++UU"},
    {"lldt ax (null)", {0x0f, 0x00, 0xd0}, "+GUU"},
    {"verr ax (null)", {0x0f, 0x00, 0xe0}, "++UU"},
    {"lar eax, eax", {0x0f, 0x02, 0xc0}, "++UU"},
    {"lsl eax, eax", {0x0f, 0x03, 0xc0}, "++UU"},
    {"arpl ax, ax", {0x63, 0xc0}, "++UU"},
    {"rdtsc", {0x0f, 0x31}, "++++"},
    {"cpuid", {0x0f, 0xa2}, "++++"},
    {"cli", {0xfa}, "+GG+"},
    {"sti", {0xfb}, "+GG+"},
    {"pushf", {0x9c}, "++G+"},
    {"popf", {0x9d}, "++G+"},
    {"in al, 0x60", {0xe4, 0x60}, "+GG+"},
    {"out dx, al", {0xee}, "+GG+"},
    {"ud2", {0x0f, 0x0b}, "UUUU"},
    {"rsm", {0x0f, 0xaa}, "UUUU"},
    {"sysenter", {0x0f, 0x34}, "GGGG"},  // SYSENTER_CS is 0
};

char outcome_letter(const StepOutcome& outcome) {
  if (outcome.kind == StepOutcome::Kind::retired || outcome.kind == StepOutcome::Kind::halted) {
    return '+';
  }
  if (fault(outcome) == general_protection) return 'G';
  if (fault(outcome) == invalid_opcode) return 'U';
  return '?';
}

TEST(InterpreterPrivilege, ByModeAndCpl) {
  const struct {
    Mode mode;
    unsigned cpl;
  } modes[] = {
      {Mode::protected_32, 0}, {Mode::protected_32, 3}, {Mode::virtual_8086, 3}, {Mode::real, 0}};
  for (const Row& row : rows) {
    for (unsigned i = 0; i < 4; ++i) {
      Machine machine(modes[i].mode, modes[i].cpl);
      const Vcpu before = machine.vcpu;
      const StepOutcome outcome = machine.run(row.bytes);
      EXPECT_EQ(outcome_letter(outcome), row.outcome[i]) << row.name << ", column " << i;
      if (fault(outcome)) {
        EXPECT_EQ(machine.vcpu.eip, before.eip) << row.name;
        EXPECT_EQ(machine.vcpu.general, before.general) << row.name;
        EXPECT_EQ(machine.vcpu.eflags, before.eflags) << row.name;
      }
    }
  }
}

// SDM volume 3, 6.7.1: the next IRET lets NMIs in again, also one that faults.
TEST(InterpreterPrivilege, IretUnblocksNmi) {
  for (const Mode mode : {Mode::real, Mode::virtual_8086}) {
    Machine machine(mode);
    machine.vcpu.nmi_blocked = true;
    EXPECT_EQ(fault(machine.run({0xcf})).has_value(), mode == Mode::virtual_8086);
    EXPECT_FALSE(machine.vcpu.nmi_blocked);
  }
}

TEST(InterpreterPrivilege, CliAndStiByCplAndIopl) {
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    for (unsigned iopl = 0; iopl < 4; ++iopl) {
      for (int opcode : {0xfa, 0xfb}) {
        Machine machine(Mode::protected_32, cpl, iopl);
        const StepOutcome outcome = machine.run({opcode});
        EXPECT_EQ(retired(outcome), cpl <= iopl) << cpl << " " << iopl;
      }
    }
  }
  for (unsigned iopl = 0; iopl < 4; ++iopl) {
    Machine machine(Mode::virtual_8086, 3, iopl);
    EXPECT_EQ(retired(machine.run({0xfa})), iopl == 3);
  }
}

TEST(InterpreterPrivilege, PopfChangesWhatItMay) {
  constexpr std::uint32_t popped = 0xffffffff;
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    for (unsigned iopl = 0; iopl < 4; ++iopl) {
      Machine machine(Mode::protected_32, cpl, iopl);
      machine.vcpu.eflags |= eflags::resume;
      machine.memory.put32(Machine::stack, popped);
      ASSERT_TRUE(retired(machine.run({0x9d})));
      EXPECT_EQ(machine.vcpu.iopl(), cpl == 0 ? 3 : iopl);
      EXPECT_EQ(bool(machine.flag(eflags::interrupt)), cpl <= iopl);
      EXPECT_NE(machine.flag(eflags::alignment_check), 0u);
      EXPECT_NE(machine.flag(eflags::identification), 0u);
      EXPECT_NE(machine.flag(eflags::nested_task), 0u);
      // VM, RF, VIF, VIP and the reserved bits 3, 5, 15 stay clear.
      EXPECT_EQ(machine.vcpu.eflags & 0xffdb8028, 0u);
      EXPECT_EQ(machine[Register::esp], Machine::stack + 4);
    }
  }
}

TEST(InterpreterPrivilege, PopfOf16BitsKeepsTheUpperHalf) {
  Machine machine;
  machine.vcpu.eflags |= eflags::identification;
  ASSERT_TRUE(retired(machine.run({0x66, 0x9d})));
  EXPECT_EQ(machine.vcpu.eflags, eflags::identification | eflags::always_one);
  EXPECT_EQ(machine[Register::esp], Machine::stack + 2);
}

TEST(InterpreterPrivilege, PushfShowsNeitherVmNorRf) {
  Machine machine(Mode::virtual_8086, 3, 3);
  machine.vcpu.eflags |= eflags::resume | eflags::interrupt;
  ASSERT_TRUE(retired(machine.run({0x66, 0x9c})));
  EXPECT_EQ(machine.memory.get32(Machine::stack - 4), 0x3202u);
}

TEST(InterpreterPrivilege, UserModeInstructionPrevention) {
  const std::initializer_list<int> instructions[] = {{0x0f, 0x01, 0x00},
                                                     {0x0f, 0x01, 0x08},
                                                     {0x0f, 0x00, 0xc0},
                                                     {0x0f, 0x00, 0xc8},
                                                     {0x0f, 0x01, 0xe0}};
  for (const auto& bytes : instructions) {
    Machine user(Mode::protected_32, 3);
    user.vcpu.cr4 = cr4::user_mode_instruction_prevention;
    EXPECT_EQ(fault(user.run(bytes)), general_protection);
    Machine kernel;
    kernel.vcpu.cr4 = cr4::user_mode_instruction_prevention;
    EXPECT_TRUE(retired(kernel.run(bytes)));
  }
}

TEST(InterpreterPrivilege, TimeStampDisable) {
  Machine user(Mode::protected_32, 3);
  user.vcpu.cr4 = cr4::time_stamp_disable;
  EXPECT_EQ(fault(user.run({0x0f, 0x31})), general_protection);
  Machine kernel;
  kernel.vcpu.cr4 = cr4::time_stamp_disable;
  ASSERT_TRUE(retired(kernel.run({0x0f, 0x31})));
  EXPECT_EQ(kernel[Register::eax], 0x3456789au);
  EXPECT_EQ(kernel[Register::edx], 0x12u);
}

// The I/O permission bitmap: SDM volume 1, 18.5.2.
struct BitmapCase {
  std::uint32_t tss_limit;
  std::uint16_t map_base;
  std::uint16_t port;
  int opcode;  // EC IN AL,DX; ED IN EAX,DX
  unsigned denied_port;
  bool allowed;
};
class InterpreterBitmap : public testing::TestWithParam<BitmapCase> {};

TEST_P(InterpreterBitmap, Decides) {
  const BitmapCase& c = GetParam();
  constexpr std::uint32_t tss = 0x4000;
  for (Mode mode : {Mode::protected_32, Mode::virtual_8086}) {
    // IOPL 3 does not help in V86 mode.
    Machine machine(mode, 3, mode == Mode::virtual_8086 ? 3 : 0);
    machine.vcpu.tr = {0x28, 0x8b, tss, c.tss_limit, true};
    machine.memory.put16(tss + 0x66, c.map_base);
    machine.memory.data()[tss + c.map_base + c.denied_port / 8] |=
        static_cast<std::uint8_t>(1u << c.denied_port % 8);
    machine[Register::edx] = c.port;
    // 66 in V86 mode: IN EAX there too. A segment prefix does nothing.
    const int prefix = mode == Mode::virtual_8086 ? 0x66 : 0x3e;
    EXPECT_EQ(retired(machine.run({prefix, c.opcode})), c.allowed);
    EXPECT_EQ(machine.environment.calls.empty(), !c.allowed);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, InterpreterBitmap,
    testing::Values(BitmapCase{0x2068, 0x68, 0x60, 0xec, 0x61, true},
                    BitmapCase{0x2068, 0x68, 0x60, 0xec, 0x60, false},
                    BitmapCase{0x2068, 0x68, 0x60, 0xed, 0x63, false},
                    BitmapCase{0x2068, 0x68, 0x60, 0xed, 0x64, true},
                    BitmapCase{0x2068, 0x68, 0x67, 0xed, 0x68, false},  // in the next byte
                    BitmapCase{0x2068, 0x68, 0xffff, 0xec, 0, true},
                    BitmapCase{0x2067, 0x68, 0xffff, 0xec, 0, false},  // no byte after the last
                    BitmapCase{0x75, 0x68, 0x60, 0xec, 0, true},
                    BitmapCase{0x74, 0x68, 0x60, 0xec, 0, false},
                    BitmapCase{0x66, 0x68, 0x0, 0xec, 0x100, false}));

TEST(InterpreterPrivilege, StringOutputAsksBeforeItLooksAtTheCount) {
  Machine machine(Mode::protected_32, 3);
  machine[Register::ecx] = 0;
  EXPECT_EQ(fault(machine.run({0xf3, 0x6e})), general_protection);
}

}  // namespace
}  // namespace undercroft::test
