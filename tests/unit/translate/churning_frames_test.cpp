// When a frame's code is interpreted for its writes, and when it is translated again.
#include "monitor/translate/churning_frames.hpp"

#include <gtest/gtest.h>

namespace undercroft::test {
namespace {

constexpr std::uint32_t frame = 0x123, same_place = frame + 64, elsewhere = frame + 1;

bool begins_to_churn(ChurningFrames& frames, unsigned drops) {
  for (unsigned n = 1; n < drops; ++n) {
    if (frames.note_drop(frame)) return false;
  }
  return !frames.resting(frame) && frames.note_drop(frame);
}

TEST(ChurningFrames, RestAfterSoManyDrops) {
  ChurningFrames frames;
  EXPECT_TRUE(begins_to_churn(frames, ChurningFrames::most_drops));
  EXPECT_FALSE(frames.resting(elsewhere));
  EXPECT_FALSE(frames.resting(same_place));
  for (unsigned n = 0; n < ChurningFrames::rest; ++n) EXPECT_TRUE(frames.resting(frame)) << n;
  EXPECT_FALSE(frames.resting(frame));
  EXPECT_TRUE(begins_to_churn(frames, ChurningFrames::most_drops / 2)) << "sooner the second time";
}

TEST(ChurningFrames, AnotherFrameTakesThePlace) {
  ChurningFrames frames;
  EXPECT_TRUE(begins_to_churn(frames, ChurningFrames::most_drops));
  EXPECT_FALSE(frames.note_drop(same_place));
  EXPECT_FALSE(frames.resting(frame));
}

}  // namespace
}  // namespace undercroft::test
