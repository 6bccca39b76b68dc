// Two-level guest tables. What is special to PAE is tested in shadow_pae_test.cpp.
#include "monitor/memory/shadow.hpp"

#include <algorithm>
#include <random>

#include "tests/unit/memory/shadow_machine.hpp"

namespace undercroft::test {
namespace {

TEST_F(Shadow, NothingIsShownUntilItIsFilled) {
  map_page();
  for (const View view : views) {
    EXPECT_FALSE(shown(linear, view).present);
    EXPECT_FALSE(shadow.allows(linear, view, false));
    EXPECT_TRUE(access(linear, view, false));
    EXPECT_EQ(shown(linear, view), (Shown{true, false, host(page)}));
    EXPECT_TRUE(shadow.allows(linear, view, false));
    EXPECT_FALSE(shadow.allows(linear, view, true));
    EXPECT_FALSE(shown(GuestLinear(linear.value() + page_size), view).present);
  }
}

TEST_F(Shadow, ACleanPageIsReadOnlyUntilItsFirstWrite) {
  map_page();
  ASSERT_TRUE(access(linear, View::user, false));
  EXPECT_FALSE(shown(linear, View::user).writable);
  ASSERT_TRUE(access(linear, View::user, true));
  EXPECT_TRUE(shown(linear, View::user).writable);
  EXPECT_TRUE(shadow.allows(linear, View::user, true));
  EXPECT_EQ(guest.memory.read(table + 5 * 4, 4), page.value() | P | W | U | A | D);
}

// Every combination of guest rights, D, watcher, CR0.WP and view.
TEST_F(Shadow, RightsFollowTheTables) {
  for (unsigned bits = 0; bits < 1u << 8; ++bits) {
    const auto bit = [&](unsigned n) { return (bits >> n & 1) != 0; };
    const bool upper_writable = bit(0), lower_writable = bit(1), upper_user = bit(2),
               lower_user = bit(3), dirty = bit(4), watched = bit(5), write_protect = bit(6);
    const View view = bit(7) ? View::user : View::kernel;
    const bool user = upper_user && lower_user, writable = upper_writable && lower_writable;
    if (view == View::user && !user) continue;
    use(directory, write_protect);
    map_page(P | A | (upper_writable ? W : 0) | (upper_user ? U : 0),
             P | A | (lower_writable ? W : 0) | (lower_user ? U : 0) | (dirty ? D : 0));
    if (watched)
      guest.table.watch(page, Watcher::debugger);
    else
      guest.table.unwatch(page, Watcher::debugger);
    ASSERT_TRUE(shadow.fill(linear, walk(linear), view, dirty));
    const bool may = writable || (view == View::kernel && !write_protect);
    EXPECT_EQ(shown(linear, view), (Shown{true, may && dirty && !watched, host(page)})) << bits;
    shadow.unmap(page);
  }
}

TEST_F(Shadow, ImagesAreReadOnlyAndDevicesAreNotShown) {
  guest.table.set_frame(page, FrameKind::read_only_image, host(page));
  map_page(P | W | U | A, P | W | U | A | D);
  EXPECT_TRUE(shadow.fill(linear, walk(linear), View::kernel, true));
  EXPECT_EQ(shown(linear, View::kernel), (Shown{true, false, host(page)}));
  shadow.unmap(page);
  for (const FrameKind kind :
       {FrameKind::absent, FrameKind::device, FrameKind::withdrawn, FrameKind::not_yet_given}) {
    guest.table.set_frame(page, kind);
    EXPECT_FALSE(shadow.fill(linear, walk(linear), View::kernel, true));
    EXPECT_FALSE(shown(linear, View::kernel).present);
  }
}

// PWT alone: the monitor's PAT makes write-combining of it.
TEST_F(Shadow, OnlyAFramebufferIsWriteCombining) {
  constexpr std::uint32_t cached_how = page_bit::write_through | page_bit::cache_disable;
  for (const FrameKind kind : {FrameKind::ram, FrameKind::read_only_image, FrameKind::device_memory,
                               FrameKind::framebuffer}) {
    guest.table.set_frame(page, kind, host(page));
    map_page(P | W | U | A | cached_how, P | W | U | A | D | cached_how);
    EXPECT_TRUE(shadow.fill(linear, walk(linear), View::kernel, true));
    const std::uint32_t upper = word(shadow.root(View::kernel), linear.value() >> 22);
    const std::uint32_t lower =
        word(HostPhysical(upper & ~page_mask), linear.value() >> 12 & 0x3ff);
    EXPECT_EQ(upper & cached_how, 0u);
    EXPECT_EQ(lower & cached_how, kind == FrameKind::framebuffer ? page_bit::write_through : 0u);
    EXPECT_EQ(shown(linear, View::kernel).writable, kind != FrameKind::read_only_image);
    shadow.unmap(page);
  }
}

TEST_F(Shadow, GuestTablesAreWatchedAndTheirWritesCarriedThrough) {
  map_page();
  ASSERT_TRUE(access(linear, View::kernel, true));
  ASSERT_TRUE(access(linear, View::user, true));
  EXPECT_TRUE(table_watched(table));
  EXPECT_TRUE(table_watched(directory));
  set_table(5, page.value() | P | U | A | D);  // read-only now
  for (const View view : views) EXPECT_FALSE(shown(linear, view).writable);
  access(linear, View::user, false);
  set_table(5, 0x21000 | P | W | U | A | D);  // another page
  EXPECT_TRUE(shown(linear, View::user).frame != host(page));
  access(linear, View::user, true);
  EXPECT_EQ(shown(linear, View::user), (Shown{true, true, host(GuestPhysical(0x21000))}));
  set_table(5, 0);
  EXPECT_FALSE(shown(linear, View::user).present);
}

TEST_F(Shadow, AByteOfAnEntryIsEnough) {
  map_page();
  for (unsigned byte = 0; byte < 4; ++byte) {
    ASSERT_TRUE(access(linear, View::kernel, true));
    guest.memory.write(table + 5 * 4 + byte, guest.memory.read(table + 5 * 4 + byte, 1) ^ 0x80, 1);
    EXPECT_NE(shown(linear, View::kernel), (Shown{true, true, host(page)}));
    map_page();
  }
  // A write over the edge of two entries touches both.
  map_page();
  set_table(6, 0x22000 | P | W | U);
  const GuestLinear next(linear.value() + page_size);
  access(linear, View::kernel, true);
  access(next, View::kernel, true);
  guest.memory.write(table + 5 * 4 + 2, 0, 4);
  EXPECT_FALSE(shown(linear, View::kernel).present &&
               shown(linear, View::kernel).frame == host(page) && !walk(linear).mapped());
  EXPECT_FALSE(shown(next, View::kernel).present);
}

TEST_F(Shadow, ADirectoryEntryTakesItsTableAway) {
  map_page();
  ASSERT_TRUE(access(linear, View::kernel, true));
  ASSERT_TRUE(access(linear, View::user, true));
  set_directory(1, 0);
  for (const View view : views) EXPECT_FALSE(shown(linear, view).present);
  EXPECT_FALSE(table_watched(table)) << "the frame is free to become something else";
  EXPECT_TRUE(shadow.flush_due());
  // The directory's rights count as well.
  map_page(P | U | A, P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::user, false));
  EXPECT_EQ(shown(linear, View::user), (Shown{true, false, host(page)}));
  set_directory(1, table.value() | P | W | A);
  EXPECT_FALSE(shown(linear, View::user).present);
}

TEST_F(Shadow, ADirectoryEntryThatIsNoLongerTheUsersIsNotShownToHim) {
  map_page(P | W | U | A, P | W | U | A | D);
  for (const View view : views) ASSERT_TRUE(access(linear, view, true));
  set_directory(1, table.value() | P | W | A);  // nothing but U has changed
  EXPECT_FALSE(shown(linear, View::user).present);
  check_root(View::kernel);
}

TEST_F(Shadow, TablesAreSharedBetweenAddressSpaces) {
  map_page(P | W | U | A, P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::kernel, true));
  use(other_directory);
  set_directory(1, table.value() | P | U | A);  // read-only here
  EXPECT_FALSE(shown(linear, View::kernel).present);
  ASSERT_TRUE(access(linear, View::kernel, false));
  EXPECT_EQ(shown(linear, View::kernel), (Shown{true, false, host(page)}));
  use(directory);
  EXPECT_EQ(shown(linear, View::kernel), (Shown{true, true, host(page)})) << "the other's rights";
  set_directory(1, 0);
  EXPECT_TRUE(table_watched(table)) << "the other directory still names it";
  use(other_directory);
  EXPECT_TRUE(shown(linear, View::kernel).present);
  set_directory(1, 0);
  EXPECT_FALSE(table_watched(table));
}

