// Control and debug registers, descriptor-table registers, MSRs: values, #GP rules, and who is
// told.
#include <gtest/gtest.h>

#include "interpreter_machine.hpp"

namespace undercroft::test {
namespace {

using Calls = std::vector<std::string>;

struct Cr0Row {
  std::uint32_t before, written;
  bool allowed;
  std::uint32_t after;
  Calls calls;
};

TEST(InterpreterSystem, Cr0) {
  const std::uint32_t et = cr0::extension_type, pe = cr0::protection_enable | et;
  const Cr0Row rows[] = {
      {pe, pe | cr0::paging, true, pe | cr0::paging, {"paging"}},
      {pe, cr0::paging, false, pe, {}},
      {pe, pe | cr0::not_write_through, false, pe, {}},
      {pe,
       pe | cr0::not_write_through | cr0::cache_disable,
       true,
       pe | cr0::not_write_through | cr0::cache_disable,
       {}},
      {pe, 0, true, et, {"paging"}},
      {pe, pe | cr0::write_protect, true, pe | cr0::write_protect, {"paging"}},
      {pe, pe | cr0::task_switched, true, pe | cr0::task_switched, {"fpu"}},
      {pe,
       pe | cr0::emulation | cr0::write_protect,
       true,
       pe | cr0::emulation | cr0::write_protect,
       {"paging", "fpu"}},
      {pe, pe | cr0::alignment_mask, true, pe | cr0::alignment_mask, {"fpu"}},
      {pe, pe | cr0::numeric_error, true, pe | cr0::numeric_error, {}},  // always set on the host
      {pe, pe | 0x1ffaffc0, true, pe, {}},                               // reserved bits vanish
      {pe, pe, true, pe, {}},
  };
  for (const Cr0Row& row : rows) {
    Machine machine;
    machine.vcpu.cr0 = row.before;
    machine[Register::eax] = row.written;
    const StepOutcome outcome = machine.run({0x0f, 0x22, 0xc0});
    EXPECT_EQ(retired(outcome), row.allowed) << row.written;
    EXPECT_EQ(machine.vcpu.cr0, row.after) << row.written;
    EXPECT_EQ(machine.environment.calls, row.calls) << row.written;
  }
}

TEST(InterpreterSystem, Cr4TakesWhatTheModelAllows) {
  Machine machine;
  machine[Register::ecx] = cr4::page_size_extensions;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x22, 0xe1})));
  EXPECT_EQ(machine.vcpu.cr4, cr4::page_size_extensions);
  machine[Register::ecx] = 1u << 13;
  EXPECT_EQ(fault(machine.run({0x0f, 0x22, 0xe1})), general_protection);
  machine[Register::ecx] = cr4::page_size_extensions | cr4::os_fxsr;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x22, 0xe1})));
  EXPECT_EQ(machine.environment.calls, (Calls{"paging", "fpu"}));
}

TEST(InterpreterSystem, Cr3TellsAlsoOfTheSameValue) {
  Machine machine;
  machine.vcpu.cr3 = machine[Register::eax] = 0x5000;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x22, 0xd8})));
  EXPECT_EQ(machine.environment.calls, Calls{"root"});
  machine.vcpu.cr2 = 0x1234;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x20, 0xd3})));  // mov ebx, cr2
  EXPECT_EQ(machine[Register::ebx], 0x1234u);
}

