// The ways to end or restart the machine.
#include "monitor/devices/power.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {
namespace {

constexpr PcRequest none{}, power_off{PcRequest::Kind::power_off, 0},
    reset{PcRequest::Kind::reset, 0};

TEST(Power, AcpiPowerOffBySleepEnable) {
  Power power;
  power.write_acpi(4, 0xff, 0);
  power.write_acpi(5, 0xdf, 0);  // all but SLP_EN
  EXPECT_EQ(power.request(), none);
  EXPECT_EQ(power.read_acpi(4, 0), 0x02) << "BM_RLD; SCI_EN is the firmware's, GBL_RLS write only";
  EXPECT_EQ(power.read_acpi(5, 0), 0xdf);
  power.write_acpi(5, 0x20, 0);
  EXPECT_EQ(power.request(), power_off);
  EXPECT_EQ(power.read_acpi(5, 0), 0x00) << "SLP_EN is write only";
}

TEST(Power, AcpiEventRegisters) {
  Power power;
  power.write_acpi(0, 0xff, 0);
  power.write_acpi(2, 0x21, 0);
  power.write_acpi(3, 0x05, 0);
  EXPECT_EQ(power.read_acpi(0, 0), 0x00) << "no status";
  EXPECT_EQ(power.read_acpi(2, 0), 0x21);
  EXPECT_EQ(power.read_acpi(3, 0), 0x05);
  EXPECT_EQ(power.request(), none);
}

TEST(Power, AcpiIsOnIfTheFirmwareSaysSo) {
  Power power(true);
  EXPECT_EQ(power.read_acpi(4, 0), 0x01);
  power.write_acpi(4, 0x00, 0);
  EXPECT_EQ(power.read_acpi(4, 0), 0x01);
}

// The highest bit changes every 2^23 ticks, 2.343 s.
TEST(Power, AcpiTimerEvent) {
  constexpr std::uint64_t half = 2'343'484'438;  // nanoseconds, rounded up
  Power power;
  EXPECT_EQ(power.next_deadline(0), no_deadline);
  EXPECT_EQ(power.read_acpi(0, half - 2), 0x00);
  EXPECT_EQ(power.read_acpi(0, half), 0x01);
  EXPECT_EQ(power.read_acpi(0, 2 * half), 0x01) << "it stays";
  EXPECT_FALSE(power.interrupt_line(half)) << "not enabled";
  power.write_acpi(2, 0x01, half);
  EXPECT_TRUE(power.interrupt_line(half));
  EXPECT_EQ(power.next_deadline(half), no_deadline) << "it is there already";
  power.write_acpi(0, 0x01, half + 5);
  EXPECT_FALSE(power.interrupt_line(half + 5));
  const std::uint64_t next = power.next_deadline(half + 5);
  EXPECT_FALSE(power.interrupt_line(next - 3));
  EXPECT_TRUE(power.interrupt_line(next));
  EXPECT_NEAR(static_cast<double>(next), 2.0 * half, 4.0);
}

TEST(Power, AcpiTimerCounts24BitsAt3579545Hertz) {
  Power power;
  const auto timer = [&power](std::uint64_t now) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= std::uint32_t{power.read_acpi(8 + i, now)} << 8 * i;
    return value;
  };
  EXPECT_EQ(timer(0), 0u);
  EXPECT_EQ(timer(1'000'000'000), 3579545u);
  EXPECT_EQ(timer(10'000'000'000), 35795450u & 0xffffff);
}

struct ResetRow {
  std::uint8_t first, second;
  PcRequest request;
};

TEST(Power, ResetControlResetsAsBit2Rises) {
  for (const ResetRow& row : {ResetRow{0x02, 0x06, reset}, ResetRow{0x00, 0x04, reset},
                              ResetRow{0x02, 0x0a, none}, ResetRow{0x00, 0xfb, none}}) {
    Power power;
    power.write_reset_control(row.first);
    power.write_reset_control(row.second);
    EXPECT_EQ(power.request(), row.request) << unsigned{row.second};
  }
  Power power;
  power.write_reset_control(0xfb);
  EXPECT_EQ(power.read_reset_control(), 0x0a);
}

TEST(Power, PortAHasA20AndFastReset) {
  Power power;
  EXPECT_TRUE(power.a20());
  EXPECT_EQ(power.read_port_a(), 0x02);
  power.write_port_a(0x00);
  EXPECT_FALSE(power.a20());
  EXPECT_EQ(power.request(), none);
  power.write_port_a(0x03);
  EXPECT_TRUE(power.a20());
  EXPECT_EQ(power.request(), reset);
}

TEST(Power, BochsShutdownNeedsTheWholeWord) {
  struct Row {
    std::string_view written;
    PcRequest request;
  };
  for (const Row& row :
       {Row{"Shutdown", power_off}, Row{"Shutdow", none}, Row{"shutdown", none},
        Row{"SShutdown", power_off}, Row{"ShutShutdown", power_off}, Row{"Shut down", none}}) {
    Power power;
    for (const char c : row.written) power.write_bochs_shutdown(static_cast<std::uint8_t>(c));
    EXPECT_EQ(power.request(), row.request) << row.written;
  }
}

TEST(Power, TheFirstRequestStays) {
  Power power;
  power.write_debug_exit(0x12345678);
  EXPECT_EQ(power.request(), (PcRequest{PcRequest::Kind::exit, 0x12345678}));
  power.write_acpi(5, 0x20, 0);
  EXPECT_EQ(power.request().kind, PcRequest::Kind::exit);
}

}  // namespace
}  // namespace undercroft
