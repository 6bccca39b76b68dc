#include "monitor/memory/page_store.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

struct PageStoreTest : testing::Test {
  PageStoreTest() { pool.add_range(HostPhysical(0x100000), 8u << 20); }

  std::vector<std::byte> contents(HostPhysical place) {
    std::vector<std::byte> bytes;
    store.read(place, [&](auto span) { bytes.assign(span.begin(), span.end()); });
    return bytes;
  }
  HostPhysical keep(const std::vector<std::byte>& bytes) {
    return store.keep(bytes, *pool.allocate());
  }

  MachineMemory machine;
  FramePool pool{machine.slots};
  PageStore store{machine.slots, pool};
};

TEST_F(PageStoreTest, SmallPagesShareAFrame) {
  const auto before = pool.free_frames();
  std::vector<HostPhysical> places;
  for (unsigned i = 0; i < 15; ++i) {
    places.push_back(keep(std::vector<std::byte>(256, static_cast<std::byte>(i))));
    EXPECT_EQ(places[i].page(), places[0].page());
    EXPECT_EQ(places[i].value() % PageStore::unit_bytes, 0u);
    EXPECT_NE(places[i].page_offset(), 0u);  // a place is never 0
  }
  EXPECT_EQ(store.frames(), 1u);
  EXPECT_NE(keep({std::byte{1}}).page(), places[0].page());
  EXPECT_EQ(store.frames(), 2u);
  EXPECT_EQ(pool.free_frames(), before - 2);
}

TEST_F(PageStoreTest, NeedsNoFrameOfAnEmptyPool) {
  const HostPhysical own = *pool.allocate();
  while (pool.allocate()) {
  }
  const auto place = store.keep(std::vector<std::byte>(2000), own);
  EXPECT_EQ(place.page(), own);
  EXPECT_EQ(pool.free_frames(), 0u);
  store.drop(place);
  EXPECT_EQ(pool.free_frames(), 1u);
}

TEST_F(PageStoreTest, AnyOrderOfComingAndGoing) {
  std::mt19937 random(3);
  std::map<std::uint32_t, std::vector<std::byte>> kept;
  const auto before = pool.free_frames();
  for (unsigned round = 0; round < 20000; ++round) {
    const bool fuller = round % 4000 < 2500;
    if (kept.empty() || random() % 10 < (fuller ? 6u : 3u)) {
      std::vector<std::byte> bytes(1 + random() % PageStore::most_bytes);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
      const auto place = keep(bytes);
      ASSERT_FALSE(kept.contains(place.value()));
      kept[place.value()] = bytes;
    } else {
      const auto one = std::next(kept.begin(), static_cast<long>(random() % kept.size()));
      ASSERT_EQ(contents(HostPhysical(one->first)), one->second);
      store.drop(HostPhysical(one->first));
      kept.erase(one);
    }
    ASSERT_EQ(pool.free_frames() + store.frames(), before);
  }
  // Never more frames than pages, and well packed.
  EXPECT_LE(store.frames(), kept.size());
  for (const auto& [place, bytes] : kept) {
    ASSERT_EQ(contents(HostPhysical(place)), bytes);
    store.drop(HostPhysical(place));
  }
  EXPECT_EQ(store.frames(), 0u);
  EXPECT_EQ(pool.free_frames(), before);
}

}  // namespace
}  // namespace undercroft::test
