#include "monitor/segment/verify.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"

namespace undercroft {
namespace {

using test::Machine;

// Every type, DPL, RPL, CPL and P against the pseudo-code of LAR, LSL, VERR and VERW.
TEST(Verify, TruthTable) {
  for (unsigned bits = 0; bits < 2 * 32 * 4 * 4 * 4; ++bits) {
    const unsigned type = bits & 15, s = bits >> 4 & 1, dpl = bits >> 5 & 3, rpl = bits >> 7 & 3;
    const unsigned cpl = bits >> 9 & 3, present = bits >> 11 & 1;
    Machine machine;
    machine.vcpu.cpl = static_cast<std::uint8_t>(cpl);
    const std::uint32_t high = 0x00d30000 | present << 15 | dpl << 13 | s << 12 | type << 8;
    machine.set(Machine::scratch, Descriptor(0x00001234, high));
    const auto selector = static_cast<std::uint16_t>(Machine::scratch | rpl);
    const bool visible = (s && type >= 12) || (dpl >= cpl && dpl >= rpl);
    const bool limited = s || type == 1 || type == 2 || type == 3 || type == 9 || type == 11;
    const bool gate = !s && (type == 4 || type == 5 || type == 12);

    const auto rights = access_rights(machine.vcpu, machine.memory, selector);
    ASSERT_EQ(rights.value().has_value(), visible && (limited || gate)) << bits;
    if (rights.value()) {
      ASSERT_EQ(*rights.value(), high & 0x00f0ff00);
    }
    const auto limit = segment_limit(machine.vcpu, machine.memory, selector);
    ASSERT_EQ(limit.value().has_value(), visible && limited) << bits;
    if (limit.value()) {
      ASSERT_EQ(*limit.value(), 0x31234fffu);
    }
    ASSERT_EQ(verify_read(machine.vcpu, machine.memory, selector).value(),
              visible && s && (type < 8 || (type & 2)))
        << bits;
    ASSERT_EQ(verify_write(machine.vcpu, machine.memory, selector).value(),
              visible && s && type < 8 && (type & 2))
        << bits;
  }
}

TEST(Verify, NullAndOutOfReachSelectorsAreNotAccessible) {
  Machine machine;
  machine.vcpu.ldtr = null_cache(0);
  for (const std::uint16_t selector : {0, 3, 0x100, 0xc}) {
    EXPECT_FALSE(access_rights(machine.vcpu, machine.memory, selector).value());
    EXPECT_FALSE(segment_limit(machine.vcpu, machine.memory, selector).value());
    EXPECT_FALSE(verify_read(machine.vcpu, machine.memory, selector).value());
    EXPECT_FALSE(verify_write(machine.vcpu, machine.memory, selector).value());
  }
}

TEST(Verify, PageFaultOfTheTableIsRaised) {
  Machine machine;
  machine.memory.page(Machine::gdt).present = false;
  EXPECT_EQ(access_rights(machine.vcpu, machine.memory, 8).error(),
            Exception::page_fault(GuestLinear(Machine::gdt + 8), 0));
}

TEST(Verify, AdjustedRpl) {
  for (unsigned destination = 0; destination < 4; ++destination) {
    for (unsigned source = 0; source < 4; ++source) {
      const auto result = adjusted_rpl(static_cast<std::uint16_t>(0x1230 | destination),
                                       static_cast<std::uint16_t>(0xffc | source));
      EXPECT_EQ(result.has_value(), destination < source);
      if (result) {
        EXPECT_EQ(*result, 0x1230 | source);
      }
    }
  }
}

}  // namespace
}  // namespace undercroft
