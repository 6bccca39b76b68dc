#include "monitor/segment/far_transfer.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "machine.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
using test::same;
namespace access = test::access;

constexpr std::uint32_t next = 0x5007, target = 0x6000;
constexpr std::uint16_t gate_selector = Machine::scratch_2;

Guarded<Transfer> jump(Machine& m, std::uint16_t selector, unsigned size = 4) {
  return far_jump(m.vcpu, m.memory, m.environment, {selector, target}, size, next);
}
Guarded<Transfer> call(Machine& m, std::uint16_t selector, unsigned size = 4) {
  return far_call(m.vcpu, m.memory, m.environment, {selector, target}, size, next);
}
Exception gp(std::uint32_t code) { return Exception::general_protection(code); }
Exception np(std::uint32_t code) { return Exception::with_code(Vector::segment_not_present, code); }
Exception ts(std::uint32_t code) { return Exception::with_code(Vector::invalid_tss, code); }
Exception ss(std::uint32_t code) { return Exception::stack_fault(code); }

// Direct JMP and CALL: every type, DPL, RPL, CPL and P (SDM volume 2, JMP and CALL).
TEST(FarTransfer, DirectTruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    // Call and task gates and TSSs have tests of their own.
    if (cpl == 2 || (!s && (type == 1 || type == 4 || type == 5 || type == 9 || type == 12 ||
                            type == 3 || type == 11))) {
      continue;
    }
    for (const bool calls : {false, true}) {
      Machine machine;
      machine.at_level(cpl);
      const Descriptor d(0x0000ffff, 0x400000 | present << 15 | dpl << 13 | s << 12 | type << 8);
      machine.set(Machine::scratch, d);
      const Vcpu before = machine.vcpu;
      const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
      const auto result = calls ? call(machine, selector) : jump(machine, selector);
      const bool code = s && type >= 8, conforming = s && type >= 12;
      if (!code || (conforming ? dpl > cpl : rpl > cpl || dpl != cpl)) {
        ASSERT_EQ(result.error(), gp(Machine::scratch)) << bits;
      } else if (!present) {
        ASSERT_EQ(result.error(), np(Machine::scratch)) << bits;
      } else {
        ASSERT_TRUE(result.ok()) << bits;
        ASSERT_EQ(machine.vcpu.eip, target);
        ASSERT_EQ(machine.vcpu.cpl, cpl);
        ASSERT_EQ(machine.vcpu[Segment::cs], d.with_accessed().cache(Machine::scratch | cpl));
        ASSERT_EQ(machine.vcpu[Register::esp], before[Register::esp] - (calls ? 8 : 0));
        if (calls) {
          ASSERT_EQ(machine.stacked(0), next);
          ASSERT_EQ(machine.stacked(1), before[Segment::cs].selector);
        }
      }
      if (!result.ok()) {
        ASSERT_TRUE(same(machine.vcpu, before));
      }
    }
  }
}

TEST(FarTransfer, DirectRefusalsBesidesTheDescriptor) {
  Machine machine;
  const Vcpu before = machine.vcpu;
  EXPECT_EQ(jump(machine, 3).error(), gp(0));
  EXPECT_EQ(call(machine, 0).error(), gp(0));
  EXPECT_EQ(jump(machine, 0x100).error(), gp(0x100));
  machine.set(Machine::scratch, Descriptor::segment(0, target - 1, access::code));
  EXPECT_EQ(jump(machine, Machine::scratch).error(), gp(0));
  EXPECT_EQ(call(machine, Machine::scratch).error(), gp(0));
  machine.memory.page(Machine::kernel_stack - 1).writable = false;
  EXPECT_EQ(call(machine, Machine::code_0).error(),
            Exception::page_fault(GuestLinear(Machine::kernel_stack - 4), 3));
  EXPECT_TRUE(same(machine.vcpu, before));
  machine.vcpu[Segment::ss].limit = Machine::kernel_stack - 2;
  EXPECT_EQ(call(machine, Machine::code_0).error(), ss(0));
}

TEST(FarTransfer, SixteenBitOperandSize) {
  Machine machine;
  EXPECT_TRUE(
      far_call(machine.vcpu, machine.memory, machine.environment, {8, 0x12346000}, 2, next).ok());
  EXPECT_EQ(machine.vcpu.eip, 0x6000u);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 4);
  EXPECT_EQ(machine.stacked(0), Machine::code_0 << 16 | next);
}