TEST_F(Shadow, LargePages) {
  const GuestLinear at(0x01403000);  // directory entry 5
  const GuestPhysical frame(0x403000);
  set_directory(5, 0x400000 | P | W | U | PS);
  ASSERT_TRUE(access(at, View::user, false));
  EXPECT_EQ(shown(at, View::user), (Shown{true, false, host(frame)}));
  ASSERT_TRUE(access(at, View::user, true));
  EXPECT_EQ(shown(at, View::user), (Shown{true, true, host(frame)}));
  const GuestLinear next(at.value() + page_size);
  ASSERT_TRUE(access(next, View::user, false));  // D is set for all of it
  EXPECT_TRUE(shown(next, View::user).writable);
  set_directory(5, 0x400000 | P | W | U | PS | A);  // clean again
  EXPECT_FALSE(shown(at, View::user).writable);
  ASSERT_TRUE(access(at, View::user, false));
  EXPECT_FALSE(shown(at, View::user).writable);
  set_directory(5, 0x000000 | P | W | PS | A | D);
  EXPECT_FALSE(shown(at, View::user).present);
  ASSERT_TRUE(access(at, View::kernel, true));
  EXPECT_EQ(shown(at, View::kernel).frame, host(GuestPhysical(0x3000)));
}

TEST_F(Shadow, TheSameFrameAsTableAndAsLargePageAreApart) {
  // The frame number of the page table is also that of a large page's first frame.
  constexpr GuestPhysical both(0x400000);
  set_directory(1, both.value() | P | W | U | A);
  set_table(5, page.value() | P | W | U | A | D, both);
  set_directory(2, both.value() | P | W | U | A | PS);
  ASSERT_TRUE(access(linear, View::kernel, true));
  const GuestLinear large(0x00805000);
  ASSERT_TRUE(access(large, View::kernel, false));
  EXPECT_EQ(shown(linear, View::kernel).frame, host(page));
  EXPECT_EQ(shown(large, View::kernel).frame, host(both + 0x5000));
  EXPECT_FALSE(access(GuestLinear(0x00800000), View::kernel, true)) << "a page table is watched";
  ASSERT_TRUE(access(GuestLinear(0x00800000), View::kernel, false));
  EXPECT_FALSE(shown(GuestLinear(0x00800000), View::kernel).writable);
}

