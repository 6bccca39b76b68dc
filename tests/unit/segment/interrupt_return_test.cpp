// IRET, SYSENTER and SYSEXIT (monitor/segment/interrupt_return.cpp).
#include <gtest/gtest.h>

#include <functional>

#include "machine.hpp"
#include "monitor/segment/far_transfer.hpp"

namespace undercroft {
namespace {

using test::flat;
using test::Machine;
using test::same;
namespace access = test::access;

constexpr std::uint32_t all_flags = 0x003f7fd7;
constexpr std::uint32_t quiet_flags = all_flags & ~(eflags::virtual_8086 | eflags::nested_task);

Guarded<Transfer> iret(Machine& machine, unsigned size = 4) {
  return interrupt_return(machine.vcpu, machine.memory, machine.environment, size, 0x5001);
}
Exception gp(std::uint32_t code) { return Exception::general_protection(code); }

TEST(InterruptReturn, SameLevel) {
  Machine machine;
  machine.push({0x246, Machine::code_0, 0x6000});
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu.eip, 0x6000u);
  EXPECT_EQ(machine.vcpu.eflags, 0x246u);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::kernel_stack);
}

TEST(InterruptReturn, ToUserLoadsTheOuterStackAndDropsKernelSegments) {
  Machine machine;
  machine.vcpu[Segment::es] = machine.get(Machine::data_3).cache(Machine::data_3);
  machine.vcpu[Segment::fs] = machine.get(Machine::conforming_0).cache(Machine::conforming_0);
  machine.vcpu[Segment::gs] = machine.get(Machine::data_1).cache(Machine::data_1);
  const Vcpu before = machine.vcpu;
  machine.push({Machine::data_3, Machine::user_stack, 0x3202, Machine::code_3, 0x6000});
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu.eflags, 0x3202u);
  EXPECT_EQ(machine.vcpu[Register::esp], Machine::user_stack);
  EXPECT_EQ(machine.vcpu[Segment::ss].selector, Machine::data_3);
  EXPECT_EQ(machine.vcpu[Segment::cs].selector, Machine::code_3);
  EXPECT_EQ(machine.vcpu[Segment::ds], null_cache(0));
  EXPECT_EQ(machine.vcpu[Segment::es], before[Segment::es]);
  EXPECT_EQ(machine.vcpu[Segment::fs], before[Segment::fs]);  // conforming code
  EXPECT_EQ(machine.vcpu[Segment::gs], null_cache(0));
}

// A null selector has no privilege level that would let it stay.
TEST(InterruptReturn, ToUserMakesAnyNullSelectorZero) {
  Machine machine;
  machine.vcpu[Segment::ds] = null_cache(3);
  machine.vcpu[Segment::gs] = null_cache(1);
  machine.push({Machine::data_3, Machine::user_stack, 0x3202, Machine::code_3, 0x6000});
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu[Segment::ds], null_cache(0));
  EXPECT_EQ(machine.vcpu[Segment::gs], null_cache(0));
}

// Which flags change, by CPL, IOPL and operand size: SDM volume 2, IRET, and volume 1, 3.4.3.
TEST(InterruptReturn, FlagsByPrivilege) {
  for (unsigned cpl : {0u, 1u, 3u}) {
    for (unsigned iopl = 0; iopl < 4; ++iopl) {
      for (unsigned size : {2u, 4u}) {
        for (const bool set : {false, true}) {
          Machine machine;
          machine.at_level(cpl);
          const std::uint32_t old = eflags::always_one | iopl << eflags::iopl_shift |
                                    (set ? 0 : quiet_flags & ~(eflags::iopl | 0x180000));
          machine.vcpu.eflags = old;
          const std::uint32_t popped = set ? quiet_flags : eflags::always_one;
          const std::uint16_t cs = machine.vcpu[Segment::cs].selector;
          if (size == 4) {
            machine.push({popped, cs, 0x6000});
          } else {
            machine.push({popped & 0xffff, cs << 16 | 0x6000u});  // IP, CS, FLAGS upwards
          }
          ASSERT_TRUE(iret(machine, size).ok());
          std::uint32_t mask = 0x4dd5;      // CF PF AF ZF SF TF DF OF NT
          if (size == 4) mask |= 0x250000;  // RF AC ID
          if (cpl <= iopl) mask |= 0x200;
          if (cpl == 0) mask |= 0x3000;
          // VIF and VIP never: there is no VME.
          ASSERT_EQ(machine.vcpu.eflags, (old & ~mask) | (popped & mask)) << cpl << iopl << size;
        }
      }
    }
  }
}

struct Refusal {
  const char* name;
  std::function<void(Machine&)> put;
  Exception expected;
};

