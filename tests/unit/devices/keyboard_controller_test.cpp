// The 8042 and its keyboard, as drivers probe them.
#include "monitor/devices/keyboard_controller.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "monitor/devices/scan_codes.hpp"

namespace undercroft {
namespace {

using Bytes = std::vector<unsigned>;

struct KeyboardControllerTest : testing::Test {
  KeyboardController controller;

  std::uint8_t status() { return controller.read(1); }
  void command(std::uint8_t value) { controller.write(1, value); }
  void data(std::uint8_t value) { controller.write(0, value); }
  Bytes drain() {
    Bytes bytes;
    while ((status() & 1) != 0 && bytes.size() < 64) bytes.push_back(controller.read(0));
    return bytes;
  }
  std::uint8_t command_byte() {
    command(0x20);
    return controller.read(0);
  }
  void set_command_byte(std::uint8_t value) {
    command(0x60);
    data(value);
  }
  Bytes ask(std::initializer_list<std::uint8_t> bytes) {  // the keyboard
    for (const std::uint8_t byte : bytes) data(byte);
    return drain();
  }
};

struct CommandRow {
  std::uint8_t command;
  Bytes replies;
};

TEST_F(KeyboardControllerTest, CommandsReply) {
  for (const CommandRow& row :
       {CommandRow{0x20, {0x65}}, CommandRow{0xaa, {0x55}}, CommandRow{0xab, {0x00}},
        CommandRow{0xa9, {0x00}}, CommandRow{0xc0, {0xa0}}, CommandRow{0xd0, {0x03}},
        CommandRow{0xe0, {0x00}}, CommandRow{0xad, {}}, CommandRow{0xae, {}}, CommandRow{0xa7, {}},
        CommandRow{0xa8, {}}, CommandRow{0xff, {}}, CommandRow{0x01, {}}}) {
    controller = KeyboardController{};
    command(row.command);
    EXPECT_EQ(drain(), row.replies) << std::hex << unsigned{row.command};
    EXPECT_FALSE(controller.reset_requested());
  }
}

TEST_F(KeyboardControllerTest, StatusTellsWhatWasWrittenLast) {
  EXPECT_EQ(status(), 0x14);
  command(0xaa);
  EXPECT_EQ(status(), 0x1d);
  controller.read(0);
  EXPECT_EQ(status(), 0x1c);
  command(0x60);
  data(0x61);  // the system flag is a bit of the command byte
  EXPECT_EQ(status(), 0x10);
  command(0xaa);
  controller.read(0);
  EXPECT_EQ(status(), 0x1c) << "the self test sets the system flag";
}

TEST_F(KeyboardControllerTest, CommandByteReadsBackAndItsBitsFollowCommands) {
  for (const std::uint8_t value : {0x00, 0x74, 0x43, 0xff}) {
    set_command_byte(value);
    EXPECT_EQ(command_byte(), value);
  }
  set_command_byte(0x40);
  command(0xad);
  EXPECT_EQ(command_byte(), 0x50);
  command(0xae);
  EXPECT_EQ(command_byte(), 0x40);
  command(0xa7);
  EXPECT_EQ(command_byte(), 0x60);
  command(0xa8);
  EXPECT_EQ(command_byte(), 0x40);
}

TEST_F(KeyboardControllerTest, LoopbacksComeFromTheirPorts) {
  command(0xd3);
  data(0x5a);
  EXPECT_EQ(status() & 0x21, 0x21);
  EXPECT_EQ(drain(), Bytes{0x5a});
  command(0xd2);
  data(0xa5);
  EXPECT_EQ(status() & 0x21, 0x01);
  EXPECT_EQ(drain(), Bytes{0xa5});
}

TEST_F(KeyboardControllerTest, TheMouseAnswersAtTheAuxiliaryPort) {
  command(0xd4);
  data(0xf2);
  EXPECT_EQ(status() & 0x21, 0x21);
  EXPECT_EQ(command_byte() & 0x20, 0) << "a byte for it enables it";
  drain();
  command(0xa7);
  command(0xd4);
  data(0xff);
  EXPECT_EQ(drain(), (Bytes{0xfa, 0xaa, 0x00}));
}

TEST_F(KeyboardControllerTest, TheAuxiliaryPortHasItsInterrupt) {
  set_command_byte(0x41);
  command(0xd4);
  data(0xf4);
  EXPECT_FALSE(controller.auxiliary_interrupt_line());
  EXPECT_FALSE(controller.interrupt_line());
  drain();
  set_command_byte(0x43);
  controller.receive(MouseMovement{5, 0, 0, 0});
  EXPECT_TRUE(controller.auxiliary_interrupt_line());
  EXPECT_FALSE(controller.interrupt_line());
  command(0xd0);
  // The reply takes the place of what nobody has read.
  EXPECT_EQ(drain(), (Bytes{0x23, 0x05, 0x00})) << "the output port shows IRQ 12";
  EXPECT_FALSE(controller.auxiliary_interrupt_line());
}

TEST_F(KeyboardControllerTest, ADisabledAuxiliaryPortKeepsPacketsForLater) {
  command(0xd4);
  data(0xf4);
  drain();
  command(0xa7);
  controller.receive(MouseMovement{1, 2, 0, 1});
  EXPECT_EQ(status() & 1, 0);
  controller.receive(0x1e);
  EXPECT_EQ(drain(), Bytes{0x1e});
  command(0xa8);
  EXPECT_EQ(drain(), (Bytes{0x09, 0x01, 0x02}));
}

struct KeyboardRow {
  const char* name;
  std::vector<std::uint8_t> sent;
  Bytes replies;
};

TEST_F(KeyboardControllerTest, KeyboardCommands) {
  const KeyboardRow rows[] = {
      {"reset", {0xff}, {0xfa, 0xaa}},
      {"identify", {0xf2}, {0xfa, 0xab, 0x83}},
      {"lights", {0xed, 0x07}, {0xfa, 0xfa}},
      {"a parameter is one byte", {0xed, 0x07, 0x01}, {0xfa, 0xfa, 0xfe}},
      {"rate", {0xf3, 0x00}, {0xfa, 0xfa}},
      {"echo", {0xee}, {0xee}},
      {"enable", {0xf4}, {0xfa}},
      {"disable", {0xf5}, {0xfa}},
      {"default", {0xf6}, {0xfa}},
      {"key types", {0xf8}, {0xfa}},
      {"scan set?", {0xf0, 0x00}, {0xfa, 0xfa, 0x02}},
      {"scan set 1, and?", {0xf0, 0x01, 0xf0, 0x00}, {0xfa, 0xfa, 0xfa, 0xfa, 0x01}},
      {"scan set 3", {0xf0, 0x03}, {0xfa, 0xfe}},
      {"unknown", {0x01}, {0xfe}},
      {"command for parameter", {0xed, 0xf4}, {0xfa, 0xfa}},
  };
  for (const KeyboardRow& row : rows) {
    SCOPED_TRACE(row.name);
    controller = KeyboardController{};
    set_command_byte(0x07);  // without translation
    Bytes replies;
    for (const std::uint8_t byte : row.sent) {
      data(byte);
      for (const unsigned reply : drain()) replies.push_back(reply);
    }
    EXPECT_EQ(replies, row.replies);
  }
}

TEST_F(KeyboardControllerTest, RepliesAreTranslatedToo) {
  EXPECT_EQ(ask({0xf2}), (Bytes{0xfa, 0xab, 0x41}));
  EXPECT_EQ(ask({0xff}), (Bytes{0xfa, 0xaa}));
}

TEST_F(KeyboardControllerTest, ResendRepeatsTheLastByte) {
  EXPECT_EQ(ask({0xee}), Bytes{0xee});
  EXPECT_EQ(ask({0xfe}), Bytes{0xee});
}

TEST_F(KeyboardControllerTest, KeysComeAsTheHostSentThemOrInSet2) {
  struct Row {
    std::vector<std::uint8_t> host;  // set 1
    Bytes set_2;
  };
  const Row rows[] = {{{0x1e, 0x9e}, {0x1c, 0xf0, 0x1c}},                          // A
                      {{0xe0, 0x48, 0xe0, 0xc8}, {0xe0, 0x75, 0xe0, 0xf0, 0x75}},  // up
                      {{0x41, 0xc1}, {0x83, 0xf0, 0x83}},                          // F7
                      {{0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5},
                       {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77}}};  // pause
  for (const Row& row : rows) {
    controller = KeyboardController{};
    for (const std::uint8_t code : row.host) controller.receive(code);
    EXPECT_EQ(drain(), Bytes(row.host.begin(), row.host.end())) << "translated";
    set_command_byte(0x05);
    for (const std::uint8_t code : row.host) controller.receive(code);
    EXPECT_EQ(drain(), row.set_2);
    ask({0xf0, 0x01});
    for (const std::uint8_t code : row.host) controller.receive(code);
    EXPECT_EQ(drain(), Bytes(row.host.begin(), row.host.end())) << "set 1";
  }
}

TEST(ScanCodes, EveryHostKeyReturnsAsItself) {
  for (unsigned code = 1; code < 0x80; ++code) {
    const std::uint8_t set_2 = scan_codes::set_2_from_set_1(static_cast<std::uint8_t>(code));
    if (set_2 == 0) continue;  // no key has it
    EXPECT_EQ(scan_codes::set_1_from_set_2(set_2), code);
  }
  EXPECT_EQ(scan_codes::set_2_from_set_1(0x1c), 0x5a) << "enter";
  EXPECT_EQ(scan_codes::set_2_from_set_1(0x39), 0x29) << "space";
}

TEST_F(KeyboardControllerTest, DisabledScanningDropsKeys) {
  ask({0xf5});
  controller.receive(0x1e);
  EXPECT_EQ(drain(), Bytes{});
  ask({0xf4});
  controller.receive(0x1e);
  EXPECT_EQ(drain(), Bytes{0x1e});
}

TEST_F(KeyboardControllerTest, DisabledInterfaceKeepsKeysForLater) {
  command(0xad);
  controller.receive(0x1e);
  EXPECT_EQ(status() & 1, 0);
  command(0xae);
  EXPECT_EQ(drain(), Bytes{0x1e});
}

TEST_F(KeyboardControllerTest, ACommandsReplyReplacesWhatWaitedInTheKeyboard) {
  command(0xad);
  controller.receive(0x1e);
  data(0xee);  // enables the interface too
  EXPECT_EQ(drain(), Bytes{0xee});
}

TEST_F(KeyboardControllerTest, QueueIsBounded) {
  unsigned given = 0;
  while (controller.can_receive() && given < 100) {
    controller.receive(0x9e);
    ++given;
  }
  EXPECT_LT(given, 40u);
  controller.receive(0x9e);
  EXPECT_EQ(drain(), Bytes(given, 0x9e)) << "whole keys";
}

TEST_F(KeyboardControllerTest, InterruptLineFollowsTheOutputBuffer) {
  controller.receive(0x1e);
  EXPECT_TRUE(controller.interrupt_line());
  controller.read(0);
  EXPECT_FALSE(controller.interrupt_line());
  set_command_byte(0x44);
  controller.receive(0x1e);
  EXPECT_FALSE(controller.interrupt_line());
}

TEST_F(KeyboardControllerTest, A20) {
  EXPECT_TRUE(controller.a20());
  command(0xd1);
  data(0x01);
  EXPECT_FALSE(controller.a20());
  command(0xd1);
  data(0x03);
  EXPECT_TRUE(controller.a20());
  command(0xdd);
  EXPECT_FALSE(controller.a20());
  command(0xdf);
  EXPECT_TRUE(controller.a20());
  EXPECT_FALSE(controller.reset_requested());
}

TEST_F(KeyboardControllerTest, ResetByPulseOrOutputPort) {
  command(0xfe);
  EXPECT_TRUE(controller.reset_requested());
  controller = KeyboardController{};
  command(0xd1);
  data(0x02);
  EXPECT_TRUE(controller.reset_requested());
}

}  // namespace
}  // namespace undercroft
