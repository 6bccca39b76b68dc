#include "monitor/segment/linear_address.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"

namespace undercroft {
namespace {

using test::Machine;

struct LimitCase {
  std::uint16_t attributes;
  std::uint32_t limit, offset;
  unsigned size;
  bool allowed;
};

TEST(LinearAddress, Limits) {
  constexpr std::uint16_t up = 0x4093, down_32 = 0x4097, down_16 = 0x0097;
  const LimitCase cases[] = {
      {up, 0xffff, 0xffff, 1, true},
      {up, 0xffff, 0xffff, 2, false},
      {up, 0xffff, 0x10000, 1, false},
      {up, 0xffff, 0xfffc, 4, true},
      {up, 0xffff, 0xfffd, 4, false},
      {up, 0, 0, 1, true},
      {up, 0, 0, 2, false},
      {up, 0xfffffffe, 0xfffffffe, 1, true},
      {up, 0xfffffffe, 0xffffffff, 1, false},
      {up, 0xfffffffe, 0xfffffffe, 4, false},
      {up, 0xffffffff, 0xffffffff, 4, true},
      {down_32, 0xfff, 0xfff, 1, false},
      {down_32, 0xfff, 0x1000, 4, true},
      {down_32, 0xfff, 0xfffffffc, 4, true},
      {down_32, 0xfff, 0xfffffffd, 4, false},
      {down_16, 0xfff, 0xfffc, 4, true},
      {down_16, 0xfff, 0xfffd, 4, false},
      {down_16, 0xfff, 0x10000, 1, false},
      {down_16, 0xffff, 0xffff, 1, false},
      {down_32, 0xffffffff, 0xffffffff, 1, false},
      {0x409b, 0xfff, 0x1000, 1, false},
      {0x409b, 0xfff, 0xfff, 1, true},
      {0x409f, 0xfff, 0xffe, 2, true},  // conforming is not expand-down
  };
  for (const LimitCase& c : cases) {
    Vcpu vcpu;
    vcpu.cr0 |= cr0::protection_enable;
    vcpu[Segment::ds] = {8, c.attributes, 0x100, c.limit, true};
    const auto linear = linear_address(vcpu, Segment::ds, c.offset, c.size, Access::read);
    EXPECT_EQ(linear.ok(), c.allowed) << c.attributes << ' ' << c.limit << ' ' << c.offset;
    if (linear.ok()) {
      EXPECT_EQ(linear.value().value(), c.offset + 0x100);
    } else {
      EXPECT_EQ(linear.error(), Exception::general_protection());
    }
  }
}

// Type x access: SDM volume 3, table 3-1.
TEST(LinearAddress, RightsByType) {
  for (unsigned type = 0; type < 16; ++type) {
    const bool readable = type < 8 || (type & 2);
    const bool writable = type < 8 && (type & 2);
    Vcpu vcpu;
    vcpu.cr0 |= cr0::protection_enable;
    // Base 0 and 4 GB, so that the fast path has to be right too; expand-down needs a low limit.
    const std::uint32_t limit = type < 8 && (type & 4) ? 0xff : 0xffffffff;
    vcpu[Segment::ds] = {8, static_cast<std::uint16_t>(0x4090 | type), 0, limit, true};
    EXPECT_EQ(linear_address(vcpu, Segment::ds, 0x200, 4, Access::read).ok(), readable) << type;
    EXPECT_EQ(linear_address(vcpu, Segment::ds, 0x200, 4, Access::write).ok(), writable) << type;
    vcpu.cr0 &= ~cr0::protection_enable;
    EXPECT_TRUE(linear_address(vcpu, Segment::ds, 0x200, 4, Access::write).ok()) << type;
  }
}

TEST(LinearAddress, NullAndStackFaults) {
  Machine machine;
  for (const Segment segment : {Segment::es, Segment::ss}) {
    const Exception expected =
        segment == Segment::ss ? Exception::stack_fault() : Exception::general_protection();
    machine.vcpu[segment] = null_cache(0);
    EXPECT_EQ(linear_address(machine.vcpu, segment, 0, 1, Access::read).error(), expected);
    machine.vcpu[segment] = {8, 0x4093, 0, 0xff, true};
    EXPECT_EQ(linear_address(machine.vcpu, segment, 0x100, 1, Access::read).error(), expected);
  }
}

TEST(LinearAddress, VirtualModeWritesThroughCs) {
  Machine machine;
  machine.in_virtual_8086(0);
  EXPECT_TRUE(linear_address(machine.vcpu, Segment::cs, 0xfffe, 2, Access::write).ok());
  EXPECT_FALSE(linear_address(machine.vcpu, Segment::cs, 0xffff, 2, Access::write).ok());
}

}  // namespace
}  // namespace undercroft
