#include "monitor/inspect/format.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace undercroft {
namespace {

template <class... Arguments>
std::string formatted(std::string_view format, const Arguments&... arguments) {
  std::array<char, 200> storage;
  TextBuffer buffer(storage);
  print(buffer, format, arguments...);
  return std::string(buffer.text());
}

TEST(Format, Decimal) {
  EXPECT_EQ(formatted("{} {} {}", 0u, 42, -7), "0 42 -7");
  EXPECT_EQ(formatted("{}", std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(formatted("{}", std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(formatted("[{5}]", 42u), "[   42]");
}

TEST(Format, Hexadecimal) {
  EXPECT_EQ(formatted("{x} {x4} {x}", 0xbeefu, 0x1fu, std::uint64_t{0x123456789a}),
            "0xbeef 0x001f 0x123456789a");
  EXPECT_EQ(formatted("{x}", std::int8_t{-1}), "0xff");
  EXPECT_EQ(formatted("{}", HostPhysical(0x1000)), "0x00001000");
}

TEST(Format, TextAndBraces) {
  EXPECT_EQ(formatted("{}-{} {{}", "a", std::string_view("bc")), "a-bc {}");
  EXPECT_EQ(formatted("{} {}", true, false), "yes no");
  EXPECT_EQ(formatted("{} disk{}, {} disk{}", 1u, plural(1), 0u, plural(0)), "1 disk, 0 disks");
}

TEST(Format, MissingArgumentShows) {
  EXPECT_EQ(formatted("{} {}.", 1u), "1 {?}.");
  EXPECT_EQ(formatted("x{"), "x{?}");
}

TEST(Format, BufferDropsWhatDoesNotFit) {
  std::array<char, 3> storage;
  TextBuffer buffer(storage);
  print(buffer, "{}", 12345u);
  EXPECT_EQ(buffer.text(), "123");
}

}  // namespace
}  // namespace undercroft
