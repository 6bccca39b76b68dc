// The 8259 pair, by the data sheet's command words.
#include "monitor/devices/interrupt_controller.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace undercroft {
namespace {

constexpr std::uint8_t icw1 = 0x11, icw4_8086 = 0x01, icw4_auto_eoi = 0x03;
constexpr std::uint8_t eoi = 0x20, specific_eoi = 0x60;
constexpr std::uint8_t read_irr = 0x0a, read_isr = 0x0b, poll = 0x0c;

struct InterruptControllerTest : testing::Test {
  InterruptController pics;

  InterruptControllerTest() { initialise(icw4_8086); }

  void initialise(std::uint8_t icw4) {
    for (const std::uint8_t word : {icw1}) pics.write_master(0, word);
    for (const std::uint8_t word : {std::uint8_t{0x30}, std::uint8_t{0x04}, icw4}) {
      pics.write_master(1, word);
    }
    pics.write_slave(0, icw1);
    for (const std::uint8_t word : {std::uint8_t{0x38}, std::uint8_t{0x02}, icw4}) {
      pics.write_slave(1, word);
    }
  }
  std::uint8_t irr() {
    pics.write_master(0, read_irr);
    return pics.read_master(0);
  }
  std::uint8_t isr() {
    pics.write_master(0, read_isr);
    return pics.read_master(0);
  }
  std::uint8_t slave_isr() {
    pics.write_slave(0, read_isr);
    return pics.read_slave(0);
  }
  std::vector<unsigned> take_all() {  // with an EOI after each
    std::vector<unsigned> vectors;
    while (pics.pending() && vectors.size() < 32) {
      vectors.push_back(pics.acknowledge());
      if (vectors.back() >= 0x38) pics.write_slave(0, eoi);
      pics.write_master(0, eoi);
    }
    return vectors;
  }
  using Vectors = std::vector<unsigned>;
};

TEST(InterruptControllerAtStart, IsAsFirmwareLeavesIt) {
  InterruptController pics;
  EXPECT_EQ(pics.read_master(1), 0xb8);
  EXPECT_EQ(pics.read_slave(1), 0x8e);
  pics.set_line(1, true);
  EXPECT_EQ(pics.acknowledge(), 0x09);
  pics.write_master(0, eoi);
  pics.set_line(8, true);
  EXPECT_EQ(pics.acknowledge(), 0x70);
}

TEST_F(InterruptControllerTest, EachLineHasItsVector) {
  for (unsigned line = 0; line < 16; ++line) {
    if (line == 2) continue;
    pics.set_line(line, true);
    ASSERT_TRUE(pics.pending()) << line;
    EXPECT_EQ(pics.acknowledge(), 0x30 + line);
    EXPECT_FALSE(pics.pending()) << line;
    if (line >= 8) pics.write_slave(0, eoi);
    pics.write_master(0, eoi);
    pics.set_line(line, false);
  }
}

TEST_F(InterruptControllerTest, InitialisationClearsMaskServiceAndRequests) {
  pics.write_master(1, 0xff);
  pics.set_line(3, true);
  pics.write_master(0, icw1);
  EXPECT_EQ(pics.read_master(1), 0x00);
  EXPECT_EQ(irr(), 0x00) << "the line has to fall and rise again";
  pics.write_master(1, 0x47);  // ICW2: low three bits are not part of the base
  pics.write_master(1, 0x04);
  pics.write_master(1, icw4_8086);
  pics.set_line(3, false);
  pics.set_line(3, true);
  EXPECT_EQ(pics.acknowledge(), 0x43);
}

TEST_F(InterruptControllerTest, WithoutIcw4TheNextWriteIsTheMask) {
  pics.write_master(0, 0x10);
  pics.write_master(1, 0x30);
  pics.write_master(1, 0x04);
  pics.write_master(1, 0x5a);
  EXPECT_EQ(pics.read_master(1), 0x5a);
}

TEST_F(InterruptControllerTest, SingleModeHasNoIcw3) {
  pics.write_master(0, 0x12);
  pics.write_master(1, 0x30);
  pics.write_master(1, 0xa5);
  EXPECT_EQ(pics.read_master(1), 0xa5);
}

TEST_F(InterruptControllerTest, MaskHoldsBackButRemembers) {
  pics.write_master(1, 0x10);
  pics.set_line(4, true);
  EXPECT_FALSE(pics.pending());
  EXPECT_EQ(irr(), 0x10);
  pics.write_master(1, 0x00);
  EXPECT_TRUE(pics.pending());
}

TEST_F(InterruptControllerTest, ServesByPriorityTheSlaveBetweenLines1And3) {
  for (const unsigned line : {15u, 7u, 3u, 8u, 1u, 12u}) pics.set_line(line, true);
  EXPECT_EQ(take_all(), (Vectors{0x31, 0x38, 0x3c, 0x3f, 0x33, 0x37}));
}

TEST_F(InterruptControllerTest, ServiceHoldsBackItsOwnAndLowerPriorities) {
  pics.set_line(3, true);
  pics.acknowledge();
  EXPECT_EQ(isr(), 0x08);
  pics.set_line(4, true);
  pics.set_line(3, false);
  pics.set_line(3, true);
  EXPECT_FALSE(pics.pending());
  pics.set_line(1, true);
  EXPECT_TRUE(pics.pending());
  EXPECT_EQ(pics.acknowledge(), 0x31);
  EXPECT_EQ(isr(), 0x0a);
  pics.write_master(0, eoi);  // the highest in service
  EXPECT_EQ(isr(), 0x08);
  pics.write_master(0, eoi);
  EXPECT_EQ(take_all(), (Vectors{0x33, 0x34}));
}

TEST_F(InterruptControllerTest, SpecificEoiEndsTheNamedLevel) {
  pics.set_line(3, true);
  pics.acknowledge();
  pics.set_line(1, true);
  pics.acknowledge();
  pics.write_master(0, specific_eoi | 3);
  EXPECT_EQ(isr(), 0x02);
}

TEST_F(InterruptControllerTest, EdgeIsTakenOnceAndWithdrawnWithTheLine) {
  pics.set_line(5, true);
  pics.acknowledge();
  pics.write_master(0, eoi);
  EXPECT_FALSE(pics.pending()) << "still high, but no new edge";
  pics.set_line(5, false);
  pics.set_line(5, true);
  EXPECT_TRUE(pics.pending());
  pics.set_line(5, false);
  EXPECT_FALSE(pics.pending());
  EXPECT_EQ(irr(), 0x00);
}

TEST_F(InterruptControllerTest, PulseIsAnEdgeOnALineThatIsHigh) {
  pics.set_line(0, true);
  pics.acknowledge();
  pics.write_master(0, eoi);
  pics.pulse(0);
  EXPECT_TRUE(pics.pending());
  EXPECT_EQ(pics.acknowledge(), 0x30);
}

TEST_F(InterruptControllerTest, ALineIsBusyFromItsRequestToItsEnd) {
  for (const unsigned line : {0u, 8u}) {
    EXPECT_FALSE(pics.busy(line));
    pics.pulse(line);
    EXPECT_TRUE(pics.busy(line));
    pics.acknowledge();
    EXPECT_TRUE(pics.busy(line));
    pics.write_slave(0, eoi);
    pics.write_master(0, eoi);
    EXPECT_FALSE(pics.busy(line));
  }
}

TEST_F(InterruptControllerTest, LevelRequestsLastAsLongAsTheLine) {
  pics.write_edge_level(0, 0x20);
  pics.set_line(5, true);
  EXPECT_EQ(pics.acknowledge(), 0x35);
  EXPECT_EQ(irr(), 0x20);
  pics.write_master(0, eoi);
  EXPECT_TRUE(pics.pending());
  pics.set_line(5, false);
  EXPECT_FALSE(pics.pending());
}

TEST_F(InterruptControllerTest, SomeLinesCannotBeLevelTriggered) {
  pics.write_edge_level(0, 0xff);
  pics.write_edge_level(1, 0xff);
  EXPECT_EQ(pics.read_edge_level(0), 0xf8);  // not 0, 1, 2
  EXPECT_EQ(pics.read_edge_level(1), 0xde);  // not 8, 13
}

TEST_F(InterruptControllerTest, SpuriousInterruptsAreLine7WithoutService) {
  EXPECT_EQ(pics.acknowledge(), 0x37);
  EXPECT_EQ(isr(), 0x00);
}

TEST_F(InterruptControllerTest, RequestWithdrawnFromTheSlaveIsWithdrawnFromTheMaster) {
  pics.set_line(10, true);
  EXPECT_TRUE(pics.pending());
  pics.set_line(10, false);
  EXPECT_FALSE(pics.pending());
  pics.set_line(10, true);
  pics.write_slave(1, 0x04);  // masked there
  EXPECT_FALSE(pics.pending());
}

TEST_F(InterruptControllerTest, CascadeTakesASecondRequestAfterTheSlavesEoi) {
  pics.set_line(14, true);
  EXPECT_EQ(pics.acknowledge(), 0x3e);
  EXPECT_EQ(isr(), 0x04);
  EXPECT_EQ(slave_isr(), 0x40);
  pics.set_line(9, true);  // higher on the slave, but its service of line 2 holds the master back
  EXPECT_FALSE(pics.pending());
  pics.write_master(0, eoi);
  EXPECT_TRUE(pics.pending());
  EXPECT_EQ(pics.acknowledge(), 0x39);
  EXPECT_EQ(slave_isr(), 0x42);
}

TEST_F(InterruptControllerTest, SpecialFullyNestedMasterLetsTheSlaveInterruptItself) {
  initialise(0x11);
  pics.set_line(14, true);
  pics.acknowledge();
  EXPECT_EQ(isr(), 0x04) << "no automatic EOI";
  pics.set_line(9, true);
  EXPECT_TRUE(pics.pending());
  EXPECT_EQ(pics.acknowledge(), 0x39);
}

TEST_F(InterruptControllerTest, AutomaticEoiKeepsNothingInService) {
  initialise(icw4_auto_eoi);
  pics.set_line(9, true);
  pics.set_line(10, true);
  EXPECT_EQ(pics.acknowledge(), 0x39);
  EXPECT_EQ(isr(), 0x00);
  EXPECT_EQ(slave_isr(), 0x00);
  EXPECT_TRUE(pics.pending());
  EXPECT_EQ(pics.acknowledge(), 0x3a);
}

TEST_F(InterruptControllerTest, SpecialMaskModeLetsLowerLevelsThroughAMaskedService) {
  pics.set_line(3, true);
  pics.acknowledge();
  pics.set_line(6, true);
  pics.write_master(1, 0x08);
  EXPECT_FALSE(pics.pending());
  pics.write_master(0, 0x68);  // OCW3: ESMM, SMM
  EXPECT_TRUE(pics.pending());
  pics.write_master(0, 0x48);  // ESMM without SMM
  EXPECT_FALSE(pics.pending());
  pics.write_master(0, 0x28);  // SMM without ESMM: no effect
  EXPECT_FALSE(pics.pending());
}

TEST_F(InterruptControllerTest, InSpecialMaskModeANonSpecificEndPassesOverMaskedLevels) {
  pics.set_line(3, true);
  pics.acknowledge();
  pics.write_master(1, 0x08);
  pics.write_master(0, 0x68);  // OCW3: ESMM, SMM
  pics.set_line(6, true);
  pics.acknowledge();
  EXPECT_EQ(isr(), 0x48);
  pics.write_master(0, 0x20);
  EXPECT_EQ(isr(), 0x08) << "line 3 is masked";
  pics.write_master(0, 0x20);
  EXPECT_EQ(isr(), 0x08);
  pics.write_master(0, 0x48);
  pics.write_master(0, 0x20);
  EXPECT_EQ(isr(), 0x00);
}

TEST_F(InterruptControllerTest, PollAcknowledgesByReading) {
  pics.write_master(0, poll);
  EXPECT_EQ(pics.read_master(0), 0x00);
  pics.set_line(6, true);
  pics.write_master(0, poll);
  EXPECT_EQ(pics.read_master(0), 0x86);
  EXPECT_EQ(isr(), 0x40);
  EXPECT_EQ(pics.read_master(0), 0x40) << "only one read is a poll";
}

struct Rotation {
  const char* name;
  std::uint8_t ocw2;
  bool serve_first;             // serve line 4 before the command
  std::vector<unsigned> order;  // then of lines 3, 4, 5
};

TEST_F(InterruptControllerTest, RotationChangesTheOrder) {
  const Rotation rows[] = {
      {"none", 0x40, false, {0x33, 0x34, 0x35}},
      {"set priority, 3 lowest", 0xc3, false, {0x34, 0x35, 0x33}},
      {"set priority, 4 lowest", 0xc4, false, {0x35, 0x33, 0x34}},
      {"rotate on specific EOI", 0xe4, true, {0x35, 0x33, 0x34}},
      {"rotate on EOI", 0xa0, true, {0x35, 0x33, 0x34}},
      {"plain EOI", 0x20, true, {0x33, 0x34, 0x35}},
      {"rotate on EOI, nothing in service", 0xa0, false, {0x33, 0x34, 0x35}},
  };
  for (const Rotation& row : rows) {
    SCOPED_TRACE(row.name);
    initialise(icw4_8086);
    for (const unsigned line : {3u, 4u, 5u}) pics.set_line(line, false);
    if (row.serve_first) {
      pics.set_line(4, true);
      pics.acknowledge();
      pics.set_line(4, false);
    }
    pics.write_master(0, row.ocw2);
    for (const unsigned line : {3u, 4u, 5u}) pics.set_line(line, true);
    EXPECT_EQ(take_all(), row.order);
  }
}

TEST_F(InterruptControllerTest, RotationInAutomaticEoi) {
  initialise(icw4_auto_eoi);
  pics.write_master(0, 0x80);
  for (const unsigned line : {3u, 4u}) pics.set_line(line, true);
  EXPECT_EQ(pics.acknowledge(), 0x33);
  pics.set_line(3, false);
  pics.set_line(3, true);
  EXPECT_EQ(pics.acknowledge(), 0x34) << "line 3 is now the lowest";
  pics.write_master(0, 0x00);
}

}  // namespace
}  // namespace undercroft
