#include "monitor/devices/virtio_console.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/virtio_driver.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t receive_page = 0x10, transmit_page = 0x20, buffer = 0x40000;

struct VirtioConsoleTest : testing::Test {
  VirtioConsoleTest() {
    const std::uint32_t pages[] = {receive_page, transmit_page};
    bring_up([&](unsigned o, std::uint32_t v, unsigned s) { write(o, v, s); }, 0, pages);
  }
  void write(unsigned offset, std::uint32_t value, unsigned size) {
    device.write(offset, value, size, now, sink, memory, true);
  }
  void send(std::uint32_t bytes) {
    for (unsigned i = 0; i < bytes; ++i)
      memory.set<char>(buffer + i, static_cast<char>('a' + i % 26));
    transmit.offer(0, {{buffer, bytes}});
    write(16, 1, 2);
  }

  FlatDma memory;
  FakeDriver receive{memory, receive_page, VirtioConsole::queue_size};
  FakeDriver transmit{memory, transmit_page, VirtioConsole::queue_size};
  RecordingSink sink;
  VirtioConsole device;
  std::uint64_t now = 1000;
};

TEST_F(VirtioConsoleTest, OutputGoesOut) {
  send(5);
  EXPECT_EQ(sink.text, "abcde");
  EXPECT_EQ(transmit.used_count(), 1);
  EXPECT_TRUE(device.interrupt());
  EXPECT_EQ(device.next_deadline(), no_deadline);
}

TEST_F(VirtioConsoleTest, MuchOutputGoesOutPieceByPiece) {
  send(2500);
  EXPECT_EQ(sink.text.size(), 1024u);
  EXPECT_EQ(transmit.used_count(), 0);
  EXPECT_EQ(device.next_deadline(), now + VirtioConsole::pause_nanoseconds);
  write(16, 1, 2);  // does not hurry it
  EXPECT_EQ(sink.text.size(), 1024u);
  for (unsigned i = 0; i < 2; ++i) {
    now = device.next_deadline();
    device.advance(now, sink, memory, true);
  }
  EXPECT_EQ(sink.text.size(), 2500u);
  EXPECT_EQ(sink.text.substr(2496), "abcd");
  EXPECT_EQ(transmit.used_count(), 1);
  EXPECT_EQ(device.next_deadline(), no_deadline);
  send(1);
  EXPECT_EQ(sink.text.size(), 2501u);
}

TEST_F(VirtioConsoleTest, AResetForgetsWhatWasUnderWay) {
  send(2500);
  write(18, 0, 1);
  EXPECT_EQ(device.next_deadline(), no_deadline);
  device.advance(now + 1000000000, sink, memory, true);
  EXPECT_EQ(sink.text.size(), 1024u);
}

TEST_F(VirtioConsoleTest, OutputOutsideOfMemoryIsLost) {
  transmit.offer(0, {{0x80000000, 0x70000000}});
  write(16, 1, 2);
  EXPECT_EQ(sink.text, "");
  EXPECT_EQ(transmit.used_count(), 1);
}

TEST_F(VirtioConsoleTest, InputNeedsABufferOfTheDrivers) {
  EXPECT_FALSE(device.can_receive(memory));
  device.receive('x', memory);
  receive.offer(0, {{buffer, 10, true}});
  ASSERT_TRUE(device.can_receive(memory));
  device.receive('y', memory);
  EXPECT_EQ(memory.get<char>(buffer), 'y');
  EXPECT_EQ(receive.used_count(), 1);
  EXPECT_EQ(receive.used_bytes(0), 1u);
  EXPECT_TRUE(device.interrupt());
  EXPECT_FALSE(device.can_receive(memory));
  write(18, 0, 1);
  receive.offer(0, {{buffer, 10, true}});
  EXPECT_FALSE(device.can_receive(memory));
}

}  // namespace
}  // namespace undercroft::test