TEST_F(Shadow, ARecursiveDirectoryShowsTablesReadOnly) {
  map_page();
  set_directory(1023 - 1, directory.value() | P | W | A);  // the window stands in the last one
  const GuestLinear table_at((1022u << 22) + 1 * page_size);
  const GuestLinear directory_at((1022u << 22) + 1022 * page_size);
  ASSERT_TRUE(access(table_at, View::kernel, false));
  ASSERT_TRUE(access(directory_at, View::kernel, false));
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_EQ(shown(table_at, View::kernel), (Shown{true, false, host(table)}));
  EXPECT_EQ(shown(directory_at, View::kernel), (Shown{true, false, host(directory)}));
  set_directory(1, 0);  // also an entry of the directory in its role as a table
  EXPECT_FALSE(shown(table_at, View::kernel).present);
  EXPECT_FALSE(shown(linear, View::kernel).present);
  check_root(View::kernel);
  set_directory(1022, 0);
  EXPECT_FALSE(shown(directory_at, View::kernel).present);
  check_root(View::kernel);
}

// The access that makes the shadow of a page table goes through that very table to itself.
TEST_F(Shadow, ATableThatMapsItselfIsNotWritableFromTheFirst) {
  map_page(P | W | U | A, P | W | U | A | D);
  set_table(5, table.value() | P | W | U | A | D);
  shadow.fill(linear, walk(linear), View::kernel, true);
  EXPECT_EQ(shown(linear, View::kernel), (Shown{true, false, host(table)}));
  set_directory(6, directory.value() | P | W | U | A);
  set_directory(0, directory.value() | P | W | U | A | D);
  const GuestLinear twice(6u << 22);
  shadow.fill(twice, walk(twice), View::user, true);
  EXPECT_EQ(shown(twice, View::user), (Shown{true, false, host(directory)}));
}

