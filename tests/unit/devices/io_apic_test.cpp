// The 82093AA's pins and entries, with the local APIC that it speaks to.
#include "monitor/devices/io_apic.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

struct IoApicTest : testing::Test {
  LocalApic local{true};
  IoApic io;

  std::uint32_t read(unsigned index) {
    io.write(0x00, index, local);
    return io.read(0x10);
  }
  void write(unsigned index, std::uint32_t value) {
    io.write(0x00, index, local);
    io.write(0x10, value, local);
  }
  std::uint32_t entry(unsigned pin) { return read(0x10 + 2 * pin); }
  void set_entry(unsigned pin, std::uint32_t low, std::uint32_t high = 0) {
    write(0x11 + 2 * pin, high);
    write(0x10 + 2 * pin, low);
  }
  // One interrupt with its end; 0 if there is none.
  unsigned take() {
    if (!local.interrupt_pending()) return 0;
    const unsigned vector = local.acknowledge();
    if (const std::uint8_t ended = local.end_interrupt()) io.end_interrupt(ended, local);
    return vector;
  }
};

TEST_F(IoApicTest, Registers) {
  EXPECT_EQ(read(1), 0x00170011u);
  write(1, ~0u);
  EXPECT_EQ(read(1), 0x00170011u);
  write(0, ~0u);
  EXPECT_EQ(read(0), 0x0f000000u);
  EXPECT_EQ(read(2), 0x0f000000u);
  EXPECT_EQ(read(3), 0u);
  EXPECT_EQ(read(0x40), 0u);
  EXPECT_EQ(io.read(0x00), 0x40u);
  for (unsigned pin = 0; pin < IoApic::pin_count; ++pin) {
    EXPECT_EQ(entry(pin), 0x10000u);
    set_entry(pin, ~0u, ~0u);
    EXPECT_EQ(entry(pin), 0x1afffu) << pin;
    EXPECT_EQ(read(0x11 + 2 * pin), 0xff000000u) << pin;
  }
}

TEST_F(IoApicTest, EdgesComeOnceAndMaskedOnesAreLost) {
  set_entry(5, 0x45);
  io.set_pin(5, true, local);
  io.set_pin(5, true, local);
  EXPECT_EQ(take(), 0x45u);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(entry(5), 0x45u);
  io.set_pin(5, false, local);
  set_entry(5, 0x10045);
  io.set_pin(5, true, local);
  set_entry(5, 0x45);
  EXPECT_EQ(take(), 0u);
}

TEST_F(IoApicTest, PulsesAreEdges) {
  set_entry(2, 0x50);
  for (int i = 0; i < 2; ++i) {
    io.pulse(2, local);
    EXPECT_EQ(take(), 0x50u);
  }
  set_entry(2, 0x10050);
  io.pulse(2, local);
  EXPECT_EQ(take(), 0u);
}

TEST_F(IoApicTest, ALevelComesUntilItFalls) {
  set_entry(10, 0x806a);
  io.set_pin(10, true, local);
  EXPECT_EQ(entry(10), 0xc06au) << "remote IRR";
  EXPECT_EQ(take(), 0x6au);
  EXPECT_EQ(take(), 0x6au);
  io.set_pin(10, false, local);
  EXPECT_EQ(take(), 0x6au) << "accepted before it fell";
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(entry(10), 0x806au);
}

TEST_F(IoApicTest, AnEndIsForItsVectorOnly) {
  set_entry(10, 0x806a);
  set_entry(11, 0x806b);
  set_entry(12, 0x806a);
  for (const unsigned pin : {10u, 11u, 12u}) io.set_pin(pin, true, local);
  for (const unsigned pin : {10u, 11u, 12u}) io.set_pin(pin, false, local);
  io.end_interrupt(0x6a, local);
  EXPECT_EQ(entry(10), 0x806au);
  EXPECT_EQ(entry(11), 0xc06bu);
  EXPECT_EQ(entry(12), 0x806au);
}

TEST_F(IoApicTest, AMaskedLevelIsToldWhenTheMaskGoes) {
  set_entry(10, 0x1806a);
  io.set_pin(10, true, local);
  EXPECT_EQ(take(), 0u);
  set_entry(10, 0x806a);
  io.set_pin(10, false, local);
  EXPECT_EQ(take(), 0x6au);
}

TEST_F(IoApicTest, RemoteIrrIsReadOnlyAndGoesWithTheTriggerMode) {
  set_entry(10, 0x806a);
  io.set_pin(10, true, local);
  set_entry(10, 0x1806a);
  EXPECT_EQ(entry(10), 0x1c06au);
  set_entry(10, 0x1006a);
  EXPECT_EQ(entry(10), 0x1006au);
  set_entry(10, 0x1c06a);
  EXPECT_EQ(entry(10), 0x1806au) << "not set by hand";
}

TEST_F(IoApicTest, ALevelThatNobodyTakesWaits) {
  set_entry(10, 0x806a, 7u << 24);
  io.set_pin(10, true, local);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(entry(10), 0x806au);
  local.write(0x020, 7u << 24, 0);  // the ID
  io.offer_levels(local);
  EXPECT_EQ(take(), 0x6au);
}

TEST_F(IoApicTest, OtherModesAreEdges) {
  set_entry(3, 0x8400);
  EXPECT_TRUE(io.gives_nmi());
  io.set_pin(3, true, local);
  EXPECT_TRUE(local.nmi_pending());
  EXPECT_EQ(entry(3), 0x8400u) << "no remote IRR";
  local.take_nmi();
  io.offer_levels(local);
  EXPECT_FALSE(local.nmi_pending());
  io.set_pin(3, false, local);
  set_entry(3, 0x200);  // SMI: there is none
  io.set_pin(3, true, local);
  EXPECT_FALSE(local.interrupt_pending());
  set_entry(4, 0x500);
  io.set_pin(4, true, local);
  EXPECT_TRUE(local.init_requested());
}

TEST_F(IoApicTest, ExternalOnPin0) {
  EXPECT_FALSE(io.passes_external(local));
  set_entry(0, 0x700);
  EXPECT_TRUE(io.passes_external(local));
  set_entry(0, 0x700, 3u << 24);
  EXPECT_FALSE(io.passes_external(local)) << "for another";
  set_entry(0, 0x10700);
  EXPECT_FALSE(io.passes_external(local)) << "masked";
  set_entry(0, 0x700);
  local.write(0x0f0, 0x0ff, 0);
  EXPECT_FALSE(io.passes_external(local)) << "disabled by software";
}

}  // namespace
}  // namespace undercroft