// Call gates: gate DPL x RPL x CPL x code DPL x conforming, for JMP and CALL.
TEST(FarTransfer, CallGateTruthTable) {
  for (unsigned bits = 0; bits < 4 * 4 * 4 * 4 * 2 * 2; ++bits) {
    const unsigned gate_dpl = bits & 3, rpl = bits >> 2 & 3, cpl = bits >> 4 & 3;
    const unsigned dpl = bits >> 6 & 3;
    const bool conforming = bits >> 8 & 1, calls = bits >> 9 & 1;
    if (cpl == 2 || (dpl == 2 && cpl == 3)) continue;  // the machine has no stack for level 2
    Machine machine;
    machine.at_level(cpl);
    const std::uint16_t type = conforming ? access::conforming : access::code;
    machine.set(Machine::scratch, flat(access::dpl(type, dpl)));
    machine.set(gate_selector,
                Descriptor::gate(SystemType::call_gate_32, gate_dpl, Machine::scratch, 0x7000));
    const Vcpu before = machine.vcpu;
    const auto selector = static_cast<std::uint16_t>(gate_selector | rpl);
    const auto result = calls ? call(machine, selector) : jump(machine, selector);
    if (gate_dpl < cpl || gate_dpl < rpl) {
      ASSERT_EQ(result.error(), gp(gate_selector)) << bits;
    } else if (dpl > cpl || (!calls && !conforming && dpl != cpl)) {
      ASSERT_EQ(result.error(), gp(Machine::scratch)) << bits;
    } else {
      ASSERT_TRUE(result.ok()) << bits;
      const unsigned new_cpl = conforming ? cpl : dpl;
      ASSERT_EQ(machine.vcpu.cpl, new_cpl);
      ASSERT_EQ(machine.vcpu.eip, 0x7000u);
      ASSERT_EQ(machine.vcpu[Segment::cs].selector, Machine::scratch | new_cpl);
      if (calls && new_cpl < cpl) {
        ASSERT_EQ(machine.stacked(0), next);
        ASSERT_EQ(machine.stacked(1), before[Segment::cs].selector);
        ASSERT_EQ(machine.stacked(2), before[Register::esp]);
        ASSERT_EQ(machine.stacked(3), before[Segment::ss].selector);
      } else {
        ASSERT_EQ(machine.vcpu[Register::esp], before[Register::esp] - (calls ? 8 : 0));
      }
    }
    if (!result.ok()) {
      ASSERT_TRUE(same(machine.vcpu, before));
    }
  }
}

TEST(FarTransfer, CallGateCopiesParameters) {
  for (const bool wide : {false, true}) {
    Machine machine;
    machine.at_level(3);
    const SystemType type = wide ? SystemType::call_gate_32 : SystemType::call_gate_16;
    machine.set(gate_selector, Descriptor::gate(type, 3, Machine::code_0, 0x7000, 3));
    if (wide) {
      machine.push({0x33, 0x22, 0x11});
    } else {
      machine.push({0x4433, 0x220011});
    }
    const std::uint32_t esp = machine.vcpu[Register::esp];
    ASSERT_TRUE(call(machine, gate_selector | 3).ok());
    if (wide) {
      const std::uint32_t frame[] = {next, Machine::code_3, 0x11, 0x22, 0x33, esp, Machine::data_3};
      for (unsigned i = 0; i < 7; ++i) EXPECT_EQ(machine.stacked(i), frame[i]) << i;
      EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack - 28);
    } else {
      const std::uint32_t frame[] = {next, Machine::code_3, 0x11, 0x22, 0x4433,
                                     esp,  Machine::data_3};
      const std::uint32_t at = machine.vcpu[Register::esp];
      for (unsigned i = 0; i < 7; ++i) EXPECT_EQ(machine.memory.get16(at + 2 * i), frame[i]) << i;
      EXPECT_EQ(at, Machine::kernel_stack - 14);
    }
  }
}

