// PAE guest tables in the shadow: two directory entries in each shadow table, latched pointers.
#include <algorithm>
#include <random>

#include "tests/unit/memory/shadow_machine.hpp"

namespace undercroft::test {
namespace {

class ShadowPae : public Shadow {
 protected:
  static constexpr GuestPhysical pointer_table{0x9020}, other_pointers{0x9040};
  static constexpr GuestLinear upper_half{0x00605000};  // directory entry 3, table entry 5

  ShadowPae() { use_pointers(pointer_table, {directory.value() | P, 0, 0, 0}); }

  void use_pointers(GuestPhysical root, const PagePointers& pointers, bool write_protect = true) {
    paging = {PagingMode::pae, root, pointers};
    wp = write_protect;
    shadow.use(paging, wp);
  }
  void put(GuestPhysical of, unsigned index, std::uint64_t entry) {
    guest.memory.write(of + index * 8, static_cast<std::uint32_t>(entry), 4);
    guest.memory.write(of + index * 8 + 4, static_cast<std::uint32_t>(entry >> 32), 4);
  }
  // Pages at 0x00405000 and 0x00605000: entries 2 and 3 of the directory.
  void map_both_halves() {
    put(directory, 2, table.value() | P | W | U);
    put(table, 5, page.value() | P | W | U);
    put(directory, 3, other_table.value() | P | U);
    put(other_table, 5, (page.value() + page_size) | P | W | U);
  }
};

TEST_F(ShadowPae, HalvesHaveTablesAndRightsOfTheirOwn) {
  map_both_halves();
  for (const View view : views) {
    ASSERT_TRUE(access(linear, view, true));
    ASSERT_TRUE(access(upper_half, view, false));
    EXPECT_FALSE(access(upper_half, view, true)) << "its directory entry is read-only";
    EXPECT_EQ(shown(linear, view), (Shown{true, true, host(page)}));
    EXPECT_EQ(shown(upper_half, view), (Shown{true, false, host(page + page_size)}));
    check_root(view);
  }
  for (const GuestPhysical at : {directory, table, other_table}) EXPECT_TRUE(table_watched(at));
  EXPECT_FALSE(table_watched(pointer_table.page()));
  put(table, 5, 0);
  put(other_table, 5, page.value() | P | W | U | A | D);
  for (const View view : views) {
    EXPECT_FALSE(shown(linear, view).present);
    EXPECT_FALSE(shown(upper_half, view).present);
  }
}

TEST_F(ShadowPae, EitherWordOfAnEntryCounts) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  guest.memory.write(table + 5 * 8 + 4, 1, 4);  // above 4 GB now
  EXPECT_FALSE(shown(linear, View::kernel).present);
  guest.memory.write(table + 5 * 8 + 4, 0, 4);
  ASSERT_TRUE(access(linear, View::kernel, true));
  guest.memory.write(directory + 2 * 8 + 4, 1, 4);
  EXPECT_FALSE(shown(linear, View::kernel).present);
  EXPECT_FALSE(table_watched(table));
}

TEST_F(ShadowPae, ADirectoryEntryTakesItsHalfAwayAndNoMore) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  ASSERT_TRUE(access(upper_half, View::kernel, false));
  put(directory, 2, table.value() | P | W | U | A | D);  // nothing new but the ignored bit 6
  EXPECT_TRUE(shown(linear, View::kernel).present);
  put(directory, 2, table.value() | P | W | U);  // A is to be set again
  EXPECT_FALSE(shown(linear, View::kernel).present);
  ASSERT_TRUE(access(linear, View::kernel, true));
  put(directory, 2, table.value() | P | A);  // no longer the user's
  EXPECT_FALSE(shown(linear, View::kernel).present);
  EXPECT_FALSE(table_watched(table)) << "the frame is free to become something else";
  EXPECT_TRUE(shown(upper_half, View::kernel).present);
  EXPECT_TRUE(table_watched(other_table));
}

