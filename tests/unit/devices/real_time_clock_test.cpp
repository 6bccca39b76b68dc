// The MC146818 by its registers.
#include "monitor/devices/real_time_clock.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t millisecond = 1'000'000;
constexpr std::uint64_t boot = 5 * second;           // of the Clock
constexpr std::uint64_t new_year_2020 = 1577836800;  // a Wednesday
constexpr std::uint64_t megabyte = 1 << 20;

constexpr std::uint8_t a = 10, b = 11, c = 12, d = 13, century = 0x32;
constexpr std::uint8_t b_set = 0x80, pie = 0x40, aie = 0x20, uie = 0x10, binary = 4, h24 = 2;

struct RealTimeClockTest : testing::Test {
  RealTimeClock clock{new_year_2020 + 23 * 3600 + 59 * 60 + 58, 256 * megabyte, boot};

  std::uint8_t get(std::uint8_t index, std::uint64_t now = boot) {
    clock.write(0, index, now);
    return clock.read(1, now);
  }
  void set(std::uint8_t index, std::uint8_t value, std::uint64_t now = boot) {
    clock.write(0, index, now);
    clock.write(1, value, now);
  }
};

TEST_F(RealTimeClockTest, StartsWithTheGivenTimeInBcd) {
  EXPECT_EQ(get(0), 0x58);
  EXPECT_EQ(get(2), 0x59);
  EXPECT_EQ(get(4), 0x23);
  EXPECT_EQ(get(6), 4) << "Wednesday; Sunday is 1";
  EXPECT_EQ(get(7), 0x01);
  EXPECT_EQ(get(8), 0x01);
  EXPECT_EQ(get(9), 0x20);
  EXPECT_EQ(get(century), 0x20);
  EXPECT_EQ(get(a), 0x26);
  EXPECT_EQ(get(b), 0x02);
  EXPECT_EQ(get(c), 0x00);
  EXPECT_EQ(get(d), 0x80);
}

TEST_F(RealTimeClockTest, CountsOverMidnight) {
  EXPECT_EQ(get(0, boot + 2 * second - 1), 0x59);
  EXPECT_EQ(get(0, boot + 2 * second), 0x00);
  EXPECT_EQ(get(2, boot + 2 * second), 0x00);
  EXPECT_EQ(get(4, boot + 2 * second), 0x00);
  EXPECT_EQ(get(6, boot + 2 * second), 5);
  EXPECT_EQ(get(7, boot + 2 * second), 0x02);
  // Far on, in one step: 366 days are a year.
  EXPECT_EQ(get(9, boot + 366 * 86400 * second), 0x21);
  EXPECT_EQ(get(6, boot + 366 * 86400 * second), 6);
}

TEST_F(RealTimeClockTest, BinaryAndTwelveHourModes) {
  struct Row {
    std::uint8_t mode;
    std::uint8_t written_hour, hour_later;
  };
  for (const Row& row :
       {Row{h24, 0x13, 0x14}, Row{h24 | binary, 13, 14}, Row{0, 0x92, 0x81}, Row{0, 0x12, 0x01},
        Row{0, 0x11, 0x92}, Row{0, 0x91, 0x12}, Row{binary, 0x8b, 12}, Row{binary, 12, 1}}) {
    SCOPED_TRACE(testing::Message() << unsigned{row.mode} << ' ' << unsigned{row.written_hour});
    clock = RealTimeClock(new_year_2020, megabyte, boot);
    set(b, b_set | row.mode);
    set(0, 0);
    set(2, 0);
    set(4, row.written_hour);
    set(b, row.mode);
    EXPECT_EQ(get(4), row.written_hour);
    EXPECT_EQ(get(4, boot + 3600 * second), row.hour_later);
  }
}

TEST_F(RealTimeClockTest, SetHoldsTheTimeStill) {
  set(b, b_set | h24);
  EXPECT_EQ(get(0, boot + 10 * second), 0x58);
  set(0, 0x30, boot + 10 * second);
  set(9, 0x99, boot + 10 * second);
  set(century, 0x19, boot + 10 * second);
  set(b, h24, boot + 10 * second);
  EXPECT_EQ(get(0, boot + 11 * second), 0x31);
  EXPECT_EQ(get(9, boot + 11 * second), 0x99);
  EXPECT_EQ(get(century, boot + 11 * second), 0x19);
}