// As for an interrupt's (interrupts_test.cpp).
TEST(FarTransfer, CallGateToStackOf16BitsLeavesTheUpperHalfOfEsp) {
  Machine machine;
  machine.at_level(3);
  machine.set(gate_selector,
              Descriptor::gate(SystemType::call_gate_32, 3, Machine::code_0, 0x7000));
  machine.set(Machine::scratch, flat(access::data & ~attribute::size_32));
  machine.set_inner_stack(0, Machine::scratch, Machine::kernel_stack);
  machine.vcpu[Register::esp] = 0xabcd9000;
  ASSERT_TRUE(call(machine, gate_selector | 3).ok());
  EXPECT_EQ(machine.vcpu[Register::esp], 0xabcd0000 | (Machine::kernel_stack - 16));
}

TEST(FarTransfer, CallGateThatFaultsAtAParameterHasPushedTheStackPointer) {
  Machine machine;
  machine.at_level(3);
  machine.set(gate_selector,
              Descriptor::gate(SystemType::call_gate_32, 3, Machine::code_0, 0x7000, 1));
  const std::uint32_t esp = machine.vcpu[Register::esp];
  machine.memory.page(esp).present = false;
  EXPECT_EQ(call(machine, gate_selector | 3).error(), Exception::page_fault(GuestLinear(esp), 4));
  EXPECT_EQ(machine.memory.get32(Machine::kernel_stack - 4), Machine::data_3);
  EXPECT_EQ(machine.memory.get32(Machine::kernel_stack - 8), esp);
}

struct Refusal {
  const char* name;
  std::function<void(Machine&)> put;
  Exception expected;
};

TEST(FarTransfer, CallGateRefusals) {
  constexpr std::uint16_t scratch = Machine::scratch;
  const auto code = [](std::uint16_t selector, Descriptor d) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.set(gate_selector, Descriptor::gate(SystemType::call_gate_32, 3, selector, 0x7000));
    };
  };
  const auto stack = [](std::uint16_t selector, Descriptor d) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.set_inner_stack(0, selector, Machine::kernel_stack);
    };
  };
  const Refusal refusals[] = {
      {"absent gate",
       [](Machine& m) {
         m.set(gate_selector, Descriptor(m.get(gate_selector).raw() & ~(1ull << 47)));
       },
       np(gate_selector)},
      {"null code", code(0, {}), gp(0)},
      {"code beyond table", code(0x103, {}), gp(0x100)},
      {"code is data", code(scratch, flat(access::data)), gp(scratch)},
      {"code absent", code(scratch, flat(access::absent(access::code))), np(scratch)},
      {"outside code", code(scratch, Descriptor::segment(0, 0x6fff, access::code)), gp(0)},
      {"TSS limit", [](Machine& m) { m.vcpu.tr.limit = 8; }, ts(Machine::tss_selector)},
      {"null stack", stack(0, {}), ts(0)},
      {"stack beyond table", stack(0x100, {}), ts(0x100)},
      {"stack RPL", stack(scratch | 3, flat(access::data)), ts(scratch)},
      {"stack DPL", stack(scratch, flat(access::dpl(access::data, 1))), ts(scratch)},
      {"stack type", stack(scratch, flat(access::code)), ts(scratch)},
      {"stack absent", stack(scratch, flat(access::absent(access::data))), ss(scratch)},
      {"stack room",
       stack(scratch, Descriptor::segment(0, Machine::kernel_stack - 2, access::data)),
       ss(scratch)},
  };
  for (const Refusal& refusal : refusals) {
    Machine machine;
    machine.at_level(3);
    machine.set(gate_selector,
                Descriptor::gate(SystemType::call_gate_32, 3, Machine::code_0, 0x7000));
    refusal.put(machine);
    const Vcpu before = machine.vcpu;
    EXPECT_EQ(call(machine, gate_selector).error(), refusal.expected) << refusal.name;
    EXPECT_TRUE(same(machine.vcpu, before)) << refusal.name;
  }
}

TEST(FarTransfer, ReturnWithinTheLevel) {
  Machine machine;
  machine.push({0xaaaa, 0xbbbb, Machine::code_0, target});
  EXPECT_TRUE(far_return(machine.vcpu, machine.memory, 4, 8).ok());
  EXPECT_EQ(machine.vcpu.eip, target);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack);
}

