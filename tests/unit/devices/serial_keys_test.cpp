// What somebody types at a terminal, as keys.
#include "monitor/devices/serial_keys.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace undercroft {
namespace {

using Codes = std::vector<unsigned>;

struct SerialKeysTest : testing::Test {
  SerialKeys keys;
  std::uint64_t now = 0;

  Codes drain() {
    Codes codes;
    std::uint8_t code = 0;
    while (keys.next(code, now)) codes.push_back(code);
    return codes;
  }
  Codes type(std::string_view text) {
    for (const char c : text) keys.type(static_cast<std::uint8_t>(c), now);
    return drain();
  }
};

TEST_F(SerialKeysTest, Characters) {
  EXPECT_EQ(type("a"), (Codes{0x1e, 0x9e}));
  EXPECT_EQ(type("A"), (Codes{0x2a, 0x1e, 0x9e, 0xaa}));
  EXPECT_EQ(type("1!"), (Codes{0x02, 0x82, 0x2a, 0x02, 0x82, 0xaa}));
  EXPECT_EQ(type(" \r\t\x7f"), (Codes{0x39, 0xb9, 0x1c, 0x9c, 0x0f, 0x8f, 0x0e, 0x8e}));
  EXPECT_EQ(type("/?"), (Codes{0x35, 0xb5, 0x2a, 0x35, 0xb5, 0xaa}));
  EXPECT_EQ(type("\\|"), (Codes{0x2b, 0xab, 0x2a, 0x2b, 0xab, 0xaa}));
  EXPECT_EQ(type("`~"), (Codes{0x29, 0xa9, 0x2a, 0x29, 0xa9, 0xaa}));
  EXPECT_EQ(type("\x03"), (Codes{0x1d, 0x2e, 0xae, 0x9d})) << "control C";
  EXPECT_EQ(type("\x1c"), (Codes{0x1d, 0x2b, 0xab, 0x9d})) << "control \\";
  EXPECT_EQ(type("\x80"), Codes{});
}

TEST_F(SerialKeysTest, EveryPrintableCharacterHasAKey) {
  for (char c = ' '; c <= '~'; ++c) EXPECT_GE(type(std::string_view(&c, 1)).size(), 2u) << c;
}

TEST_F(SerialKeysTest, EscapeSequences) {
  EXPECT_EQ(type("\x1b[A"), (Codes{0xe0, 0x48, 0xe0, 0xc8})) << "up";
  EXPECT_EQ(type("\x1bOD"), (Codes{0xe0, 0x4b, 0xe0, 0xcb})) << "left";
  EXPECT_EQ(type("\x1b[3~"), (Codes{0xe0, 0x53, 0xe0, 0xd3})) << "delete";
  EXPECT_EQ(type("\x1b[24~"), (Codes{0x58, 0xd8})) << "F12";
  EXPECT_EQ(type("\x1bOP"), (Codes{0x3b, 0xbb})) << "F1";
  EXPECT_EQ(type("\x1bx"), (Codes{0x38, 0x2d, 0xad, 0xb8})) << "alt x";
  EXPECT_EQ(type("\x1b[99~a"), (Codes{0x1e, 0x9e})) << "not known";
}

TEST_F(SerialKeysTest, EscapeAloneIsAKeyAfterAWhile) {
  EXPECT_EQ(type("\x1b"), Codes{});
  now += SerialKeys::escape_time - 1;
  EXPECT_EQ(drain(), Codes{});
  now += 1;
  EXPECT_EQ(drain(), (Codes{0x01, 0x81}));
  EXPECT_EQ(type("["), (Codes{0x1a, 0x9a}));
  EXPECT_EQ(type("\x1b\x1b"), (Codes{0x38, 0x01, 0x81, 0xb8}));
}

TEST_F(SerialKeysTest, RoomIsTold) {
  unsigned typed = 0;
  while (keys.has_room() && typed < 100) {
    keys.type('A', now);
    ++typed;
  }
  EXPECT_LT(typed, 20u);
  EXPECT_EQ(drain().size(), typed * 4);
}

}  // namespace
}  // namespace undercroft