// One directory with CR4.PSE clear and set: bit 7 means something in one of them only.
TEST_F(Shadow, PageSizeExtensionsHaveRootsOfTheirOwn) {
  map_page(P | W | U | A | PS, P | W | U | A | D);
  const auto mode = [&](PagingMode now) {
    paging.mode = now;
    shadow.use(paging, wp);
  };
  mode(PagingMode::two_level);
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_EQ(shown(linear, View::kernel).frame, host(page));
  mode(PagingMode::two_level_large);
  EXPECT_FALSE(shown(linear, View::kernel).present);
  set_directory(1, P | W | U | A | D | PS);
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_EQ(shown(linear, View::kernel).frame, host(GuestPhysical(0x5000)));
  mode(PagingMode::two_level);
  EXPECT_NE(shown(linear, View::kernel).frame, host(GuestPhysical(0x5000)));
}

TEST_F(Shadow, WithoutPagingEverythingIsShownAsItIs) {
  paging = {};
  shadow.use(paging, true);
  const GuestLinear at(0x00123456);
  ASSERT_TRUE(shadow.fill(at, walk(at), View::kernel, true));
  EXPECT_EQ(shown(at, View::kernel), (Shown{true, true, host(GuestPhysical(0x123000))}));
}

TEST_F(Shadow, AWatcherTakesWriteRightsEverywhere) {
  map_page(P | W | U | A, P | W | U | A | D);
  set_table(9, page.value() | P | W | U | A | D);  // a second mapping of the page
  const GuestLinear again(0x00409000);
  for (const View view : views) {
    ASSERT_TRUE(access(linear, view, true));
    ASSERT_TRUE(access(again, view, true));
  }
  shadow.load(View::kernel);
  guest.table.watch(page, Watcher::descriptor_table);
  shadow.write_protect(page);
  EXPECT_TRUE(shadow.flush_due());
  for (const View view : views) {
    EXPECT_EQ(shown(linear, view), (Shown{true, false, host(page)}));
    EXPECT_EQ(shown(again, view), (Shown{true, false, host(page)}));
  }
}

TEST_F(Shadow, TheAuditFindsWhatNobodyAllowed) {
  map_page(P | W | U | A, P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::kernel, true));
  ASSERT_TRUE(access(linear, View::user, true));
  EXPECT_EQ(shadow.audit().entries, 6u);  // in each view the window, a table, a page
  EXPECT_EQ(shadow.audit().wrong, 0u);
  const HostPhysical root = shadow.root(View::kernel);
  const HostPhysical upper = root + 4, lower = HostPhysical(word(root, 1) & ~page_mask) + 20,
                     window = root + (processor.window.value() >> 22) * 4;
  for (const HostPhysical place : {upper, lower, window}) {
    const std::uint32_t before = guest.machine.word(place);
    guest.machine.set_word(place, before ^ 0x5000);  // another frame
    EXPECT_EQ(shadow.audit().wrong, 1u) << place.value();
    guest.machine.set_word(place, before);
  }
  guest.table.watch(page, Watcher::debugger);  // without taking the right to write
  EXPECT_EQ(shadow.audit().wrong, 2u);
  shadow.write_protect(page);
  EXPECT_EQ(shadow.audit().wrong, 0u);
}