// The stack words that far transfers read and write are checked as an instruction's are.
TEST(FarTransfer, AlignmentOfTheStack) {
  for (unsigned cpl : {0u, 3u}) {
    for (const bool check : {false, true}) {
      for (unsigned distance = 0; distance < 4; ++distance) {
        Machine machine;
        machine.at_level(cpl);
        machine.vcpu.cr0 |= cr0::alignment_mask;
        if (check) machine.vcpu.eflags |= eflags::alignment_check;
        machine.vcpu[Register::esp] += distance;
        const std::uint16_t cs = machine.vcpu[Segment::cs].selector;
        const bool refused = cpl == 3 && check && distance != 0;
        const auto called =
            far_call(machine.vcpu, machine.memory, machine.environment, {cs, target}, 4, 0x5007);
        ASSERT_EQ(called.ok(), !refused) << cpl << check << distance;
        if (refused) {
          EXPECT_EQ(called.error(), Exception::alignment_check());
          machine.push({cs, target});
        }
        const auto returned = far_return(machine.vcpu, machine.memory, 4, 0);
        ASSERT_EQ(returned.ok(), !refused) << cpl << check << distance;
        if (refused) {
          EXPECT_EQ(returned.error(), Exception::alignment_check());
        }
      }
    }
  }
}

TEST(FarTransfer, ReturnToAnOuterLevelReleasesParametersOnBothStacks) {
  Machine machine;
  machine.vcpu[Segment::es] = machine.get(Machine::data_3).cache(Machine::data_3);
  machine.push({Machine::data_3, Machine::user_stack, 0xaaaa, 0xbbbb, Machine::code_3, target});
  EXPECT_TRUE(far_return(machine.vcpu, machine.memory, 4, 8).ok());
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::user_stack + 8);
  EXPECT_EQ(machine.vcpu[Segment::ss].selector, Machine::data_3);
  EXPECT_FALSE(machine.vcpu[Segment::ds].usable);
  EXPECT_TRUE(machine.vcpu[Segment::es].usable);
}

TEST(FarTransfer, ReturnRefusals) {
  constexpr std::uint16_t scratch = Machine::scratch;
  const auto to = [](std::uint16_t cs, Descriptor d, unsigned cpl = 0) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.at_level(cpl);
      m.push({Machine::data_3, 0x9000, cs, target});
    };
  };
  const auto with_stack = [](std::uint16_t selector, Descriptor d) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.push({selector, 0x9000, Machine::code_3, target});
    };
  };
  const Refusal refusals[] = {
      {"null CS", to(1, {}), gp(0)},
      {"CS beyond table", to(0x100, {}), gp(0x100)},
      {"CS is data", to(scratch, flat(access::data)), gp(scratch)},
      {"inner", to(Machine::code_0, {}, 3), gp(Machine::code_0)},
      {"DPL is not RPL", to(Machine::code_0 | 3, {}), gp(Machine::code_0)},
      {"conforming DPL above RPL", to(scratch | 1, flat(access::dpl(access::conforming, 3))),
       gp(scratch)},
      {"absent", to(scratch, flat(access::absent(access::code))), np(scratch)},
      {"outside", to(scratch, Descriptor::segment(0, target - 1, access::code)), gp(0)},
      {"null SS", with_stack(3, {}), gp(0)},
      {"SS RPL", with_stack(scratch | 2, flat(access::dpl(access::data, 3))), gp(scratch)},
      {"SS DPL", with_stack(scratch | 3, flat(access::dpl(access::data, 2))), gp(scratch)},
      {"SS absent", with_stack(scratch | 3, flat(access::absent(access::dpl(access::data, 3)))),
       ss(scratch)},
  };
  for (const Refusal& refusal : refusals) {
    Machine machine;
    refusal.put(machine);
    const Vcpu before = machine.vcpu;
    EXPECT_EQ(far_return(machine.vcpu, machine.memory, 4, 0).error(), refusal.expected)
        << refusal.name;
    EXPECT_TRUE(same(machine.vcpu, before)) << refusal.name;
  }
}