TEST_F(RealTimeClockTest, TimeCanBeWrittenWhileItRuns) {
  set(0, 0x10);
  EXPECT_EQ(get(0, boot + second), 0x11);
}

TEST_F(RealTimeClockTest, NonsenseIsBroughtIntoRange) {
  set(b, b_set | h24);
  for (const std::uint8_t index : {0, 2, 4, 6, 7, 8, 9}) set(index, 0xff);
  set(b, h24);
  get(0, boot + second);  // counts on, without a fault
  EXPECT_LE(get(0, boot + second), 0x59);
  EXPECT_LE(get(8, boot + second), 0x12);
}

TEST_F(RealTimeClockTest, UpdateInProgressPrecedesEachSecond) {
  EXPECT_EQ(get(a, boot + 500 * millisecond), 0x26);
  EXPECT_EQ(get(a, boot + second - 2'228'001), 0x26);
  EXPECT_EQ(get(a, boot + second - 2'228'000), 0xa6);
  EXPECT_EQ(get(a, boot + second - 1), 0xa6);
  EXPECT_EQ(get(a, boot + second), 0x26);
  set(b, b_set | h24, boot + second);
  EXPECT_EQ(get(a, boot + 2 * second - 1), 0x26) << "not while SET";
}

TEST_F(RealTimeClockTest, DividerResetStartsTheNextSecondHalfASecondLater) {
  set(a, 0x76, boot + 900 * millisecond);
  EXPECT_EQ(get(0, boot + 5 * second), 0x58) << "held";
  set(a, 0x26, boot + 5 * second);
  EXPECT_EQ(get(0, boot + 5 * second + 499 * millisecond), 0x58);
  EXPECT_EQ(get(0, boot + 5 * second + 500 * millisecond), 0x59);
  EXPECT_EQ(get(0, boot + 6 * second + 500 * millisecond), 0x00);
}

TEST_F(RealTimeClockTest, DividerResetWorksBeforeTheClocksFirstHalfSecond) {
  clock = RealTimeClock(new_year_2020, megabyte, 0);
  set(a, 0x76, 1);
  set(a, 0x26, 2);
  EXPECT_EQ(get(0, 400 * millisecond), 0x00);
  EXPECT_EQ(get(0, 500 * millisecond + 2), 0x01);
}

TEST_F(RealTimeClockTest, UpdateEndedInterrupt) {
  EXPECT_EQ(clock.next_deadline(boot), no_deadline);
  set(b, uie | h24);
  EXPECT_EQ(clock.next_deadline(boot), boot + second);
  clock.advance(boot + second - 1);
  EXPECT_FALSE(clock.interrupt_line());
  clock.advance(boot + second);
  EXPECT_TRUE(clock.interrupt_line());
  EXPECT_EQ(clock.next_deadline(boot + second), no_deadline) << "until it is taken";
  EXPECT_EQ(get(c, boot + second) & 0xb0, 0x90);
  EXPECT_FALSE(clock.interrupt_line());
  EXPECT_EQ(get(c, boot + second), 0x00) << "reading clears";
  EXPECT_EQ(clock.next_deadline(boot + second), boot + 2 * second);
}

TEST_F(RealTimeClockTest, FlagsAreSetWithoutTheirInterrupts) {
  EXPECT_EQ(get(c, boot + second) & 0x90, 0x10);
  EXPECT_FALSE(clock.interrupt_line());
}

struct AlarmRow {
  std::uint8_t seconds, minutes, hours;
  std::uint64_t first;  // seconds after 23:59:58
};

TEST_F(RealTimeClockTest, AlarmComesWhenAllThreeMatch) {
  for (const AlarmRow& row : {AlarmRow{0x59, 0x59, 0x23, 1}, AlarmRow{0x05, 0x00, 0x00, 7},
                              AlarmRow{0xff, 0xff, 0xff, 1}, AlarmRow{0x30, 0xc0, 0xff, 32},
                              AlarmRow{0x00, 0x10, 0xff, 602}, AlarmRow{0x58, 0x59, 0x23, 86400}}) {
    SCOPED_TRACE(row.first);
    clock = RealTimeClock(new_year_2020 + 86398, megabyte, boot);
    set(1, row.seconds);
    set(3, row.minutes);
    set(5, row.hours);
    set(b, aie | h24);
    EXPECT_EQ(clock.next_deadline(boot), boot + second);
    RealTimeClock early = clock;
    early.advance(boot + row.first * second - 1);
    EXPECT_FALSE(early.interrupt_line());
    clock.advance(boot + row.first * second);
    EXPECT_TRUE(clock.interrupt_line());
    EXPECT_EQ(get(c, boot + row.first * second) & 0xa0, 0xa0);
  }
}

