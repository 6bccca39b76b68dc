// Debug registers: which breakpoints an access or an instruction meets.
#include "monitor/breakpoints.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

// Breakpoint n with DR7's R/W and LEN fields, enabled globally.
Vcpu with_breakpoint(unsigned n, std::uint32_t address, unsigned on, unsigned length) {
  Vcpu vcpu;
  vcpu.breakpoints[n] = address;
  vcpu.dr7 = 0x400 | 2u << (2 * n) | (on | length << 2) << (16 + 4 * n);
  return vcpu;
}

constexpr unsigned execution = 0, write = 1, access = 3;
constexpr unsigned one_byte = 0, two_bytes = 1, four_bytes = 3;

TEST(Breakpoints, AreArmedByLocalAndGlobalEnables) {
  Vcpu vcpu;
  EXPECT_FALSE(breakpoints_armed(vcpu));
  for (unsigned bit = 0; bit < 8; ++bit) {
    vcpu.dr7 = 0x400 | 1u << bit;
    EXPECT_TRUE(breakpoints_armed(vcpu)) << bit;
  }
}

TEST(Breakpoints, ExecutionMeetsTheExactAddress) {
  for (unsigned n = 0; n < 4; ++n) {
    const Vcpu vcpu = with_breakpoint(n, 0x1234, execution, one_byte);
    EXPECT_EQ(execution_breakpoints(vcpu, GuestLinear(0x1234)), 1u << n);
    EXPECT_EQ(execution_breakpoints(vcpu, GuestLinear(0x1235)), 0u);
    EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1234), 1, true), 0u);
  }
}

TEST(Breakpoints, WritesMeetWhatTheyOverlap) {
  const Vcpu vcpu = with_breakpoint(1, 0x1004, write, four_bytes);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1003), 1, true), 0u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1003), 2, true), 2u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1007), 4, true), 2u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1008), 4, true), 0u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1004), 4, false), 0u);
  EXPECT_EQ(execution_breakpoints(vcpu, GuestLinear(0x1004)), 0u);
}

TEST(Breakpoints, AccessMeetsReadsAndWrites) {
  const Vcpu vcpu = with_breakpoint(3, 0x2001, access, two_bytes);  // cut to 0x2000
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x2000), 1, false), 8u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x2001), 1, true), 8u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x2002), 1, false), 0u);
}

// SDM volume 3, 17.2.4: R/W 10 means ports with CR4.DE set; it is undefined without, and met by
// nothing here.
TEST(Breakpoints, PortsNeedDebuggingExtensions) {
  constexpr unsigned port = 2;
  Vcpu vcpu = with_breakpoint(2, 0x81, port, two_bytes);  // cut to 0x80
  EXPECT_EQ(port_breakpoints(vcpu, 0x80, 1), 0u);
  vcpu.cr4 |= cr4::debugging_extensions;
  EXPECT_EQ(port_breakpoints(vcpu, 0x80, 1), 4u);
  EXPECT_EQ(port_breakpoints(vcpu, 0x81, 1), 4u);
  EXPECT_EQ(port_breakpoints(vcpu, 0x7e, 4), 4u);
  EXPECT_EQ(port_breakpoints(vcpu, 0x7f, 1), 0u);
  EXPECT_EQ(port_breakpoints(vcpu, 0x82, 2), 0u);
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x80), 1, true), 0u);
  const Vcpu memory = with_breakpoint(0, 0x80, access, one_byte);
  EXPECT_EQ(port_breakpoints(memory, 0x80, 1), 0u);
}

TEST(Breakpoints, HaveAPageIfTheyMeetMemory) {
  constexpr unsigned port = 2, eight_bytes = 2;
  constexpr std::uint32_t none = no_breakpoint_page;
  using Pages = BreakpointPages;
  EXPECT_EQ(breakpoint_pages(Vcpu{}), (Pages{none, none, none, none}));
  EXPECT_EQ(breakpoint_pages(with_breakpoint(0, 0x12345fff, execution, one_byte)),
            (Pages{0x12345, none, none, none}));
  EXPECT_EQ(breakpoint_pages(with_breakpoint(1, 0x12345fff, write, four_bytes)),
            (Pages{none, 0x12345, none, none}));
  EXPECT_EQ(breakpoint_pages(with_breakpoint(3, 0xffffffff, access, eight_bytes)),
            (Pages{none, none, none, 0xfffff}));
  Vcpu vcpu = with_breakpoint(2, 0x80, port, one_byte);
  EXPECT_EQ(breakpoint_pages(vcpu), (Pages{none, none, none, none}));
  EXPECT_FALSE(port_breakpoints_armed(vcpu));
  vcpu.cr4 |= cr4::debugging_extensions;
  EXPECT_TRUE(port_breakpoints_armed(vcpu));
  vcpu.dr7 &= ~0xffu;
  EXPECT_FALSE(port_breakpoints_armed(vcpu));
}

TEST(Breakpoints, DisabledOnesAreNotMet) {
  Vcpu vcpu = with_breakpoint(0, 0x1000, access, four_bytes);
  vcpu.dr7 &= ~0xffu;
  EXPECT_EQ(data_breakpoints(vcpu, GuestLinear(0x1000), 4, true), 0u);
}

}  // namespace
}  // namespace undercroft
