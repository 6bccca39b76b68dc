// Ticks that came due while the guest was not run: between those that come by themselves.
#include "monitor/devices/late_ticks.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

TEST(LateTicks, ThereAreNoneWhileTicksComeOneByOne) {
  LateTicks late;
  late.came(1, true, 1000, 2000);
  EXPECT_FALSE(late.any());
  EXPECT_EQ(late.next_deadline(), no_deadline);
  EXPECT_FALSE(late.take(5000, true));
}

TEST(LateTicks, OneIsGivenInTheMiddleOfEachPeriod) {
  LateTicks late;
  late.came(3, true, 1000, 2000);
  EXPECT_EQ(late.next_deadline(), 1500u);
  EXPECT_FALSE(late.take(1499, true));
  EXPECT_TRUE(late.take(1500, true));
  EXPECT_EQ(late.next_deadline(), no_deadline) << "before the next has come by itself";
  EXPECT_FALSE(late.take(1999, true));
  late.came(1, true, 2000, 3000);
  EXPECT_TRUE(late.take(2600, true));
  EXPECT_FALSE(late.any());
  late.came(1, true, 3000, 4000);
  EXPECT_EQ(late.next_deadline(), no_deadline);
}

TEST(LateTicks, AGuestThatIsNotReadyGetsItInAnotherPeriod) {
  LateTicks late;
  late.came(2, true, 1000, 2000);
  EXPECT_FALSE(late.take(1500, false));
  EXPECT_FALSE(late.take(1600, true)) << "not close before the next";
  late.came(1, true, 2000, 3000);
  EXPECT_TRUE(late.take(2500, true));
}

TEST(LateTicks, WhileAnyAreOwedATickOnTopOfTheLastIsOwedToo) {
  LateTicks late;
  EXPECT_TRUE(late.came(1, false, 1000, 2000)) << "as on a PC, where it waits or is lost";
  EXPECT_FALSE(late.any());
  EXPECT_FALSE(late.came(2, false, 2000, 3000));
  EXPECT_EQ(late.next_deadline(), no_deadline) << "no alarm for a guest that does not keep up";
  EXPECT_FALSE(late.came(1, false, 3000, 4000));
  unsigned owed = 0;
  for (std::uint64_t now = 4000; late.any(); now += 1000) {
    EXPECT_TRUE(late.came(1, true, now, now + 1000));
    owed += late.take(now + 500, true);
  }
  EXPECT_EQ(owed, 3u);
}

TEST(LateTicks, TheyAreBounded) {
  LateTicks late;
  late.came(~0u, true, 0, 1000);
  late.came(LateTicks::most + 1, true, 0, 1000);
  std::uint64_t given = 0;
  for (std::uint64_t now = 0; late.any(); now += 1000) {
    late.came(1, true, now, now + 1000);
    given += late.take(now + 500, true);
  }
  EXPECT_EQ(given, LateTicks::most);
}

TEST(LateTicks, WithATimerThatHasStoppedTheyWait) {
  LateTicks late;
  late.came(2, true, 1000, no_deadline);
  EXPECT_TRUE(late.any());
  EXPECT_EQ(late.next_deadline(), no_deadline);
  late.forget();
  EXPECT_FALSE(late.any());
}

}  // namespace
}  // namespace undercroft
