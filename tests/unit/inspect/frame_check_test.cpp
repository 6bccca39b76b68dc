#include "monitor/inspect/frame_check.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

struct TextConsole final : Console {
  void write(std::string_view more) override { text += more; }
  std::string text;
};

struct FrameCheckTest : testing::Test {
  FrameCheckTest() {
    pool.add_range(HostPhysical(0x100000), 0x10000);
    check.emplace(machine.slots, pool, fixed);
  }
  bool passes(ShadowPaging::Audit audit = {10, 0}) { return check->passes(console, audit); }

  MachineMemory machine;
  FramePool pool{machine.slots};
  alignas(page_size) std::array<std::byte, 2 * page_size> fixed{};
  std::optional<FrameCheck> check;
  TextConsole console;
};

TEST_F(FrameCheckTest, PassesWhileNothingChanges) {
  EXPECT_TRUE(passes());
  machine.set_word(HostPhysical(0xb8000), 1);  // the screen
  machine.set_word(*pool.allocate(), 2);       // a frame that somebody has
  EXPECT_TRUE(passes());
  EXPECT_EQ(console.text.find("CHANGED"), std::string::npos);
}

TEST_F(FrameCheckTest, FailsForTextFirmwareAndFreeFrames) {
  fixed[page_size + 5] = std::byte{1};
  EXPECT_FALSE(passes());
  fixed[page_size + 5] = std::byte{0};
  EXPECT_TRUE(passes());
  for (const std::uint32_t place : {0u, 0x9fffcu, 0xc0000u, 0xffffcu, 0x105004u}) {
    machine.set_word(HostPhysical(place), 1);
    EXPECT_FALSE(passes()) << place;
    machine.set_word(HostPhysical(place), 0);
    EXPECT_TRUE(passes()) << place;
  }
}

TEST_F(FrameCheckTest, FailsForAWrongShadowEntry) { EXPECT_FALSE(passes({10, 1})); }

}  // namespace
}  // namespace undercroft::test
