// The 8254, mode by mode. Times are given in ticks of its 1193182 Hz clock.
#include "monitor/devices/timer.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {
namespace {

constexpr std::uint64_t at(std::uint64_t tick) { return nanoseconds_at(tick, timer_hertz); }

// The conversions are exact: the nanosecond of a tick is the first that has so many.
TEST(TimerArithmetic, NeitherDriftsNorOverflows) {
  EXPECT_EQ(ticks_at(1'000'000'000, timer_hertz), timer_hertz);
  EXPECT_EQ(ticks_at(1'000'000'000ull * 86400 * 365, timer_hertz), 86400ull * 365 * timer_hertz);
  for (const std::uint64_t tick :
       {1ull, 2ull, 1193181ull, 1193182ull, 1193183ull, 999999999999ull}) {
    EXPECT_EQ(ticks_at(at(tick), timer_hertz), tick);
    EXPECT_EQ(ticks_at(at(tick) - 1, timer_hertz), tick - 1);
  }
}

constexpr std::uint64_t start = 1000;  // the tick at which the tests program the chip

struct TimerTest : testing::Test {
  Timer timer{at(0)};

  void control(std::uint8_t value, std::uint64_t tick = start) { timer.write(3, value, at(tick)); }
  void count(unsigned channel, std::uint16_t value, std::uint64_t tick = start) {
    timer.write(channel, static_cast<std::uint8_t>(value), at(tick));
    timer.write(channel, static_cast<std::uint8_t>(value >> 8), at(tick));
  }
  // As programmed with access "low then high"; the counter runs from tick start + 1 on.
  void program(unsigned channel, unsigned mode, std::uint16_t value, bool bcd = false) {
    timer.take_interrupts(at(start));
    control(static_cast<std::uint8_t>(channel << 6 | 0x30 | mode << 1 | (bcd ? 1 : 0)));
    timer.take_interrupts(at(start));
    count(channel, value);
  }
  unsigned read(unsigned channel, std::uint64_t tick) {
    control(static_cast<std::uint8_t>(channel << 6), tick);  // latch
    const unsigned low = timer.read(channel, at(tick));
    return low | timer.read(channel, at(tick)) << 8;
  }
  unsigned status(unsigned channel, std::uint64_t tick) {
    control(static_cast<std::uint8_t>(0xe0 | 2u << channel), tick);
    return timer.read(channel, at(tick));
  }
  bool out(unsigned channel, std::uint64_t tick) { return (status(channel, tick) & 0x80) != 0; }
  void gate(bool high, std::uint64_t tick) { timer.write_port_b(high ? 1 : 0, at(tick)); }
};

TEST_F(TimerTest, StartsAsFirmwareLeavesIt) {
  EXPECT_EQ(timer.next_deadline(at(0)), at(65537));
  EXPECT_EQ(timer.take_interrupts(at(65536)), 0u);
  EXPECT_EQ(timer.take_interrupts(at(65537)), 1u);
  EXPECT_EQ(status(0, 100) & 0x3f, 0x34u);
}

// OUT and counter of each mode, `after` ticks past the write of the count (which is loaded one
// tick later). Channel 2's gate rises at the write in modes 1 and 5.
struct ModeRow {
  unsigned mode;
  std::uint16_t count;
  std::uint64_t after;
  unsigned counter;
  bool out;
};

TEST_F(TimerTest, CountersAndOutputsByTheDataSheet) {
  const ModeRow rows[] = {
      {0, 4, 1, 4, false},     {0, 4, 4, 1, false},     {0, 4, 5, 0, true},
      {0, 4, 6, 0xffff, true}, {0, 4, 65541, 0, true},  {1, 4, 1, 4, false},
      {1, 4, 4, 1, false},     {1, 4, 5, 0, true},      {1, 4, 6, 0xffff, true},
      {2, 4, 1, 4, true},      {2, 4, 3, 2, true},      {2, 4, 4, 1, false},
      {2, 4, 5, 4, true},      {2, 4, 8, 1, false},     {3, 4, 1, 4, true},
      {3, 4, 2, 2, true},      {3, 4, 3, 4, false},     {3, 4, 4, 2, false},
      {3, 4, 5, 4, true},      {3, 5, 1, 4, true},      {3, 5, 2, 2, true},
      {3, 5, 3, 0, true},      {3, 5, 4, 4, false},     {3, 5, 5, 2, false},
      {3, 5, 6, 4, true},      {4, 4, 1, 4, true},      {4, 4, 4, 1, true},
      {4, 4, 5, 0, false},     {4, 4, 6, 0xffff, true}, {5, 4, 1, 4, true},
      {5, 4, 5, 0, false},     {5, 4, 6, 0xffff, true}, {2, 0, 1, 0, true},
      {2, 0, 2, 0xffff, true},
  };
  for (const ModeRow& row : rows) {
    SCOPED_TRACE(testing::Message()
                 << "mode " << row.mode << " count " << row.count << " after " << row.after);
    timer = Timer(at(0));
    const bool triggered = row.mode == 1 || row.mode == 5;
    if (!triggered) gate(true, 500);
    program(2, row.mode, row.count);
    if (triggered) gate(true, start);
    EXPECT_EQ(read(2, start + row.after), row.counter);
    EXPECT_EQ(out(2, start + row.after), row.out);
    EXPECT_EQ((timer.read_port_b(at(start + row.after)) & 0x20) != 0, row.out);
  }
}

// Rising edges of channel 0: the first, and how many until tick start + 1000.
struct EdgeRow {
  unsigned mode;
  std::uint16_t count;
  std::uint64_t first;
  unsigned until_1000;
};

TEST_F(TimerTest, InterruptsComeAtTheRisingEdges) {
  const EdgeRow rows[] = {{0, 100, 101, 1}, {2, 100, 101, 9}, {3, 100, 101, 9}, {3, 101, 102, 9},
                          {4, 100, 102, 1}, {2, 2, 3, 499},   {2, 1, 3, 499}};
  for (const EdgeRow& row : rows) {
    SCOPED_TRACE(testing::Message() << "mode " << row.mode << " count " << row.count);
    timer = Timer(at(0));
    program(0, row.mode, row.count);
    EXPECT_EQ(timer.next_deadline(at(start)), at(start + row.first));
    EXPECT_EQ(timer.take_interrupts(at(start + row.first) - 1), 0u);
    EXPECT_EQ(timer.take_interrupts(at(start + row.first)), 1u);
    EXPECT_EQ(timer.take_interrupts(at(start + row.first)), 0u) << "taken once";
    EXPECT_EQ(timer.take_interrupts(at(start + 1000)), row.until_1000 - 1);
  }
}

TEST_F(TimerTest, OneShotHasNoDeadlineAfterItsEdge) {
  program(0, 4, 100);
  EXPECT_EQ(timer.next_deadline(at(start + 102)), no_deadline);
  program(0, 0, 100);
  EXPECT_EQ(timer.next_deadline(at(start + 101)), no_deadline);
}

TEST_F(TimerTest, TriggeredModesNeverStartOnChannel0) {
  program(0, 1, 10);
  EXPECT_EQ(timer.next_deadline(at(start)), no_deadline);
  EXPECT_EQ(timer.take_interrupts(at(start + 100)), 0u);
}

TEST_F(TimerTest, NoDriftOverADayAtLinuxRate) {
  constexpr std::uint64_t period = 4773;  // HZ=250
  program(0, 2, period);
  std::uint64_t edges = 0;
  // Looked at in uneven steps.
  for (std::uint64_t now = at(start); now < 3'600'000'000'000ull; now += 1'234'567'891ull) {
    edges += timer.take_interrupts(now);
  }
  const std::uint64_t end = 3'600'000'000'000ull;
  edges += timer.take_interrupts(end);
  EXPECT_EQ(edges, (ticks_at(end, timer_hertz) - start - 1) / period);
}

TEST_F(TimerTest, ControlWordThatRaisesTheOutputIsAnEdge) {
  program(0, 0, 1000);  // OUT is low
  control(0x34, start + 10);
  EXPECT_EQ(timer.take_interrupts(at(start + 10)), 1u);
  control(0x36, start + 20);  // high already
  EXPECT_EQ(timer.take_interrupts(at(start + 20)), 0u);
  control(0x30, start + 30);  // falls
  EXPECT_EQ(timer.take_interrupts(at(start + 5000)), 0u) << "nothing without a count";
}

TEST_F(TimerTest, NewCountTakesOverAtTheEndOfThePeriodInMode2) {
  program(0, 2, 100);
  count(0, 10, start + 51);
  EXPECT_EQ(status(0, start + 52) & 0x40, 0x40u) << "null count";
  EXPECT_EQ(read(0, start + 52), 49u) << "the old period goes on";
  EXPECT_EQ(timer.next_deadline(at(start + 52)), at(start + 101));
  EXPECT_EQ(timer.take_interrupts(at(start + 101)), 1u);
  EXPECT_EQ(read(0, start + 101), 10u);
  EXPECT_EQ(status(0, start + 101) & 0x40, 0u);
  EXPECT_EQ(timer.next_deadline(at(start + 101)), at(start + 111));
  EXPECT_EQ(timer.take_interrupts(at(start + 201)), 10u);
}

TEST_F(TimerTest, NewCountTakesOverAtTheEndOfTheHalfInMode3) {
  program(0, 3, 100);
  count(0, 20, start + 11);  // in the high half, which ends at + 51
  EXPECT_EQ(timer.next_deadline(at(start + 12)), at(start + 61)) << "10 ticks of low follow";
  EXPECT_TRUE(out(0, start + 50));
  EXPECT_FALSE(out(0, start + 51));
  EXPECT_EQ(timer.take_interrupts(at(start + 60)), 0u);
  EXPECT_EQ(timer.take_interrupts(at(start + 61)), 1u);
  EXPECT_EQ(timer.take_interrupts(at(start + 81)), 1u);
  count(0, 200, start + 93);  // in the low half, which ends at + 101
  EXPECT_EQ(timer.take_interrupts(at(start + 101)), 1u);
  EXPECT_EQ(timer.next_deadline(at(start + 101)), at(start + 301));
}

TEST_F(TimerTest, NewCountRestartsModes0And4AtOnce) {
  for (const unsigned mode : {0u, 4u}) {
    program(0, mode, 100);
    timer.take_interrupts(at(start));
    count(0, 50, start + 90);
    EXPECT_EQ(timer.take_interrupts(at(start + 101)), 0u);
    EXPECT_EQ(timer.next_deadline(at(start + 101)), at(start + 141 + (mode == 4 ? 1 : 0)));
    timer = Timer(at(0));
  }
}

TEST_F(TimerTest, FirstByteStopsMode0) {
  program(0, 0, 100);
  timer.write(0, 7, at(start + 50));
  EXPECT_EQ(timer.take_interrupts(at(start + 500)), 0u);
  EXPECT_FALSE(out(0, start + 500));
  timer.write(0, 0, at(start + 500));
  EXPECT_EQ(timer.next_deadline(at(start + 500)), at(start + 508));
}

TEST_F(TimerTest, AccessModes) {
  struct Row {
    unsigned access;
    std::uint8_t written;
    unsigned period;
  };
  for (const Row& row : {Row{1, 0x50, 0x50}, Row{2, 0x02, 0x200}, Row{1, 0, 0x10000}}) {
    timer = Timer(at(0));
    control(static_cast<std::uint8_t>(row.access << 4 | 2 << 1));
    timer.take_interrupts(at(start));
    timer.write(0, row.written, at(start));
    EXPECT_EQ(timer.next_deadline(at(start)), at(start + 1 + row.period)) << row.access;
    // A quarter of the period later, one read gives the byte, again and again.
    const std::uint64_t tick = start + 1 + row.period / 4;
    const unsigned left = row.period - row.period / 4;
    const unsigned expected = row.access == 1 ? left & 0xff : left >> 8;
    EXPECT_EQ(timer.read(0, at(tick)), expected);
    EXPECT_EQ(timer.read(0, at(tick)), expected);
  }
}

TEST_F(TimerTest, UnlatchedReadsGiveLowThenHigh) {
  program(0, 2, 0x1234);
  EXPECT_EQ(timer.read(0, at(start + 1)), 0x34);
  EXPECT_EQ(timer.read(0, at(start + 1)), 0x12);
  EXPECT_EQ(timer.read(0, at(start + 2)), 0x33);
}

TEST_F(TimerTest, LatchHoldsUntilReadAndTheSecondIsIgnored) {
  program(0, 2, 1000);
  control(0x00, start + 1);
  control(0x00, start + 501);
  EXPECT_EQ(timer.read(0, at(start + 600)), 1000 & 0xff);
  EXPECT_EQ(timer.read(0, at(start + 600)), 1000 >> 8);
  EXPECT_EQ(read(0, start + 501), 500u);
}

TEST_F(TimerTest, ReadBackLatchesStatusAndCountOfSeveralChannels) {
  program(0, 2, 1000);
  gate(true, 500);
  program(2, 3, 500);
  control(0xc0 | 0x02 | 0x08, start + 11);  // both of channels 0 and 2
  EXPECT_EQ(timer.read(0, at(start + 50)), 0xb4) << "OUT, access 3, mode 2";
  EXPECT_EQ(timer.read(0, at(start + 50)), 990 & 0xff);
  EXPECT_EQ(timer.read(0, at(start + 50)), 990 >> 8);
  EXPECT_EQ(timer.read(2, at(start + 50)), 0xb6);
  EXPECT_EQ(timer.read(2, at(start + 50)), 480 & 0xff);
  EXPECT_EQ(timer.read(2, at(start + 50)), 480 >> 8);
}

TEST_F(TimerTest, StatusShowsModeAliasesAndNullCount) {
  control(0x3d);  // mode bits 110 are mode 2, BCD
  EXPECT_EQ(status(0, start), 0x80u | 0x40 | 0x35);
  control(0x3e);
  EXPECT_EQ(status(0, start), 0x80u | 0x40 | 0x36);
}

TEST_F(TimerTest, BcdCountsInDecimal) {
  program(0, 2, 0x1000, true);
  EXPECT_EQ(timer.next_deadline(at(start)), at(start + 1001));
  EXPECT_EQ(read(0, start + 2), 0x0999u);
  program(0, 0, 0x0000, true);
  EXPECT_EQ(timer.next_deadline(at(start)), at(start + 10001));
  EXPECT_EQ(read(0, start + 1), 0x0000u);
  EXPECT_EQ(read(0, start + 10002), 0x9999u);
}

TEST_F(TimerTest, GateHoldsModes0And4) {
  for (const unsigned mode : {0u, 4u}) {
    timer = Timer(at(0));
    gate(true, 500);
    program(2, mode, 100);
    gate(false, start + 31);
    EXPECT_EQ(read(2, start + 1000), 70u);
    gate(true, start + 1000);
    EXPECT_EQ(read(2, start + 1010), 60u);
    EXPECT_EQ(out(2, start + 1070), mode == 0);
  }
}

TEST_F(TimerTest, GateRestartsModes2And3AndHoldsTheOutputHigh) {
  for (const unsigned mode : {2u, 3u}) {
    timer = Timer(at(0));
    gate(true, 500);
    program(2, mode, 100);
    gate(false, start + 100);  // in the low part of both
    EXPECT_TRUE(out(2, start + 100)) << mode;
    gate(true, start + 1000);
    EXPECT_EQ(read(2, start + 1001), 100u);
    EXPECT_FALSE(out(2, start + 1100)) << mode;
  }
}

TEST_F(TimerTest, GateRetriggersMode1) {
  program(2, 1, 100);
  EXPECT_TRUE(out(2, start + 50)) << "waits";
  gate(true, start + 50);
  gate(false, start + 60);
  EXPECT_FALSE(out(2, start + 100)) << "goes on without the gate";
  gate(true, start + 110);
  EXPECT_FALSE(out(2, start + 160)) << "prolonged";
  EXPECT_TRUE(out(2, start + 211));
}

TEST_F(TimerTest, PortBReadsBackItsLatchesAndTheRefreshToggle) {
  timer.write_port_b(0xff, at(start));
  EXPECT_EQ(timer.read_port_b(at(start)) & 0xcf, 0x0f);
  EXPECT_NE(timer.read_port_b(at(18 * 100)) & 0x10, timer.read_port_b(at(18 * 101)) & 0x10);
  EXPECT_EQ(timer.read_port_b(at(18 * 100)) & 0x10, timer.read_port_b(at(18 * 101 - 1)) & 0x10);
}

TEST_F(TimerTest, ControlPortCannotBeRead) { EXPECT_EQ(timer.read(3, at(start)), 0xff); }

}  // namespace
}  // namespace undercroft