TEST_F(Shadow, UnmapTakesAFrameFromEveryAddressSpace) {
  map_page(P | W | U | A, P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::kernel, true));
  ASSERT_TRUE(access(linear, View::user, true));
  use(other_directory);
  set_directory(7, table.value() | P | W | U | A);
  const GuestLinear elsewhere(0x01c05000);
  ASSERT_TRUE(access(elsewhere, View::user, true));
  shadow.load(View::user);
  EXPECT_FALSE(shadow.flush_due());
  shadow.unmap(page);
  EXPECT_TRUE(shadow.flush_due());
  EXPECT_FALSE(shown(elsewhere, View::user).present);
  use(directory);
  for (const View view : views) EXPECT_FALSE(shown(linear, view).present);
}

TEST_F(Shadow, LoadGivesTheProcessorTheRootOfTheView) {
  for (const View view : views) {
    shadow.load(view);
    ASSERT_FALSE(processor.roots_loaded.empty());
    EXPECT_EQ(processor.roots_loaded.back(), shadow.root(view));
    EXPECT_FALSE(shadow.flush_due());
  }
  EXPECT_NE(shadow.root(View::kernel), shadow.root(View::user));
}

TEST_F(Shadow, WhatTheViewsShareIsGlobal) {
  const auto is_global = [&](View view) {
    const std::uint32_t upper = word(shadow.root(view), linear.value() >> 22);
    return (word(HostPhysical(upper & ~page_mask), 5) & page_bit::global) != 0;
  };
  map_page(P | W | U | A, P | W | U | A | D);
  for (const View view : views) {
    ASSERT_TRUE(access(linear, view, true));
    EXPECT_TRUE(is_global(view));
  }
  set_table(5, page.value() | P | W | A | D);  // the kernel's
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_FALSE(is_global(View::kernel));
  map_page(P | W | U | A, P | W | U | A | D);
  use(directory, false);
  ASSERT_TRUE(access(linear, View::kernel, true));
  EXPECT_FALSE(is_global(View::kernel)) << "the kernel may write what the user may not";
  paging = {};
  shadow.use(paging, true);
  ASSERT_TRUE(shadow.fill(linear, walk(linear), View::kernel, true));
  EXPECT_FALSE(is_global(View::kernel));
}

TEST_F(Shadow, GlobalEntriesOutliveOnlyTheWayBetweenTheViews) {
  const auto flushes_everything = [&](View view) {
    const unsigned before = processor.full_flushes;
    shadow.load(view);
    return processor.full_flushes != before;
  };
  map_page(P | W | A, P | W | A | D);
  ASSERT_TRUE(access(linear, View::kernel, true));
  set_table(5, 0);
  EXPECT_TRUE(shadow.flush_due());
  EXPECT_FALSE(flushes_everything(View::kernel)) << "nothing has ever been global";
  map_page(P | W | U | A, P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::user, true));
  use(directory);
  EXPECT_TRUE(flushes_everything(View::kernel)) << "another address space";
  EXPECT_FALSE(flushes_everything(View::user));
  EXPECT_FALSE(flushes_everything(View::kernel));
  set_table(5, page.value() | P | W | A | D);
  EXPECT_TRUE(flushes_everything(View::kernel)) << "a global entry was taken away";
  ASSERT_TRUE(access(linear, View::kernel, true));
  set_table(5, 0);
  EXPECT_TRUE(shadow.flush_due());
  EXPECT_FALSE(flushes_everything(View::kernel)) << "a load of CR3 does for the kernel's";
  EXPECT_FALSE(shadow.flush_due());
  set_table(5, page.value() | P | W | U | A | D);
  ASSERT_TRUE(access(linear, View::user, true));
  EXPECT_FALSE(flushes_everything(View::user));
  set_table(5, 0);
  EXPECT_TRUE(flushes_everything(View::user)) << "an entry was taken away";
  use(directory);
  EXPECT_TRUE(flushes_everything(View::user)) << "the guest has loaded CR3 with the same value";
  EXPECT_FALSE(flushes_everything(View::kernel));
}