TEST(InterruptReturn, Refusals) {
  constexpr std::uint16_t scratch = Machine::scratch;
  const auto to = [](std::uint16_t cs, Descriptor d, unsigned cpl = 0) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.at_level(cpl);
      m.push({Machine::data_3, 0x9000, 2, cs, 0x6000});
    };
  };
  const auto with_stack = [](std::uint16_t ss, Descriptor d) {
    return [=](Machine& m) {
      m.set(scratch, d);
      m.push({ss, 0x9000, 2, Machine::code_3, 0x6000});
    };
  };
  const auto np = [](std::uint32_t code) {
    return Exception::with_code(Vector::segment_not_present, code);
  };
  const Descriptor user_data = flat(access::dpl(access::data, 3));
  const Refusal refusals[] = {
      {"null CS", to(2, {}), gp(0)},
      {"CS beyond table", to(0x103, {}), gp(0x100)},
      {"CS is data", to(scratch, flat(access::data)), gp(scratch)},
      {"CS inner", to(Machine::code_0, {}, 3), gp(Machine::code_0)},
      {"CS DPL below RPL", to(Machine::code_0 | 3, {}), gp(Machine::code_0)},
      {"conforming DPL above RPL", to(scratch | 1, flat(access::dpl(access::conforming, 2))),
       gp(scratch)},
      {"CS absent", to(scratch, flat(access::absent(access::code))), np(scratch)},
      {"outside CS", to(scratch, Descriptor::segment(0, 0x5fff, access::code)), gp(0)},
      {"null SS", with_stack(0, {}), gp(0)},
      {"SS beyond table", with_stack(0x103, {}), gp(0x100)},
      {"SS RPL", with_stack(scratch | 1, user_data), gp(scratch)},
      {"SS DPL", with_stack(scratch | 3, flat(access::data)), gp(scratch)},
      {"SS read-only", with_stack(scratch | 3, flat(access::dpl(access::read_only, 3))),
       gp(scratch)},
      {"SS absent", with_stack(scratch | 3, flat(access::absent(access::dpl(access::data, 3)))),
       Exception::stack_fault(scratch)},
      {"stack limit",
       [](Machine& m) {
         m.vcpu[Register::esp] = 0x7ff8;
         m.vcpu[Segment::ss].limit = 0x7fff;
       },
       Exception::stack_fault()},
      {"stack page",
       [](Machine& m) {
         m.vcpu[Register::esp] = 0x7ff8;
         m.memory.page(0x8000).present = false;
       },
       Exception::page_fault(GuestLinear(0x8000), 0)},
      {"V86 without IOPL 3", [](Machine& m) { m.in_virtual_8086(2); }, gp(0)},
      {"V86 offset",
       [](Machine& m) {
         m.push({0, 0, 0, 0, 0, 0, eflags::virtual_8086 | 2, 0, 0x10000});
       },
       gp(0)},
  };
  for (const Refusal& refusal : refusals) {
    Machine machine;
    refusal.put(machine);
    const Vcpu before = machine.vcpu;
    const auto result = iret(machine);
    EXPECT_EQ(result.error(), refusal.expected) << refusal.name;
    EXPECT_FALSE(result.ok()) << refusal.name;
    EXPECT_TRUE(same(machine.vcpu, before)) << refusal.name;
  }
}

TEST(InterruptReturn, ToVirtual8086Mode) {
  Machine machine;
  machine.push({0x600, 0x500, 0x400, 0x300, 0x200, 0xabcd1234,
                eflags::virtual_8086 | eflags::iopl | eflags::interrupt | 2, 0xffff0100, 0x77});
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu.eflags, 0x23202u);
  EXPECT_EQ(machine.vcpu[Register::esp], 0xabcd1234u);
  EXPECT_EQ(machine.vcpu.eip, 0x77u);
  const std::uint16_t order[] = {0x300, 0x100, 0x200, 0x400, 0x500, 0x600};  // ES CS SS DS FS GS
  for (unsigned s = 0; s < 6; ++s) {
    EXPECT_EQ(machine.vcpu.segments[s],
              (DescriptorCache{order[s], 0xf3, order[s] * 16u, 0xffff, true}));
  }
}

TEST(InterruptReturn, VmBitIsIgnoredOutsideLevelZero) {
  Machine machine;
  machine.at_level(1);
  machine.push({eflags::virtual_8086 | 2, Machine::code_1, 0x6000});
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu.eflags, eflags::always_one);
  EXPECT_EQ(machine.vcpu.cpl, 1);
}

TEST(InterruptReturn, WithinVirtual8086Mode) {
  Machine machine;
  machine.in_virtual_8086(3);
  machine.vcpu[Register::esp] = 0x12340000 - 6;
  machine.memory.put16(0xfffa, 0x6000);
  machine.memory.put16(0xfffc, 0x0123);
  machine.memory.put16(0xfffe, 0x0000);
  EXPECT_TRUE(iret(machine, 2).ok());
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x123, 0xf3, 0x1230, 0xffff, true}));
  EXPECT_EQ(machine.vcpu.eip, 0x6000u);
  EXPECT_EQ(machine.vcpu.eflags, 0x23002u);  // VM and IOPL stay
  EXPECT_EQ(machine.vcpu[Register::esp], 0x12330000u);
}