// SDM volume 3, 4.4.1.
TEST(InterpreterSystem, PagePointersAreLatchedWithPaePaging) {
  constexpr std::array<std::uint64_t, 4> some{0x1001, 0, 0x2001, 0}, others{0x5001, 1, 2, 3};
  Machine machine;
  Vcpu& vcpu = machine.vcpu;
  const auto load = [&](int number, std::uint32_t value) {
    machine[Register::eax] = value;
    return machine.run({0x0f, 0x22, 0xc0 + 8 * number});
  };
  machine.environment.pointers = some;
  // Nothing is latched before both PG and PAE are set.
  vcpu.cr4 = cr4::physical_address_extension;
  ASSERT_TRUE(retired(load(3, 0x5020)));
  EXPECT_EQ(vcpu.pdptes, (std::array<std::uint64_t, 4>{}));
  ASSERT_TRUE(retired(load(0, cr0::protection_enable | cr0::paging)));
  EXPECT_EQ(vcpu.pdptes, some);
  EXPECT_EQ(machine.environment.pointers_of, 0x5020u);
  machine.environment.pointers = others;
  ASSERT_TRUE(retired(load(3, 0x6040)));
  EXPECT_EQ(vcpu.pdptes, others);
  EXPECT_EQ(machine.environment.pointers_of, 0x6040u);
  // WP latches nothing; CD, PSE and PGE do.
  machine.environment.pointers = some;
  ASSERT_TRUE(retired(load(0, vcpu.cr0 | cr0::write_protect)));
  EXPECT_EQ(vcpu.pdptes, others);
  machine.environment.calls.clear();
  ASSERT_TRUE(retired(load(0, vcpu.cr0 | cr0::cache_disable)));
  EXPECT_EQ(vcpu.pdptes, some);
  EXPECT_EQ(machine.environment.calls, Calls{"paging"}) << "the address space is another";
  for (const std::uint32_t bit : {cr4::page_size_extensions, cr4::page_global_enable}) {
    vcpu.pdptes = {};
    ASSERT_TRUE(retired(load(4, vcpu.cr4 | bit)));
    EXPECT_EQ(vcpu.pdptes, some);
  }
  // A reserved bit: the register and the pointers stay.
  machine.environment.pointers.reset();
  const Vcpu before = vcpu;
  EXPECT_EQ(fault(load(0, before.cr0 & ~cr0::cache_disable)), general_protection);
  EXPECT_EQ(fault(load(3, 0x7000)), general_protection);
  EXPECT_EQ(fault(load(4, before.cr4 & ~cr4::page_global_enable)), general_protection);
  EXPECT_EQ(vcpu.cr0, before.cr0);
  EXPECT_EQ(vcpu.cr3, before.cr3);
  EXPECT_EQ(vcpu.cr4, before.cr4);
  EXPECT_EQ(vcpu.pdptes, some);
}

TEST(InterpreterSystem, LmswSetsButDoesNotClearPe) {
  Machine machine;
  machine[Register::eax] = 0xfffffff0 | cr0::task_switched;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x01, 0xf0})));
  EXPECT_EQ(machine.vcpu.cr0, cr0::protection_enable | cr0::extension_type | cr0::task_switched);
  ASSERT_TRUE(retired(machine.run({0x0f, 0x06})));  // clts
  EXPECT_EQ(machine.vcpu.cr0, cr0::protection_enable | cr0::extension_type);
  EXPECT_EQ(machine.environment.calls, (Calls{"fpu", "fpu"}));
}

TEST(InterpreterSystem, DebugRegisters) {
  Machine machine;
  machine[Register::eax] = 0xffffffff;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x23, 0xf0})));  // mov dr6, eax
  EXPECT_EQ(machine.vcpu.dr6, 0xffffefffu);
  machine[Register::eax] = 0;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x23, 0xe0})));  // dr4 is dr6
  EXPECT_EQ(machine.vcpu.dr6, 0xffff0ff0u);
  machine.vcpu.cr4 = cr4::debugging_extensions;
  EXPECT_EQ(fault(machine.run({0x0f, 0x23, 0xe0})), invalid_opcode);
  machine[Register::eax] = 0xffffffff;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x23, 0xf8})));  // mov dr7, eax: sets GD too
  EXPECT_EQ(machine.vcpu.dr7, 0xffff27ffu);
  EXPECT_EQ(fault(machine.run({0x0f, 0x21, 0xc0})), Exception::without_code(Vector::debug));
  EXPECT_NE(machine.vcpu.dr6 & 0x2000, 0u);
  EXPECT_EQ(machine.environment.calls, (Calls{"debug", "debug", "debug"}));
}

TEST(InterpreterSystem, DescriptorTableRegisters) {
  Machine machine;
  machine.memory.put16(0x6000, 0x1234);
  machine.memory.put32(0x6002, 0xaabbccdd);
  machine[Register::ebx] = 0x6000;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x01, 0x13})));  // lgdt [ebx]
  EXPECT_EQ(machine.vcpu.gdtr, (TableRegister{GuestLinear(0xaabbccdd), 0x1234}));
  EXPECT_EQ(machine.environment.calls, Calls{"tables"});
  ASSERT_TRUE(retired(machine.run({0x66, 0x0f, 0x01, 0x1b})));  // lidt with 24 bits of base
  EXPECT_EQ(machine.vcpu.idtr, (TableRegister{GuestLinear(0xbbccdd), 0x1234}));
  machine[Register::ebx] = 0x6100;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x01, 0x03})));  // sgdt
  EXPECT_EQ(machine.memory.get16(0x6100), 0x1234u);
  EXPECT_EQ(machine.memory.get32(0x6102), 0xaabbccddu);
  EXPECT_EQ(machine.environment.calls.size(), 1u);
}