TEST_F(Shadow, TheWindowStandsInEveryRootAndMoves) {
  std::vector<HostPhysical> roots[2];
  for (const GuestPhysical root : {directory, other_directory}) {
    for (const bool write_protect : {true, false}) {
      use(root, write_protect);
      for (const View view : views) roots[static_cast<unsigned>(view)].push_back(shadow.root(view));
    }
  }
  const auto expect = [&](unsigned index, bool there) {
    for (const View view : views) {
      for (const HostPhysical root : roots[static_cast<unsigned>(view)]) {
        EXPECT_EQ(word(root, index), there ? FakeProcessor::window_entry_of(view) : 0);
      }
    }
  };
  expect(1023, true);
  use(directory);
  map_page();
  access(linear, View::kernel, true);
  const HostLinear base(1u << 22);  // where the guest has something: it goes
  shadow.map_window_at(base);
  expect(1023, true);
  expect(1, true);
  processor.move_window(base);
  shadow.unmap_window_at(HostLinear(0xffc00000));
  expect(1023, false);
  expect(1, true);
  EXPECT_FALSE(shadow.fill(linear, walk(linear), View::kernel, true)) << "the window is in the way";
  expect(1, true);
  set_directory(1, 0);  // the guest's entry there is not the window's
  expect(1, true);
}

TEST_F(Shadow, TranslatedCodeIsToldOfItsMappings) {
  map_page();
  guest.table.watch(page, Watcher::translated_code);
  ASSERT_TRUE(access(linear, View::kernel, false));
  EXPECT_TRUE(code.frames.empty());
  set_table(5, 0x21000 | P | U);
  EXPECT_EQ(code.frames, (std::vector<GuestPhysical>{page}));
  // A mark set later, by write_protect, counts as well.
  const GuestPhysical late(0x21000);
  ASSERT_TRUE(access(linear, View::kernel, false));
  guest.table.watch(late, Watcher::translated_code);
  shadow.write_protect(late);
  code.frames.clear();
  set_table(5, 0);
  EXPECT_EQ(code.frames, (std::vector<GuestPhysical>{late}));
  set_table(5, late.value() | P | U);
  ASSERT_TRUE(access(linear, View::kernel, false));
  EXPECT_TRUE(code.slots.empty());
  set_directory(1, other_table.value() | P | U);
  EXPECT_EQ(code.slots, (std::vector<unsigned>{1}));
  EXPECT_EQ(code.frames, (std::vector<GuestPhysical>{late}))
      << "it is looked for there, not dropped";
}

// User code that was translated is told by the kernel view's entries as well.
TEST_F(Shadow, TranslatedCodeIsToldThatItIsNoLongerTheUsers) {
  map_page(P | W | U | A, P | W | U | A | D);
  guest.table.watch(page, Watcher::translated_code);
  ASSERT_TRUE(access(linear, View::kernel, false));
  set_directory(1, table.value() | P | W | U | A);  // the same again
  EXPECT_TRUE(code.slots.empty());
  set_directory(1, table.value() | P | W | A);
  EXPECT_EQ(code.slots, (std::vector<unsigned>{1}));
}