TEST(InterruptReturn, RealMode) {
  Machine machine;
  machine.in_real_mode();
  machine.vcpu[Register::esp] = 0x7000;
  machine.memory.put16(0x7000, 0x6000);
  machine.memory.put16(0x7002, 0x0123);
  machine.memory.put16(0x7004, 0x7246);
  EXPECT_TRUE(iret(machine, 2).ok());
  EXPECT_EQ(machine.vcpu.eflags, 0x7246u);
  EXPECT_EQ(machine.vcpu[Segment::cs].base, 0x1230u);
  EXPECT_EQ(machine.vcpu[Register::esp], 0x7006u);
  EXPECT_EQ(machine.vcpu.cpl, 0);
}

TEST(InterruptReturn, SixteenBitStackKeepsTheUpperHalfOfEsp) {
  Machine machine;
  machine.set(Machine::scratch, Descriptor::segment(0, 0xffff, 0x00f3));
  machine.push({Machine::scratch | 3, 0x89ab9000, 2, Machine::code_3, 0x6000});
  machine.vcpu[Segment::ss].base = 0u - 0x7fff0000u;
  machine.vcpu[Register::esp] += 0x7fff0000;
  const std::uint32_t old_upper = machine.vcpu[Register::esp] & 0xffff0000;
  EXPECT_TRUE(iret(machine).ok());
  EXPECT_EQ(machine.vcpu[Register::esp], old_upper | 0x9000);
}

TEST(FastCall, EnterLoadsFlatSegments) {
  Machine machine;
  machine.at_level(3);
  machine.vcpu.eflags |= eflags::interrupt | eflags::resume | eflags::trap;
  machine.vcpu.sysenter_cs = Machine::code_0 | 3;
  machine.vcpu.sysenter_eip = 0xc0001234;
  machine.vcpu.sysenter_esp = 0xc0005678;
  const Vcpu before = machine.vcpu;
  EXPECT_TRUE(system_enter(machine.vcpu).ok());
  EXPECT_EQ(machine.vcpu.cpl, 0);
  EXPECT_EQ(machine.vcpu.eip, 0xc0001234u);
  EXPECT_EQ(machine.vcpu[Register::esp], 0xc0005678u);
  EXPECT_EQ(machine.vcpu.eflags, eflags::always_one | eflags::resume | eflags::trap);
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{Machine::code_0, 0xc09b, 0, ~0u, true}));
  EXPECT_EQ(machine.vcpu[Segment::ss], (DescriptorCache{Machine::data_0, 0xc093, 0, ~0u, true}));
  EXPECT_EQ(machine.vcpu[Segment::ds], before[Segment::ds]);
}

TEST(FastCall, ExitLoadsFlatUserSegments) {
  Machine machine;
  machine.vcpu.sysenter_cs = Machine::code_0;
  machine.vcpu[Register::edx] = 0x1234;
  machine.vcpu[Register::ecx] = 0x5678;
  EXPECT_TRUE(system_exit(machine.vcpu).ok());
  EXPECT_EQ(machine.vcpu.cpl, 3);
  EXPECT_EQ(machine.vcpu.eip, 0x1234u);
  EXPECT_EQ(machine.vcpu[Register::esp], 0x5678u);
  EXPECT_EQ(machine.vcpu[Segment::cs], (DescriptorCache{0x1b, 0xc0fb, 0, ~0u, true}));
  EXPECT_EQ(machine.vcpu[Segment::ss], (DescriptorCache{0x23, 0xc0f3, 0, ~0u, true}));
}

TEST(FastCall, Refusals) {
  for (unsigned cpl : {0u, 1u, 3u}) {
    for (std::uint32_t cs : {0u, 3u, 4u, 0x10000u}) {
      for (const bool protected_mode : {false, true}) {
        Machine machine;
        machine.at_level(cpl);
        machine.vcpu.sysenter_cs = cs;
        if (!protected_mode) machine.vcpu.cr0 &= ~cr0::protection_enable;
        const bool enabled = protected_mode && cs == 4;
        const Vcpu before = machine.vcpu;
        const auto left = system_exit(machine.vcpu);
        EXPECT_EQ(left.ok(), enabled && cpl == 0);
        machine.vcpu = before;
        const auto entered = system_enter(machine.vcpu);
        EXPECT_EQ(entered.ok(), enabled);
        if (!enabled) {
          EXPECT_EQ(entered.error(), gp(0));
          EXPECT_EQ(left.error(), gp(0));
          EXPECT_TRUE(same(machine.vcpu, before));
        }
      }
    }
  }
}

}  // namespace
}  // namespace undercroft