TEST(FarTransfer, RealModeKeepsTheLimitAndChecksIt) {
  Machine machine;
  machine.in_real_mode();
  machine.vcpu[Register::esp] = 0x7000;
  EXPECT_TRUE(call(machine, 0x1234, 2).ok());
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x1234, 0x93, 0x12340, 0xffff, true}));
  EXPECT_EQ(machine.memory.get16(0x6ffc), next);
  EXPECT_TRUE(far_return(machine.vcpu, machine.memory, 2, 0).ok());
  EXPECT_EQ(machine.vcpu.eip, next);
  EXPECT_EQ(machine.vcpu[Segment::cs].base, 0u);
  EXPECT_EQ(machine.vcpu[Register::esp], 0x7000u);
  const Vcpu before = machine.vcpu;
  EXPECT_EQ(far_jump(machine.vcpu, machine.memory, machine.environment, {0, 0x10000}, 4, 0).error(),
            gp(0));
  EXPECT_EQ(far_call(machine.vcpu, machine.memory, machine.environment, {0, 0x10000}, 4, 0).error(),
            gp(0));
  machine.vcpu[Register::esp] = 1;
  EXPECT_EQ(call(machine, 0, 2).error(), ss(0));
  machine.vcpu[Register::esp] = before[Register::esp];
  EXPECT_TRUE(same(machine.vcpu, before));
}

TEST(FarTransfer, Virtual8086Mode) {
  Machine machine;
  machine.in_virtual_8086(0);
  EXPECT_TRUE(jump(machine, 0x1234, 2).ok());
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x1234, 0xf3, 0x12340, 0xffff, true}));
  EXPECT_EQ(machine.vcpu.cpl, 3);
}

TEST(FarTransfer, TaskGatesAndTssDescriptorsNeedPrivilege) {
  for (unsigned dpl = 0; dpl < 4; ++dpl) {
    for (unsigned rpl = 0; rpl < 4; ++rpl) {
      for (unsigned cpl : {0u, 1u, 3u}) {
        for (const bool gate : {false, true}) {
          Machine machine;
          machine.at_level(cpl);
          // A busy TSS stands behind it: past the privilege check it is refused by its own
          // selector.
          const Descriptor busy = Descriptor::segment(0x6000, 0x67, access::dpl(0x8b, dpl));
          const std::uint16_t via = gate ? gate_selector : Machine::scratch;
          machine.set(Machine::scratch, busy);
          machine.set(gate_selector,
                      Descriptor::gate(SystemType::task_gate, dpl, Machine::scratch, 0));
          const bool allowed = dpl >= cpl && dpl >= rpl;
          const auto selector = static_cast<std::uint16_t>(via | rpl);
          EXPECT_EQ(jump(machine, selector).error(), gp(allowed ? Machine::scratch : via));
          EXPECT_EQ(call(machine, selector).error(), gp(allowed ? Machine::scratch : via));
        }
      }
    }
  }
}

TEST(FarTransfer, AbsentTaskGate) {
  Machine machine;
  const Descriptor gate = Descriptor::gate(SystemType::task_gate, 0, Machine::scratch, 0);
  machine.set(gate_selector, Descriptor(gate.raw() & ~(1ull << 47)));
  EXPECT_EQ(jump(machine, gate_selector).error(), np(gate_selector));
  EXPECT_EQ(call(machine, gate_selector).error(), np(gate_selector));
}

// Tables, TSS and inner stack are accessed as supervisor from CPL 3; the outer stack as user.
TEST(FarTransfer, PrivilegeOfAccesses) {
  Machine machine;
  machine.at_level(3);
  machine.set(gate_selector, Descriptor::gate(SystemType::call_gate_32, 3, Machine::code_0, 0, 1));
  machine.push({0x11});
  for (const std::uint32_t page : {Machine::gdt, Machine::tss, Machine::kernel_stack - 1}) {
    machine.memory.page(page).user = false;
  }
  const Vcpu before = machine.vcpu;
  EXPECT_TRUE(call(machine, gate_selector).ok());
  machine.vcpu = before;
  machine.memory.page(Machine::user_stack - 1).user = false;
  EXPECT_EQ(call(machine, gate_selector).error(),
            Exception::page_fault(GuestLinear(Machine::user_stack - 4), 5));
  EXPECT_EQ(call(machine, Machine::code_3).error(),
            Exception::page_fault(GuestLinear(Machine::user_stack - 8), 7));
  EXPECT_EQ(far_return(machine.vcpu, machine.memory, 4, 0).error(),
            Exception::page_fault(GuestLinear(Machine::user_stack - 4), 5));
}

}  // namespace
}  // namespace undercroft