TEST(InterpreterSystem, SgdtWritesAllOrNothing) {
  Machine machine;
  machine.memory.page(0x7000).writable = false;
  machine[Register::ebx] = 0x6ffc;
  EXPECT_EQ(fault(machine.run({0x0f, 0x01, 0x03})), Exception::page_fault(GuestLinear(0x7000), 3));
  EXPECT_EQ(machine.memory.get32(0x6ffc), 0u);
}

TEST(InterpreterSystem, SgdtChecksTheAlignmentOfBothPartsBeforeItWrites) {
  for (std::uint32_t offset = 0; offset < 4; ++offset) {
    Machine machine;
    machine.vcpu.cpl = 3;
    machine.vcpu.cr0 |= cr0::alignment_mask;
    machine.vcpu.eflags |= eflags::alignment_check;
    machine.vcpu.gdtr = {GuestLinear(0xaabbccdd), 0x1234};
    machine.memory.page(0x6000).user = true;
    machine[Register::ebx] = 0x6100 + offset;
    const StepOutcome outcome = machine.run({0x0f, 0x01, 0x03});
    if (offset == 2) {  // limit on an even address, base on a multiple of 4
      ASSERT_TRUE(retired(outcome));
      EXPECT_EQ(machine.memory.get16(0x6102), 0x1234u);
    } else {
      EXPECT_EQ(fault(outcome), Exception::with_code(Vector::alignment_check, 0));
      EXPECT_EQ(machine.memory.get32(0x6100), 0u);
    }
  }
}

TEST(InterpreterSystem, Msrs) {
  Machine machine;
  machine[Register::ecx] = 0x1b;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x32})));
  EXPECT_EQ(machine[Register::edx], 0x1bu);
  EXPECT_EQ(machine[Register::eax], 7u);
  ASSERT_TRUE(retired(machine.run({0x0f, 0x30})));
  EXPECT_EQ(machine.environment.calls, Calls{"wrmsr 1b 1b 7"});
  machine[Register::ecx] = 0xbad;
  EXPECT_EQ(fault(machine.run({0x0f, 0x32})), general_protection);
  EXPECT_EQ(fault(machine.run({0x0f, 0x30})), general_protection);
}

TEST(InterpreterSystem, CpuidGivesAllFour) {
  Machine machine;
  machine[Register::eax] = 0x10;
  machine[Register::ecx] = 0x20;
  ASSERT_TRUE(retired(machine.run({0x0f, 0xa2})));
  EXPECT_EQ(machine[Register::eax], 0x11u);
  EXPECT_EQ(machine[Register::ebx], 0x22u);
  EXPECT_EQ(machine[Register::ecx], 3u);
  EXPECT_EQ(machine[Register::edx], 4u);
}

TEST(InterpreterSystem, InvlpgAddsTheBaseAndChecksNothing) {
  Machine machine;
  machine.vcpu[Segment::ds].base = 0x10000;
  machine.vcpu[Segment::ds].limit = 0;
  machine[Register::ebx] = 0x234;
  ASSERT_TRUE(retired(machine.run({0x0f, 0x01, 0x3b})));
  EXPECT_EQ(machine.environment.calls, Calls{"invlpg 10234"});
}

TEST(InterpreterSystem, PortsInAllWidths) {
  Machine machine;
  machine[Register::eax] = 0xffffffff;
  machine.run({0xe4, 0x60});  // in al, 0x60
  EXPECT_EQ(machine[Register::eax], 0xffffff44u);
  machine[Register::edx] = 0x1f0;
  machine.run({0x66, 0xed});  // in ax, dx
  EXPECT_EQ(machine[Register::eax], 0xffff3344u);
  machine.run({0xef});  // out dx, eax
  machine.run({0xe6, 0x80});
  EXPECT_EQ(machine.environment.calls,
            (Calls{"in 60 1", "in 1f0 2", "out 1f0 4 ffff3344", "out 80 1 44"}));
}

}  // namespace
}  // namespace undercroft::test
