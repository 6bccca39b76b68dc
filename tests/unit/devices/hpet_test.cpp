// The HPET by its registers, IA-PC HPET specification 1.0a. A tick of its counter takes 10 ns.
#include "monitor/devices/hpet.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {
namespace {

constexpr unsigned configuration = 0x10, status = 0x20, counter = 0xf0;
constexpr unsigned config_of(unsigned timer) { return 0x100 + 0x20 * timer; }
constexpr unsigned value_of(unsigned timer) { return 0x108 + 0x20 * timer; }
constexpr std::uint32_t by_level = 2, interrupts = 4, periodic = 8, value_set = 0x40,
                        narrow = 0x100;

struct HpetTest : testing::Test {
  Hpet hpet;
  std::uint64_t now = 5'000'000;

  std::uint32_t read(unsigned offset) {
    hpet.advance(now);
    return hpet.read(offset, 4, now);
  }
  void write(unsigned offset, std::uint32_t value) {
    hpet.advance(now);
    hpet.write(offset, value, now);
  }
  void run(std::uint64_t ticks) { hpet.advance(now += ticks * 10); }
  // One shot, 64 bits.
  void set(unsigned timer, std::uint32_t config, std::uint64_t value) {
    write(config_of(timer), config);
    write(value_of(timer), static_cast<std::uint32_t>(value));
    write(value_of(timer) + 4, static_cast<std::uint32_t>(value >> 32));
  }
};

TEST_F(HpetTest, Capabilities) {
  EXPECT_EQ(read(0x000), 0x8086a201u);
  EXPECT_EQ(read(0x004), 10'000'000u);
  for (unsigned timer = 0; timer < Hpet::timer_count; ++timer) {
    EXPECT_EQ(read(config_of(timer)), 0x30u);
    EXPECT_EQ(read(config_of(timer) + 4), 0x4u);
    EXPECT_EQ(read(value_of(timer)), ~0u);
    EXPECT_EQ(read(value_of(timer) + 4), ~0u);
  }
  EXPECT_EQ(hpet.read(0x002, 2, now), 0x8086u);
  EXPECT_EQ(hpet.read(0x003, 4, now), 0u);
  EXPECT_EQ(read(0x300), 0u);
}

TEST_F(HpetTest, TheCounterRunsWhileItIsEnabled) {
  run(100);
  EXPECT_EQ(read(counter), 0u);
  write(counter, 0xfffffff0);
  write(counter + 4, 7);
  write(configuration, 1);
  run(0x20);
  EXPECT_EQ(read(counter), 0x10u);
  EXPECT_EQ(read(counter + 4), 8u);
  write(configuration, 0);
  run(100);
  EXPECT_EQ(read(counter), 0x10u);
}

TEST_F(HpetTest, OneShotMatchesOnce) {
  set(0, interrupts, 1000);
  EXPECT_EQ(hpet.next_deadline(), no_deadline) << "the counter stands";
  write(configuration, 1);
  EXPECT_EQ(hpet.next_deadline(), now + 10'000);
  run(999);
  EXPECT_EQ(hpet.take_edges(0), 0u);
  run(1);
  EXPECT_EQ(hpet.take_edges(0), 1u);
  EXPECT_EQ(hpet.next_deadline(), no_deadline);
  EXPECT_EQ(read(status), 0u) << "for levels only";
  set(0, interrupts, 500);
  run(10'000);
  EXPECT_EQ(hpet.take_edges(0), 0u) << "the counter has passed it";
}

TEST_F(HpetTest, NarrowOneShotComesRoundAgain) {
  write(counter, 0xffffff00);
  write(config_of(1), interrupts | narrow);
  write(value_of(1), 0x100);
  write(configuration, 1);
  run(0x200);
  EXPECT_EQ(hpet.take_edges(1), 1u);
  run(0xffffffff);
  EXPECT_EQ(hpet.take_edges(1), 0u);
  run(1);
  EXPECT_EQ(hpet.take_edges(1), 1u);
  EXPECT_EQ(read(value_of(1) + 4), 0u);
}

// As Linux sets one up: the first match, then the period.
TEST_F(HpetTest, PeriodicByValueSet) {
  write(configuration, 1);
  run(5000);
  write(config_of(0), interrupts | periodic | value_set | narrow);
  write(value_of(0), 5000 + 300);
  write(value_of(0), 1000);
  EXPECT_EQ(read(config_of(0)) & value_set, 0u);
  run(300);
  EXPECT_EQ(hpet.take_edges(0), 1u);
  EXPECT_EQ(read(value_of(0)), 6300u);
  run(999);
  EXPECT_EQ(hpet.take_edges(0), 0u);
  run(1);
  EXPECT_EQ(hpet.take_edges(0), 1u);
  run(10'000);
  EXPECT_EQ(hpet.take_edges(0), 10u);
  EXPECT_EQ(hpet.next_deadline(), now + 10'000);
}

TEST_F(HpetTest, WidePeriodicTakesTheBitForEachHalf) {
  write(config_of(0), interrupts | periodic | value_set);
  write(value_of(0), 700);
  write(config_of(0), interrupts | periodic | value_set);
  write(value_of(0) + 4, 0);
  write(configuration, 1);
  run(700 + 1400);
  EXPECT_EQ(hpet.take_edges(0), 3u);
  EXPECT_EQ(read(value_of(0)), 2800u);
  EXPECT_EQ(read(value_of(0) + 4), 0u);
}

TEST_F(HpetTest, APeriodOfZeroMatchesOnce) {
  write(config_of(0), interrupts | periodic | value_set);
  write(value_of(0), 700);
  write(value_of(0), 0);
  write(config_of(0), interrupts | periodic | value_set);
  write(value_of(0) + 4, 0);
  write(configuration, 1);
  run(5000);
  EXPECT_EQ(hpet.take_edges(0), 1u);
}

TEST_F(HpetTest, LevelsStandUntilTheyAreCleared) {
  set(2, by_level | interrupts | 2u << 9, 1000);
  EXPECT_EQ(hpet.route(2), 2u);
  write(configuration, 1);
  run(1000);
  EXPECT_TRUE(hpet.level(2));
  EXPECT_EQ(read(status), 4u);
  EXPECT_EQ(hpet.take_edges(2), 0u);
  write(status, 3);
  EXPECT_TRUE(hpet.level(2));
  write(status, 4);
  EXPECT_FALSE(hpet.level(2));
  set(2, by_level | 2u << 9, 2000);
  EXPECT_EQ(hpet.next_deadline(), no_deadline);
  run(2000);
  EXPECT_EQ(read(status), 4u) << "status without an interrupt";
  EXPECT_FALSE(hpet.level(2));
}

TEST_F(HpetTest, RoutesAndReservedBits) {
  write(config_of(0), ~0u);
  EXPECT_EQ(read(config_of(0)), 0x17eu) << "route 31 is not possible, there is no FSB delivery";
  write(config_of(0), 2u << 9);
  EXPECT_EQ(read(config_of(0)), 0x430u);
  write(config_of(0), 3u << 9);
  EXPECT_EQ(read(config_of(0)), 0x430u);
  write(configuration, ~0u);
  EXPECT_EQ(read(configuration), 3u);
  EXPECT_TRUE(hpet.replaces_legacy());
}

}  // namespace
}  // namespace undercroft
