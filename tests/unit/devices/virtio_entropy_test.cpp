#include "monitor/devices/virtio_entropy.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/fakes/virtio_driver.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t page = 0x10, buffer = 0x40000;

struct FakeEntropy final : EntropySource {
  std::uint64_t sample() override { return ++count * step; }
  unsigned samples_of_a_key() const override { return needed; }
  std::uint64_t count = 0, step = 1;
  unsigned needed = 0;
};

struct VirtioEntropyTest : testing::Test {
  VirtioEntropyTest() {
    const std::uint32_t pages[] = {page};
    bring_up([&](unsigned o, std::uint32_t v, unsigned s) { write(o, v, s); }, 0, pages);
  }
  void write(unsigned offset, std::uint32_t value, unsigned size) {
    device.write(offset, value, size, source, memory, true);
  }
  std::vector<std::uint8_t> ask(std::uint32_t bytes) {
    for (unsigned i = 0; i < bytes; ++i) memory.set<std::uint8_t>(buffer + i, 0);
    driver.offer(0, {{buffer, bytes, true}});
    write(16, 0, 2);
    const std::uint32_t got = driver.used_bytes(driver.used_count() - 1u);
    std::vector<std::uint8_t> out(got);
    for (unsigned i = 0; i < got; ++i) out[i] = memory.get<std::uint8_t>(buffer + i);
    return out;
  }

  FlatDma memory;
  FakeDriver driver{memory, page, VirtioEntropy::queue_size};
  FakeEntropy source;
  VirtioEntropy device;
};

TEST_F(VirtioEntropyTest, FillsTheBuffer) {
  const auto bytes = ask(2000);
  ASSERT_EQ(bytes.size(), 2000u);
  EXPECT_GT((std::set<std::uint8_t>(bytes.begin(), bytes.end()).size()), 200u);
  EXPECT_TRUE(device.interrupt());
  EXPECT_NE(ask(2000), bytes);
}

TEST_F(VirtioEntropyTest, NoMoreThanItsShareAtATime) {
  EXPECT_EQ(ask(100000).size(), VirtioEntropy::most_request_bytes);
  driver.offer(0, {{buffer, 100}});  // nothing to write to
  write(16, 0, 2);
  EXPECT_EQ(driver.used_bytes(driver.used_count() - 1u), 0u);
  driver.offer(0, {{0x80000000, 100, true}});
  write(16, 0, 2);
  EXPECT_EQ(driver.used_bytes(driver.used_count() - 1u), 0u);
}

TEST_F(VirtioEntropyTest, AKeysWorthBeforeTheFirstAnswer) {
  source.needed = 1000;
  ask(16);
  EXPECT_EQ(source.count, 1000u);
  ask(16);
  EXPECT_EQ(source.count, 1008u);
  VirtioEntropy others[2];
  const unsigned needed[] = {0, 1'000'000}, taken[] = {8, 16384};
  for (unsigned i = 0; i < 2; ++i) {
    FakeEntropy another;
    another.needed = needed[i];
    others[i].write(18, 7, 1, another, memory, true);
    others[i].write(8, page, 4, another, memory, true);
    driver.set_offered(0);
    driver.offer(0, {{buffer, 32, true}});
    others[i].write(16, 0, 2, another, memory, true);
    EXPECT_EQ(another.count, taken[i]);
  }
}

TEST_F(VirtioEntropyTest, EverySampleCounts) {
  const auto one = ask(32);
  VirtioEntropy other;
  FakeEntropy another;
  another.step = 3;
  other.write(18, 7, 1, another, memory, true);
  other.write(8, page, 4, another, memory, true);
  driver.set_offered(0);
  driver.offer(0, {{buffer, 32, true}});
  other.write(16, 0, 2, another, memory, true);
  std::vector<std::uint8_t> two(32);
  for (unsigned i = 0; i < 32; ++i) two[i] = memory.get<std::uint8_t>(buffer + i);
  EXPECT_NE(one, two);
}

}  // namespace
}  // namespace undercroft::test