TEST_F(RealTimeClockTest, AlarmIsFoundInALongGap) {
  set(1, 0x00);
  set(3, 0x30);
  set(5, 0x12);
  set(b, aie | h24);
  clock.advance(boot + 100 * 86400 * second);
  EXPECT_TRUE(clock.interrupt_line());
}

TEST_F(RealTimeClockTest, PeriodicInterruptRates) {
  struct Row {
    std::uint8_t rate;
    std::uint32_t hertz;
  };
  for (const Row& row : {Row{1, 256}, Row{2, 128}, Row{3, 8192}, Row{6, 1024}, Row{15, 2}}) {
    SCOPED_TRACE(row.hertz);
    clock = RealTimeClock(new_year_2020, megabyte, boot);
    set(a, 0x20 | row.rate);
    set(b, pie | h24);
    std::uint64_t now = boot;
    for (std::uint32_t i = 1; i <= row.hertz; ++i) {
      now = clock.next_deadline(now);
      clock.advance(now);
      ASSERT_TRUE(clock.interrupt_line());
      ASSERT_EQ(get(c, now) & 0xc0, 0xc0);
      ASSERT_FALSE(clock.interrupt_line());
    }
    EXPECT_EQ(now, boot + second) << "exactly so many in a second";
  }
}

TEST_F(RealTimeClockTest, RateZeroIsOff) {
  set(a, 0x20);
  set(b, pie | h24);
  EXPECT_EQ(clock.next_deadline(boot), no_deadline);
  clock.advance(boot + second / 2);
  EXPECT_FALSE(clock.interrupt_line());
}

TEST_F(RealTimeClockTest, EnablingTellsOfAFlagThatIsSetAlready) {
  clock.advance(boot + second);
  set(b, uie | h24, boot + second);
  EXPECT_TRUE(clock.interrupt_line());
}

TEST_F(RealTimeClockTest, IndexPortMasksNmiAndCannotBeRead) {
  EXPECT_TRUE(clock.nmi_enabled());
  clock.write(0, 0x80 | a, boot);
  EXPECT_FALSE(clock.nmi_enabled());
  EXPECT_EQ(clock.read(1, boot), 0x26);
  EXPECT_EQ(clock.read(0, boot), 0xff);
}

TEST_F(RealTimeClockTest, ReadOnlyRegistersStay) {
  set(c, 0xff);
  set(d, 0x00);
  EXPECT_EQ(get(c), 0x00);
  EXPECT_EQ(get(d), 0x80);
  set(a, 0xff);
  EXPECT_EQ(get(a), 0x7f);
}

TEST_F(RealTimeClockTest, CmosMemoryKeepsAndTellsTheConfiguration) {
  set(0x40, 0x5a);
  EXPECT_EQ(get(0x40), 0x5a);
  const auto word = [this](std::uint8_t at) { return get(at) | get(at + 1) << 8; };
  EXPECT_EQ(word(0x15), 640);
  EXPECT_EQ(word(0x17), 0xffff);
  EXPECT_EQ(word(0x34), 240 * 16);
  EXPECT_EQ(get(0x10), 0) << "no floppy disks";
  EXPECT_EQ(get(0x12), 0) << "no hard disks";
  unsigned sum = 0;
  for (std::uint8_t i = 0x10; i <= 0x2d; ++i) sum += get(i);
  EXPECT_EQ(sum, get(0x2e) * 256u + get(0x2f));
  clock = RealTimeClock(new_year_2020, 8 * megabyte, boot);
  EXPECT_EQ(word(0x17), 7 * 1024);
  EXPECT_EQ(word(0x30), 7 * 1024);
  EXPECT_EQ(word(0x34), 0);
}

}  // namespace
}  // namespace undercroft
