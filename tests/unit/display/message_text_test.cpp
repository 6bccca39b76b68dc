#include "monitor/display/message_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace undercroft {
namespace {

std::string row(const MessageText& text, unsigned number) {
  std::string line;
  for (unsigned i = 0; i < MessageText::columns; ++i) {
    const std::uint16_t cell = text.cells()[number * MessageText::columns + i];
    EXPECT_EQ(cell >> 8, 0x07);
    line += static_cast<char>(cell);
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

MessageText showing(const std::string& words) {
  MessageText text;
  text.clear();
  text.write(words);
  return text;
}

TEST(MessageText, LinesAndControlCharacters) {
  const MessageText text = showing("one\ntwo\rT\nxy\bz");
  EXPECT_EQ(row(text, 0), "one");
  EXPECT_EQ(row(text, 1), "Two");
  EXPECT_EQ(row(text, 2), "xz");
  EXPECT_EQ(text.cursor(), 2 * 80 + 2u);
}

TEST(MessageText, LongLinesGoOnBelowAndAFullOneWaits) {
  const MessageText full = showing(std::string(80, 'a'));
  EXPECT_EQ(full.cursor(), 80u);
  EXPECT_EQ(row(full, 1), "");
  EXPECT_EQ(row(showing(std::string(80, 'a') + "\nb"), 1), "b");
  EXPECT_EQ(row(showing(std::string(80, 'a') + "b"), 1), "b");
}

TEST(MessageText, TheLastLineScrolls) {
  std::string words;
  for (int i = 0; i < 30; ++i) words += "line " + std::to_string(i) + "\n";
  const MessageText text = showing(words + "end");
  EXPECT_EQ(row(text, 0), "line 6");
  EXPECT_EQ(row(text, 23), "line 29");
  EXPECT_EQ(row(text, 24), "end");
}

TEST(MessageText, BackspaceStopsAtTheStart) { EXPECT_EQ(row(showing("\b\ba"), 0), "a"); }

}  // namespace
}  // namespace undercroft
