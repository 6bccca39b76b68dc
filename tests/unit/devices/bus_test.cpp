// The port map and the splitting of wide accesses.
#include "monitor/devices/bus.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/fakes/device_fakes.hpp"

namespace undercroft {
namespace {

constexpr PortRange::Width bytes = PortRange::Width::bytes;
constexpr PortRange::Width whole = PortRange::Width::whole;

constexpr PortMap map{{0x20, 2, 1, 0, bytes},
                      {0x22, 1, 2, 7, bytes},
                      {0xf4, 4, 3, 0, whole},
                      {0x8900, 1, 4, 0, bytes}};
static_assert(map.valid());
static_assert(!PortMap{{0x20, 2, 1, 0, bytes}, {0x21, 1, 2, 0, bytes}}.valid(), "overlap");
static_assert(!PortMap{{0x20, 0, 1, 0, bytes}}.valid(), "empty");

class Target final : public PortTarget {
 public:
  std::uint32_t device_read(std::uint8_t device, unsigned offset, unsigned size) override {
    calls.push_back("r" + name(device, offset, size));
    return 0x10u * device + offset;
  }
  void device_write(std::uint8_t device, unsigned offset, std::uint32_t value,
                    unsigned size) override {
    calls.push_back("w" + name(device, offset, size) + "=" + std::to_string(value));
  }
  // Ports 0x30 and 0x31 have been placed there, and take what fits.
  bool placed_read(std::uint16_t port, unsigned size, std::uint32_t& value) override {
    const bool mine = port >= 0x30 && port + size <= 0x32;
    if (mine) {
      calls.push_back("r" + name(0, port, size));
      value = size == 1 ? port : 0x3130u;
    }
    return mine;
  }
  bool placed_write(std::uint16_t port, std::uint32_t value, unsigned size) override {
    const bool mine = port >= 0x30 && port + size <= 0x32;
    if (mine) calls.push_back("w" + name(0, port, size) + "=" + std::to_string(value));
    return mine;
  }
  std::vector<std::string> calls;

 private:
  static std::string name(unsigned device, unsigned offset, unsigned size) {
    return std::to_string(device) + "." + std::to_string(offset) + "/" + std::to_string(size);
  }
};

struct BusTest : testing::Test {
  Target target;
  RecordingLog log;
  Bus bus{map, target, log};
  using Lines = std::vector<std::string>;
};

TEST_F(BusTest, FindsTheDeviceAndGivesItItsOwnOffset) {
  EXPECT_EQ(bus.read(0x21, 1), 0x11u);
  EXPECT_EQ(bus.read(0x22, 1), 0x27u);
  bus.write(0x8900, 0x1ff, 1);
  EXPECT_EQ(target.calls, (Lines{"r1.1/1", "r2.7/1", "w4.0/1=255"}));
  EXPECT_TRUE(log.entries.empty());
}

TEST_F(BusTest, AsksForPortsThatTheMapDoesNotHave) {
  EXPECT_EQ(bus.read(0x30, 2), 0x3130u);
  EXPECT_EQ(bus.read(0x31, 1), 0x31u);
  bus.write(0x30, 0x1234, 2);
  EXPECT_EQ(target.calls, (Lines{"r0.48/2", "r0.49/1", "w0.48/2=4660"}));
  EXPECT_TRUE(log.entries.empty());
}

TEST_F(BusTest, SplitsWhatDoesNotFitPlacedPorts) {
  EXPECT_EQ(bus.read(0x2f, 4), 0xff3130ffu);
  bus.write(0x31, 0xabcd, 2);
  EXPECT_EQ(target.calls, (Lines{"r0.48/1", "r0.49/1", "w0.49/1=205"}));
  EXPECT_EQ(log.entries, (Lines{"read 47 4"})) << "each port once";
}

TEST_F(BusTest, SplitsWideAccessesToByteDevicesLowByteFirst) {
  EXPECT_EQ(bus.read(0x20, 4), 0xff271110u);
  bus.write(0x21, 0xfeff, 2);
  EXPECT_EQ(target.calls, (Lines{"r1.0/1", "r1.1/1", "r2.7/1", "w1.1/1=255", "w2.7/1=254"}));
  EXPECT_EQ(log.entries, Lines{"read 32 4"});
}

TEST_F(BusTest, GivesWholeDevicesTheAccessAsItIsIfItFits) {
  bus.write(0xf4, 0xdeadbeef, 4);
  bus.write(0xf6, 0x12345678, 2);
  EXPECT_EQ(target.calls, (Lines{"w3.0/4=3735928559", "w3.2/2=22136"}));
  target.calls.clear();
  bus.write(0xf6, 0x04030201, 4);  // half of it is beyond the range
  EXPECT_EQ(target.calls, (Lines{"w3.2/1=1", "w3.3/1=2"}));
}

TEST_F(BusTest, UnclaimedPortsReadAsOnesAndAreLoggedOnce) {
  EXPECT_EQ(bus.read(0x300, 1), 0xffu);
  EXPECT_EQ(bus.read(0x300, 1), 0xffu);
  EXPECT_EQ(bus.read(0x310, 2), 0xffffu);
  EXPECT_EQ(bus.read(0x310, 4), 0xffffffffu);  // 0x312 and 0x313 are new
  bus.write(0x310, 1, 4);
  bus.write(0x320, 0x55, 1);
  EXPECT_TRUE(target.calls.empty());
  EXPECT_EQ(log.entries, (Lines{"read 768 1", "read 784 2", "read 784 4", "write 800 1 85"}));
}

TEST_F(BusTest, WrapsAtTheLastPort) {
  EXPECT_EQ(bus.read(0xffff, 2), 0xffffu);
  EXPECT_EQ(bus.read(0x0000, 1), 0xffu);
  EXPECT_EQ(log.entries, Lines{"read 65535 2"});
}

}  // namespace
}  // namespace undercroft