TEST_F(ShadowPae, LargePages) {
  const GuestLinear at(0x00403000), next(0x00404000);
  put(directory, 2, 0x400000 | P | W | U | PS);
  ASSERT_TRUE(access(at, View::user, false));
  EXPECT_EQ(shown(at, View::user), (Shown{true, false, host(GuestPhysical(0x403000))}));
  ASSERT_TRUE(access(at, View::user, true));
  EXPECT_TRUE(shown(at, View::user).writable);
  ASSERT_TRUE(access(next, View::user, false));  // D is set for all of it
  EXPECT_TRUE(shown(next, View::user).writable);
  put(directory, 2, 0x400000 | P | W | U | PS | A);  // clean again
  EXPECT_FALSE(shown(at, View::user).writable);
  ASSERT_TRUE(access(at, View::user, false));
  put(directory, 2, table.value() | P | W | U | A);
  put(table, 3, page.value() | P | W | U | A | D);
  EXPECT_FALSE(shown(at, View::user).present);
  ASSERT_TRUE(access(at, View::user, true));
  EXPECT_EQ(shown(at, View::user), (Shown{true, true, host(page)}));
}

TEST_F(ShadowPae, PointersAreThoseThatWereLatched) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  const GuestLinear in_third(0x80000000u | linear.value());
  use_pointers(pointer_table, {directory.value() | P, 0, directory.value() | P, 0});
  EXPECT_TRUE(shown(linear, View::kernel).present);
  EXPECT_FALSE(shown(in_third, View::kernel).present);
  ASSERT_TRUE(access(in_third, View::kernel, true));
  EXPECT_EQ(shown(in_third, View::kernel), (Shown{true, true, host(page)}));
  put(other_directory, 2, table.value() | P | A);
  use_pointers(pointer_table, {other_directory.value() | P, 0, directory.value() | P, 0});
  EXPECT_FALSE(shown(linear, View::kernel).present);
  ASSERT_TRUE(access(linear, View::kernel, false));
  EXPECT_EQ(shown(linear, View::kernel), (Shown{true, false, host(page)})) << "rights of its own";
  EXPECT_TRUE(shown(in_third, View::kernel).writable);
  // One write to the table reaches both.
  put(table, 5, 0);
  EXPECT_FALSE(shown(linear, View::kernel).present);
  EXPECT_FALSE(shown(in_third, View::kernel).present);
}

TEST_F(ShadowPae, DirectoriesAreSharedBetweenRoots) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  const auto made = shadow.counts().tables_made;
  use_pointers(other_pointers, {directory.value() | P, 0, 0, 0});
  ASSERT_TRUE(access(upper_half, View::kernel, false));
  EXPECT_TRUE(shown(linear, View::kernel).present) << "filled for the other root";
  EXPECT_EQ(shadow.counts().tables_made, made + 1) << "the root alone";
}

TEST_F(ShadowPae, ADirectoryThatBecameSomethingElseIsLetGo) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  use_pointers(other_pointers, {other_directory.value() | P, 0, 0, 0});
  shadow.load(View::kernel);
  for (unsigned n = 0; n < 3; ++n) put(directory, 100 + n, 0x1234567);
  EXPECT_FALSE(table_watched(directory));
  EXPECT_FALSE(table_watched(table));
}

// As when a process ends whose directory showed the kernel's code too.
TEST_F(ShadowPae, CodeOfALostDirectoryIsLookedForInItsSlots) {
  map_both_halves();
  guest.table.watch(page, Watcher::translated_code);
  const GuestLinear in_third(0x80000000u | linear.value());
  use_pointers(pointer_table, {directory.value() | P, 0, directory.value() | P, 0});
  ASSERT_TRUE(access(linear, View::kernel, false));
  ASSERT_TRUE(access(in_third, View::kernel, false));
  use_pointers(other_pointers, {other_directory.value() | P, 0, 0, 0});
  shadow.load(View::kernel);
  for (unsigned n = 0; n < 3; ++n) put(directory, 100 + n, 0x1234567);
  EXPECT_TRUE(code.frames.empty());
  std::sort(code.slots.begin(), code.slots.end());
  EXPECT_EQ(code.slots, (std::vector<unsigned>{1, 0x201}));
}

