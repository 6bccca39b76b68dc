#include "monitor/devices/virtqueue.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/virtio_driver.hpp"

namespace undercroft::test {
namespace {

using Next = Virtqueue::Next;
constexpr std::uint32_t page = 0x10;
constexpr std::uint32_t table = 0x40000;  // of indirect descriptors

struct VirtqueueTest : testing::Test {
  VirtqueueTest() { queue.set_page(page); }

  Next peek() { return queue.peek(memory, chain); }
  std::string text(std::uint64_t offset, std::size_t bytes) {
    std::string out(bytes, '?');
    EXPECT_TRUE(chain.read(memory, offset, std::as_writable_bytes(std::span(out))));
    return out;
  }

  FlatDma memory;
  FakeDriver driver{memory, page, 8};
  Virtqueue queue{8};
  VirtioChain chain;
};

TEST_F(VirtqueueTest, NothingOfferedAndNoPlace) {
  EXPECT_EQ(peek(), Next::nothing);
  queue.set_page(0);
  driver.offer(0, {{0x2000, 4}});
  EXPECT_EQ(peek(), Next::nothing);
}

TEST_F(VirtqueueTest, AChainIsItsBuffersInOrder) {
  memory.set<std::uint32_t>(0x2000, 0x64636261);
  memory.set<std::uint32_t>(0x3000, 0x68676665);
  driver.offer(2, {{0x2000, 4}, {0x3000, 3}, {0x5000, 2, true}, {0x6000, 5, true}});
  ASSERT_EQ(peek(), Next::chain);
  EXPECT_EQ(chain.head(), 2);
  EXPECT_EQ(chain.readable_bytes(), 7u);
  EXPECT_EQ(chain.writable_bytes(), 7u);
  EXPECT_EQ(text(0, 7), "abcdefg");
  EXPECT_EQ(text(3, 2), "de");
  const char answer[] = "1234567";
  ASSERT_TRUE(chain.write(memory, 0, std::as_bytes(std::span(answer)).first(7)));
  EXPECT_EQ(memory.get<char>(0x5001), '2');
  EXPECT_EQ(memory.get<char>(0x6004), '7');
  std::byte beyond[8];
  EXPECT_FALSE(chain.read(memory, 0, beyond));
  EXPECT_FALSE(chain.write(memory, 1, std::as_bytes(std::span(answer)).first(7)));
  queue.use(memory, chain, 7);
  EXPECT_EQ(driver.used_count(), 1);
  EXPECT_EQ(driver.used_head(0), 2u);
  EXPECT_EQ(driver.used_bytes(0), 7u);
  EXPECT_EQ(peek(), Next::nothing);
}

TEST_F(VirtqueueTest, RingsGoRound) {
  for (unsigned i = 0; i < 70000; ++i) {
    driver.offer(i % 8, {{0x2000, i % 100}});
    ASSERT_EQ(peek(), Next::chain) << i;
    ASSERT_EQ(chain.head(), i % 8);
    ASSERT_EQ(peek(), Next::chain);  // the same, until it is used
    queue.use(memory, chain, i);
    ASSERT_EQ(driver.used_bytes(i), i);
    ASSERT_EQ(peek(), Next::nothing);
  }
}

TEST_F(VirtqueueTest, ADriverMayOfferAQueueFull) {
  for (unsigned i = 0; i < 8; ++i) driver.offer(i, {{0x2000, 1}});
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_EQ(peek(), Next::chain);
    queue.use(memory, chain, 0);
  }
  EXPECT_EQ(peek(), Next::nothing);
}

TEST_F(VirtqueueTest, IndirectDescriptors) {
  queue.set_features(Virtqueue::feature_indirect);
  driver.set_chain(table, 0, {{0x2000, 4}, {0x3000, 6, true}});
  driver.set_descriptor(driver.descriptors, 0, table, 32, FakeDriver::indirect, 0);
  driver.offer(0);
  ASSERT_EQ(peek(), Next::chain);
  EXPECT_EQ(chain.readable_bytes(), 4u);
  EXPECT_EQ(chain.writable_bytes(), 6u);
  queue.use(memory, chain, 0);
  // Behind an ordinary one, as its last.
  driver.set_descriptor(driver.descriptors, 1, 0x2000, 4, FakeDriver::next, 2);
  driver.set_descriptor(driver.descriptors, 2, table, 32, FakeDriver::indirect, 0);
  driver.offer(1);
  ASSERT_EQ(peek(), Next::chain);
  EXPECT_EQ(chain.readable_bytes(), 8u);
}

TEST_F(VirtqueueTest, InterruptsAsTheFlagSays) {
  EXPECT_FALSE(queue.wants_interrupt(memory));
  driver.offer(0, {{0x2000, 1}});
  peek();
  queue.use(memory, chain, 0);
  EXPECT_TRUE(queue.wants_interrupt(memory));
  EXPECT_FALSE(queue.wants_interrupt(memory));  // told already
  driver.forbid_interrupts();
  driver.offer(0, {{0x2000, 1}});
  peek();
  queue.use(memory, chain, 0);
  EXPECT_FALSE(queue.wants_interrupt(memory));
}

TEST_F(VirtqueueTest, InterruptsAsTheEventIndexSays) {
  queue.set_features(Virtqueue::feature_event_index);
  driver.want_event_at(2);  // when the third is used
  for (unsigned i = 0; i < 5; ++i) {
    driver.offer(0, {{0x2000, 1}});
    ASSERT_EQ(peek(), Next::chain);
    queue.use(memory, chain, 0);
    EXPECT_EQ(queue.wants_interrupt(memory), i == 2) << i;
    EXPECT_EQ(peek(), Next::nothing);
    EXPECT_EQ(driver.device_event(), i + 1);
  }
}

// What a driver must not do ends the queue, until it is set up anew.
struct BrokenQueue : VirtqueueTest {
  void expect_broken() {
    EXPECT_EQ(peek(), Next::broken);
    EXPECT_LE(memory.accesses, 300u);
    EXPECT_EQ(peek(), Next::broken);
    EXPECT_EQ(driver.used_count(), 0);
    queue.reset();
    queue.set_page(page);
    driver.set_offered(0);
    driver.offer(0, {{0x2000, 1}});
    EXPECT_EQ(peek(), Next::chain);
  }
};

TEST_F(BrokenQueue, MoreOfferedThanTheQueueHolds) {
  driver.set_offered(9);
  expect_broken();
}
TEST_F(BrokenQueue, AHeadThatIsNotThere) {
  driver.offer(8);
  expect_broken();
}
TEST_F(BrokenQueue, ANextThatIsNotThere) {
  driver.set_descriptor(driver.descriptors, 0, 0x2000, 4, FakeDriver::next, 8);
  driver.offer(0);
  expect_broken();
}
TEST_F(BrokenQueue, AChainThatGoesRound) {
  for (unsigned i = 0; i < 8; ++i) {
    driver.set_descriptor(driver.descriptors, i, 0x2000, 4, FakeDriver::next, (i + 1) % 8);
  }
  driver.offer(0);
  expect_broken();
}
TEST_F(BrokenQueue, AReadableBufferBehindAWritableOne) {
  driver.offer(0, {{0x2000, 4, true}, {0x3000, 4}});
  expect_broken();
}
TEST_F(BrokenQueue, AnAddressAbove4GB) {
  driver.offer(0, {{1ull << 32, 4}});
  expect_broken();
}
TEST_F(BrokenQueue, ABufferThatWraps) {
  driver.offer(0, {{0xfffffff0, 0x20}});
  expect_broken();
}
TEST_F(BrokenQueue, ABufferThatWraps64Bits) {
  driver.offer(0, {{~0ull, 0x20}});
  expect_broken();
}
TEST_F(BrokenQueue, IndirectThoughNotAgreed) {
  driver.set_chain(table, 0, {{0x2000, 4}});
  driver.set_descriptor(driver.descriptors, 0, table, 16, FakeDriver::indirect, 0);
  driver.offer(0);
  expect_broken();
}
TEST_F(BrokenQueue, IndirectTablesThatAreNone) {
  struct {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags;
  } const rows[] = {
      {table, 0, FakeDriver::indirect},
      {table, 17, FakeDriver::indirect},
      {table, 16, FakeDriver::indirect | FakeDriver::next},
      {0x200000, 16, FakeDriver::indirect},  // no memory
      {0xfffffff8, 16, FakeDriver::indirect},
      {1ull << 40, 16, FakeDriver::indirect},
  };
  for (const auto& row : rows) {
    queue.reset();
    queue.set_page(page);
    queue.set_features(Virtqueue::feature_indirect);
    driver.set_offered(0);
    driver.set_chain(table, 0, {{0x2000, 4}});
    driver.set_descriptor(driver.descriptors, 0, row.address, row.bytes, row.flags, 0);
    driver.offer(0);
    EXPECT_EQ(peek(), Next::broken) << row.address << " " << row.bytes;
  }
}
TEST_F(BrokenQueue, AnIndirectTableInAnIndirectTable) {
  queue.set_features(Virtqueue::feature_indirect);
  driver.set_descriptor(table, 0, table, 16, FakeDriver::indirect, 0);
  driver.set_descriptor(driver.descriptors, 0, table, 16, FakeDriver::indirect, 0);
  driver.offer(0);
  expect_broken();
}
// A table of 60,000 descriptors, all of no length: a chain has its own limit.
TEST_F(BrokenQueue, AnEndlessIndirectTable) {
  queue.set_features(Virtqueue::feature_indirect);
  for (unsigned i = 0; i < 300; ++i) {
    driver.set_descriptor(table, i, 0x2000, 0, FakeDriver::next, static_cast<std::uint16_t>(i + 1));
  }
  driver.set_descriptor(driver.descriptors, 0, table, 960000, FakeDriver::indirect, 0);
  driver.offer(0);
  expect_broken();
}

TEST_F(VirtqueueTest, AQueueThatLiesNowhere) {
  for (const std::uint32_t nowhere : {0x101u, 0xfffffu, 0xffffeu, 0x100000u, 0xffffffffu}) {
    queue.set_page(nowhere);
    EXPECT_EQ(queue.page(), nowhere);
    EXPECT_EQ(peek(), Next::broken) << nowhere;
    EXPECT_FALSE(queue.wants_interrupt(memory));
  }
}

TEST_F(VirtqueueTest, BuffersOutsideOfMemoryFailWhenTheyAreUsed) {
  driver.offer(0, {{0x200000, 4}, {0xffffe, 4, true}});
  ASSERT_EQ(peek(), Next::chain);
  std::byte bytes[4];
  EXPECT_FALSE(chain.read(memory, 0, bytes));
  EXPECT_FALSE(chain.write(memory, 0, bytes));
}

}  // namespace
}  // namespace undercroft::test