// The page of an armed breakpoint: not in this address space, not in one loaded later, not by way
// of a table that stands twice.
TEST_F(Shadow, AHiddenPageIsShownNowhere) {
  const GuestLinear twin(linear.value() + 0x400000), beside(linear.value() + 0x1000);
  constexpr auto none = ShadowPaging::no_page;
  map_page(P | W | U | A, P | W | U | A | D);
  set_directory(2, table.value() | P | W | U | A);
  set_table(6, 0x21000 | P | W | U | A | D);
  guest.memory.write(other_directory + 4, table.value() | P | W | U | A, 4);
  for (const View view : views) {
    ASSERT_TRUE(access(linear, view, true));
    ASSERT_TRUE(access(beside, view, true));
  }
  shadow.hide({none, linear.page_number(), none, none});
  EXPECT_TRUE(shadow.hides(linear));
  EXPECT_FALSE(shadow.hides(beside));
  for (const View view : views) {
    EXPECT_FALSE(shown(linear, view).present);
    EXPECT_TRUE(shown(beside, view).writable);
    EXPECT_FALSE(access(linear, view, false));
    EXPECT_FALSE(access(twin, view, false)) << "the same table";
    EXPECT_FALSE(shown(linear, view).present);
  }
  shadow.hide({none, none, none, none});
  EXPECT_FALSE(shadow.hides(linear));
  use(other_directory);
  ASSERT_TRUE(access(linear, View::user, true));
  use(directory);
  shadow.hide({linear.page_number(), none, none, none});
  use(other_directory);
  shadow.load(View::user);
  EXPECT_FALSE(shown(linear, View::user).present);
  EXPECT_FALSE(shadow.flush_due());
}

// Whoever translated code from there hears of it.
TEST_F(Shadow, HidingAPageTakesItsCode) {
  constexpr auto none = ShadowPaging::no_page;
  map_page(P | W | U | A, P | W | U | A | D);
  guest.table.watch(page, Watcher::translated_code);
  ASSERT_TRUE(access(linear, View::kernel, false));
  shadow.hide({linear.page_number(), none, none, none});
  EXPECT_EQ(code.frames, (std::vector<GuestPhysical>{page}));
  EXPECT_TRUE(shadow.flush_due());
}

TEST_F(Shadow, NeedsNoFramesOnceItHasTakenThem) {
  shadow.set_budget(64);
  shadow.take_frames();
  const auto left = guest.pool.free_frames();
  map_page();
  for (std::uint32_t i = 0; i < 100; ++i) {
    set_directory(2 + i, (i << 22 & 0x400000) | P | W | U | PS);
    ASSERT_TRUE(access(GuestLinear((2 + i) << 22), View::kernel, false));
  }
  EXPECT_EQ(guest.pool.free_frames(), left);
  while (guest.pool.allocate()) {
  }
  EXPECT_TRUE(access(linear, View::user, true));
  EXPECT_TRUE(shown(linear, View::user).writable);
}

TEST_F(Shadow, TablesAreRecycledWithinTheBudget) {
  shadow.set_budget(64);
  const std::uint32_t before = guest.pool.free_frames();
  // A hundred page tables, each with one page, in one directory.
  for (unsigned n = 0; n < 100; ++n) {
    const GuestPhysical at(0x100000 + n * page_size);
    set_directory(100 + n, at.value() | P | W | U | A);
    set_table(0, page.value() | P | W | U | A | D, at);
  }
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned n = 0; n < 100; ++n) {
      const GuestLinear at((100 + n) << 22);
      ASSERT_TRUE(access(at, View::kernel, true));
      ASSERT_TRUE(shown(at, View::kernel).present);
    }
    check_root(View::kernel);
  }
  EXPECT_GT(shadow.counts().tables_recycled, 0u);
  EXPECT_LE(before - guest.pool.free_frames(), 64u * 3);
  unsigned watched = 0;
  for (unsigned n = 0; n < 100; ++n) {
    const GuestPhysical at(0x100000 + n * page_size);
    const bool there = shown(GuestLinear((100 + n) << 22), View::kernel).present;
    EXPECT_EQ(table_watched(at), there) << "watched if and only if it has a shadow";
    watched += there;
  }
  EXPECT_LT(watched, 64u);
}

