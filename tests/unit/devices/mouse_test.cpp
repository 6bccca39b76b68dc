// A PS/2 mouse by its commands and packets.
#include "monitor/devices/mouse.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace undercroft {
namespace {

using Bytes = std::vector<unsigned>;

struct MouseTest : testing::Test {
  Mouse mouse;

  Bytes drain() {
    Bytes bytes;
    while (mouse.has_output() && bytes.size() < 64) bytes.push_back(mouse.take_output());
    return bytes;
  }
  Bytes ask(std::initializer_list<unsigned> bytes) {
    Bytes replies;
    for (const unsigned byte : bytes) {
      mouse.command(static_cast<std::uint8_t>(byte));
      for (const unsigned reply : drain()) replies.push_back(reply);
    }
    return replies;
  }
};

TEST_F(MouseTest, Commands) {
  const struct {
    const char* name;
    std::initializer_list<unsigned> sent;
    Bytes replies;
  } rows[] = {
      {"reset", {0xff}, {0xfa, 0xaa, 0x00}},
      {"identify", {0xf2}, {0xfa, 0x00}},
      {"status", {0xe9}, {0xfa, 0x00, 0x02, 100}},
      {"rate", {0xf3, 40, 0xe9}, {0xfa, 0xfa, 0xfa, 0x00, 0x02, 40}},
      {"resolution", {0xe8, 3, 0xe9}, {0xfa, 0xfa, 0xfa, 0x00, 0x03, 100}},
      {"scale, enable, status", {0xe7, 0xf4, 0xe9}, {0xfa, 0xfa, 0xfa, 0x30, 0x02, 100}},
      {"remote mode", {0xf0, 0xe9}, {0xfa, 0xfa, 0x40, 0x02, 100}},
      {"data", {0xeb}, {0xfa, 0x08, 0x00, 0x00}},
      {"default", {0xf4, 0xe7, 0xf6, 0xe9}, {0xfa, 0xfa, 0xfa, 0xfa, 0x00, 0x02, 100}},
      {"wrap", {0xee, 0xf2, 0x12, 0xec, 0xf2}, {0xfa, 0xf2, 0x12, 0xfa, 0xfa, 0x00}},
      {"wrap ends by reset", {0xee, 0xff}, {0xfa, 0xfa, 0xaa, 0x00}},
      {"resend", {0xf2, 0xfe}, {0xfa, 0x00, 0x00}},
      {"unknown", {0x12}, {0xfe}},
  };
  for (const auto& row : rows) {
    mouse = Mouse{};
    EXPECT_EQ(ask(row.sent), row.replies) << row.name;
  }
}

TEST_F(MouseTest, KnockingGivesItAWheel) {
  ask({0xf3, 200, 0xf3, 100, 0xf3, 80});
  EXPECT_EQ(ask({0xf2}), (Bytes{0xfa, 0x03}));
  ask({0xf4});
  mouse.move({1, 2, -1, 4});
  EXPECT_EQ(drain(), (Bytes{0x0c, 0x01, 0x02, 0xff}));
  EXPECT_EQ(ask({0xff}), (Bytes{0xfa, 0xaa, 0x00}));
  ask({0xf3, 200, 0xf3, 200, 0xf3, 80});
  EXPECT_EQ(ask({0xf2}), (Bytes{0xfa, 0x00}));
}

TEST_F(MouseTest, MovementIsReportedWhenItIsEnabled) {
  mouse.move({3, 4, 0, 1});
  EXPECT_EQ(drain(), Bytes{});
  ask({0xf4});
  mouse.move({-3, 4, 0, 1});
  EXPECT_EQ(drain(), (Bytes{0x19, 0xfd, 0x04}));
  mouse.move({0, -200, 0, 2});
  EXPECT_EQ(drain(), (Bytes{0x2a, 0x00, 0x81, 0x2a, 0x00, 0xb7})) << "127 counts and the rest";
  ask({0xf5});
  mouse.move({1, 1, 0, 0});
  EXPECT_EQ(drain(), Bytes{});
}

TEST_F(MouseTest, WhatComesWhileAPacketWaitsIsPutTogether) {
  ask({0xf4});
  mouse.move({1, 0, 0, 0});
  for (int i = 0; i < 50; ++i) mouse.move({1, -1, 0, 1});
  EXPECT_EQ(drain(), (Bytes{0x08, 0x01, 0x00, 0x29, 50, 206}));
}

TEST_F(MouseTest, RemoteModeReportsWhenItIsAsked) {
  ask({0xf0, 0xf4});
  mouse.move({7, 0, 0, 0});
  EXPECT_EQ(drain(), Bytes{});
  EXPECT_EQ(ask({0xeb}), (Bytes{0xfa, 0x08, 0x07, 0x00}));
  EXPECT_EQ(ask({0xeb}), (Bytes{0xfa, 0x08, 0x00, 0x00}));
}

TEST_F(MouseTest, ScalingOfTwoToOne) {
  ask({0xe7, 0xf4});
  const int counts[] = {1, 2, 3, 4, 5, 6, 20}, doubled[] = {1, 1, 3, 6, 9, 12, 40};
  for (unsigned i = 0; i < 7; ++i) {
    mouse.move({counts[i], 0, 0, 0});
    EXPECT_EQ(drain()[1], static_cast<unsigned>(doubled[i])) << counts[i];
  }
}

}  // namespace
}  // namespace undercroft
