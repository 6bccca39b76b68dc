#include "monitor/memory/frame_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::MachineMemory;

namespace {

std::set<std::uint32_t> take_all(FramePool& pool) {
  std::set<std::uint32_t> pages;
  while (const auto frame = pool.allocate()) {
    EXPECT_EQ(frame->page_offset(), 0u);
    EXPECT_TRUE(pages.insert(frame->page_number()).second) << "handed out twice";
  }
  return pages;
}

std::set<std::uint32_t> pages_between(std::uint32_t first, std::uint32_t end) {
  std::set<std::uint32_t> pages;
  for (; first < end; ++first) pages.insert(first);
  return pages;
}

}  // namespace

TEST(FramePool, EmptyGivesNothing) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  EXPECT_EQ(pool.free_frames(), 0u);
  EXPECT_FALSE(pool.allocate());
  EXPECT_FALSE(pool.allocate_zeroed());
}

TEST(FramePool, RoundsRangesInwards) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  EXPECT_TRUE(pool.add_range(HostPhysical(0x10001), 0x3ffe));  // one byte short at each end
  EXPECT_EQ(pool.free_frames(), 2u);
  EXPECT_EQ(take_all(pool), pages_between(0x11, 0x13));
  EXPECT_EQ(pool.free_frames(), 0u);
  EXPECT_TRUE(pool.add_range(HostPhysical(0x20800), 0x1000));  // no whole page
  EXPECT_FALSE(pool.allocate());
}

TEST(FramePool, LeavesFrameZeroOut) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  EXPECT_TRUE(pool.add_range(HostPhysical(0), 0x3000));
  EXPECT_EQ(take_all(pool), pages_between(1, 3));
}

TEST(FramePool, ReservationsAreRoundedOutwardsAndMayOverlap) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  EXPECT_TRUE(pool.reserve_range(HostPhysical(0x5fff), 2));        // pages 5 and 6
  EXPECT_TRUE(pool.reserve_range(HostPhysical(0x6000), 0x2001));   // pages 6 to 8
  EXPECT_TRUE(pool.reserve_range(HostPhysical(0xf000), 0x10000));  // past the end of the range
  EXPECT_TRUE(pool.reserve_range(HostPhysical(0x3000), 0));        // nothing
  EXPECT_TRUE(pool.reserve_range(HostPhysical(0x0), 0x2000));      // before and into the range
  EXPECT_TRUE(pool.add_range(HostPhysical(0x1000), 0xf000));
  auto expected = pages_between(2, 5);
  expected.merge(pages_between(9, 0xf));
  EXPECT_EQ(pool.free_frames(), expected.size());
  EXPECT_EQ(take_all(pool), expected);
}

TEST(FramePool, StopsAtFourGigabytes) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  EXPECT_TRUE(pool.add_range(HostPhysical(0xffffe000), 0x100000000));
  EXPECT_EQ(take_all(pool), pages_between(0xffffe, 0x100000));
  FramePool other(machine.slots);
  EXPECT_TRUE(other.reserve_range(HostPhysical(0xffffd000), ~0ull));
  EXPECT_TRUE(other.add_range(HostPhysical(0xffffc000), 0x4000));
  EXPECT_EQ(take_all(other), pages_between(0xffffc, 0xffffd));
}

TEST(FramePool, StartUpTouchesNoFrame) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  pool.add_range(HostPhysical(0x100000), 32u << 20);
  for (unsigned i = 0; i < 100; ++i) pool.allocate();
  EXPECT_EQ(machine.points, 0u);
}

TEST(FramePool, FreedFramesComeBack) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  pool.add_range(HostPhysical(0x100000), 0x8000);
  const auto all = take_all(pool);
  for (const std::uint32_t page : all) pool.free(HostPhysical::of_page(page));
  EXPECT_EQ(pool.free_frames(), 8u);
  EXPECT_EQ(take_all(pool), all);
}

TEST(FramePool, ZeroedFramesAreZero) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  pool.add_range(HostPhysical(0x100000), 0x1000);
  for (unsigned word = 0; word < 1024; ++word)
    machine.set_word(HostPhysical(0x100000 + word * 4), 0xdeadbeef);
  pool.free(*pool.allocate());
  const auto frame = pool.allocate_zeroed();
  ASSERT_TRUE(frame);
  for (unsigned word = 0; word < 1024; ++word) EXPECT_EQ(machine.word(*frame + word * 4), 0u);
}

TEST(FramePool, SaysWhenItsTablesAreFull) {
  MachineMemory machine;
  FramePool pool(machine.slots);
  unsigned reserved = 0;
  while (reserved < 1000 && pool.reserve_range(HostPhysical(0x100000), 1)) ++reserved;
  EXPECT_EQ(reserved, 32u);
  unsigned added = 0;
  while (added < 1000 && pool.add_range(HostPhysical(0x200000 + added * 0x2000), 0x1000)) ++added;
  EXPECT_EQ(added, 64u);
  EXPECT_EQ(pool.free_frames(), 64u);
}

namespace {

// Some frames from a range, some freed, some in use.
struct CheckedPool : testing::Test {
  CheckedPool() {
    pool.add_range(HostPhysical(0x100000), 0x10000);
    for (auto& frame : frames) frame = *pool.allocate();
    pool.free(frames[1]);
    pool.free(frames[2]);
    pool.begin_check();
  }
  MachineMemory machine;
  FramePool pool{machine.slots};
  std::array<HostPhysical, 4> frames{};
};

}  // namespace

TEST_F(CheckedPool, HoldsWhileFramesComeAndGo) {
  EXPECT_TRUE(pool.check());
  const HostPhysical freed = *pool.allocate(), other = *pool.allocate();
  machine.set_word(freed + 8, 1);
  machine.set_word(other, 2);
  const HostPhysical fresh = *pool.allocate();
  machine.set_word(fresh, 3);
  machine.set_word(frames[0], 4);
  EXPECT_TRUE(pool.check());
  pool.free(fresh);
  pool.free(frames[0]);
  EXPECT_TRUE(pool.check());
  while (pool.allocate()) {
  }
  EXPECT_TRUE(pool.check());
}

TEST_F(CheckedPool, FindsAWriteToAFreeFrame) {
  for (const HostPhysical frame : {frames[1], frames[2], HostPhysical(0x10f000)}) {
    const std::uint32_t before = machine.word(frame + 0xffc);
    machine.set_word(frame + 0xffc, before ^ 0x8000);
    EXPECT_FALSE(pool.check());
    machine.set_word(frame + 0xffc, before);
    EXPECT_TRUE(pool.check());
  }
  machine.set_word(frames[2], frames[0].page_number());  // the list itself
  EXPECT_FALSE(pool.check());
}

TEST_F(CheckedPool, FindsAWriteAlsoWhenTheFrameIsInUseAgain) {
  machine.set_word(frames[2] + 4, 77);
  while (pool.allocate()) {
  }
  EXPECT_FALSE(pool.check());
}