TEST_F(ShadowPae, ATableThatIsADirectoryToo) {
  // The directory's last entry but two names the directory, as kernels map their own tables.
  map_both_halves();
  put(directory, 508, directory.value() | P | W | A | D);
  const GuestLinear table_at((508u << 21) + 2 * page_size),
      directory_at((508u << 21) + 508 * page_size);
  put(directory, 2, table.value() | P | W | A | D);
  shadow.fill(table_at, walk(table_at), View::kernel, true);
  shadow.fill(directory_at, walk(directory_at), View::kernel, true);
  EXPECT_EQ(shown(directory_at, View::kernel), (Shown{true, false, host(directory)}));
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_EQ(shown(table_at, View::kernel), (Shown{true, false, host(table)}));
  put(directory, 2, 0);
  EXPECT_FALSE(shown(table_at, View::kernel).present);
  EXPECT_FALSE(shown(linear, View::kernel).present);
}

TEST_F(ShadowPae, WhatIsWatchedForTheWindow) {
  map_both_halves();
  ASSERT_TRUE(access(linear, View::kernel, true));
  constexpr std::uint32_t none = ShadowPaging::no_frame;
  shadow.watch_also({directory.page_number(), table.page_number(), other_table.page_number()});
  EXPECT_TRUE(table_watched(other_table));
  shadow.watch_also({other_directory.page_number(), none, none});
  EXPECT_TRUE(table_watched(other_directory));
  EXPECT_FALSE(table_watched(other_table));
  EXPECT_TRUE(table_watched(table) && table_watched(directory)) << "they have shadows";
}

// As ShadowUnderRandomUse, with PAE and two-level address spaces over the same frames.
class ShadowPaeUnderRandomUse : public ShadowPae, public ::testing::WithParamInterface<unsigned> {
 protected:
  unsigned below(unsigned n) { return static_cast<unsigned>(random() % n); }
  GuestPhysical table_frame() { return GuestPhysical(0x10000 + below(6) * page_size); }
  GuestPhysical data_frame() {
    return below(6) == 0 ? table_frame() : GuestPhysical(0x20000 + below(16) * page_size);
  }
  std::uint32_t rights() { return random() & (W | U | A | D); }
  PagePointers some_pointers() {
    PagePointers pointers{};
    for (auto& pointer : pointers) {
      if (below(4) != 0) pointer = table_frame().value() | P;
    }
    return pointers;
  }
  GuestLinear address() {
    return GuestLinear(below(4) << 30 | (below(2) ? 508 + below(4) : below(6)) << 21 |
                       below(8) << 12);
  }
  void change_tables() {
    const std::uint64_t high = below(16) == 0 ? 1ull << (32 + below(32)) : 0;
    const std::uint64_t entry = data_frame().value() | rights() | (below(8) ? P : 0) | high;
    const unsigned index = below(2) ? 508 + below(4) : below(8);
    const std::uint64_t large = std::uint64_t{below(4)} << 21 | rights() | P | PS;
    put(table_frame(), index, below(8) == 0 ? large : entry);
  }
  void change_watchers() {
    const GuestPhysical frame = data_frame();
    const Watcher watcher = below(2) ? Watcher::debugger : Watcher::translated_code;
    if (below(2)) return guest.table.unwatch(frame, watcher);
    guest.table.watch(frame, watcher);
    shadow.write_protect(frame);
  }
  std::mt19937 random{GetParam()};
};

TEST_P(ShadowPaeUnderRandomUse, ShowsOnlyWhatIsAllowed) {
  shadow.set_budget(64);
  for (unsigned n = 0; n < 30000; ++n) {
    switch (below(24)) {
      case 0:
        use_pointers(below(2) ? pointer_table : other_pointers, some_pointers(), below(4) != 0);
        break;
      case 1:
        if (below(4) == 0) {
          paging = {PagingMode::two_level_large, table_frame(), {}};
          shadow.use(paging, wp);
        }
        break;
      case 2:
        change_watchers();
        break;
      case 3:
        shadow.load(views[below(2)]);
        break;
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        change_tables();
        break;
      default:
        access(address(), views[below(2)], below(2));
        break;
    }
    if (n % 300 != 0) continue;
    for (const View view : views) check_root(view);
    ASSERT_FALSE(HasFatalFailure()) << "after " << n;
  }
  EXPECT_GT(shadow.counts().fills, 500u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ShadowPaeUnderRandomUse, ::testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace undercroft::test