// Random use by a guest that changes tables, rights, watchers, frames and the window's place. After
// each stretch every root must show nothing that it may not.
class ShadowUnderRandomUse : public Shadow, public ::testing::WithParamInterface<unsigned> {};

TEST_P(ShadowUnderRandomUse, ShowsOnlyWhatIsAllowed) {
  std::mt19937 random(GetParam());
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  // Few enough addresses that they meet: 8 table frames that serve as directories too, 24 pages.
  const auto table_frame = [&] { return GuestPhysical(0x10000 + below(8) * page_size); };
  const auto data_frame = [&] {
    return below(6) == 0 ? table_frame() : GuestPhysical(0x20000 + below(24) * page_size);
  };
  const auto upper = [&] { return below(3) == 0 ? 1016 + below(8) : below(12); };
  const auto rights = [&] { return random() & (W | U | A | D); };
  shadow.set_budget(64);
  std::vector<GuestPhysical> roots{directory, table, other_table};

  for (unsigned n = 0; n < 30000; ++n) {
    const unsigned directory_index = upper(), table_index = below(16);
    const GuestLinear at(directory_index << 22 | table_index << 12);
    switch (below(24)) {
      case 0:
        use(roots[below(3)], below(4) != 0);
        break;
      case 1:
      case 2:
        set_directory(directory_index, table_frame().value() | rights() | (below(8) ? P : 0));
        break;
      case 3:
        set_directory(directory_index, below(2) << 22 | rights() | P | PS);
        break;
      case 4:
      case 5:
      case 6:
      case 7:
        set_table(table_index, data_frame().value() | rights() | (below(8) ? P : 0), table_frame());
        break;
      case 8: {
        const GuestPhysical frame = data_frame();
        guest.table.watch(frame, below(2) ? Watcher::debugger : Watcher::translated_code);
        shadow.write_protect(frame);
        break;
      }
      case 9: {
        const GuestPhysical frame = data_frame();
        guest.table.unwatch(frame, Watcher::debugger);
        guest.table.unwatch(frame, Watcher::translated_code);
        break;
      }
      case 10: {  // withdrawn, and back at another place
        const GuestPhysical frame(0x20000 + below(24) * page_size);
        shadow.unmap(frame);
        const auto fresh = guest.pool.allocate_zeroed();
        ASSERT_TRUE(fresh.has_value());
        guest.pool.free(host(frame));
        guest.table.set_frame(frame, FrameKind::ram, *fresh);
        break;
      }
      case 11:
        if (below(4) == 0) {
          const HostLinear old = processor.window, base((below(8) ? 1016 + below(8) : 3) << 22);
          if (base == old) break;
          shadow.map_window_at(base);
          processor.move_window(base);
          shadow.unmap_window_at(old);
        }
        break;
      case 12:
        shadow.load(views[below(2)]);
        break;
      default:
        access(at, views[below(2)], below(2));
        break;
    }
    if (n % 500 != 0) continue;
    for (const GuestPhysical root : roots) {
      for (const bool write_protect : {true, false}) {
        use(root, write_protect);
        for (const View view : views) check_root(view);
        ASSERT_FALSE(HasFatalFailure()) << "after " << n;
      }
    }
  }
  // What the reverse map knows is all there is: with every frame unmapped, nothing is shown.
  for (std::uint32_t frame = 0; frame < 8u << 20; frame += page_size) {
    shadow.unmap(GuestPhysical(frame));
  }
  for (const GuestPhysical root : roots) {
    use(root);
    for (const View view : views) {
      for (unsigned index = 0; index < 1024; ++index) {
        if (index == processor.window.value() >> 22) continue;
        const std::uint32_t entry = word(shadow.root(view), index);
        for (unsigned lower = 0; (entry & P) && lower < 1024; ++lower) {
          ASSERT_FALSE(word(HostPhysical(entry & ~page_mask), lower) & P);
        }
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, ShadowUnderRandomUse, ::testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace undercroft::test
