#include "guest_loader/linux_command_line.hpp"

#include <gtest/gtest.h>

namespace undercroft::test {
namespace {

constexpr std::uint64_t none = ~std::uint64_t{0};

struct Line {
  const char* text;
  std::uint64_t limit;
};

class LinuxCommandLine : public testing::TestWithParam<Line> {};

TEST_P(LinuxCommandLine, SaysWhereMemoryEnds) {
  EXPECT_EQ(memory_limit(GetParam().text), GetParam().limit) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Lines, LinuxCommandLine,
    testing::Values(Line{"", none}, Line{"quiet", none}, Line{"mem=64M", 64 << 20},
                    Line{"a mem=64m b", 64 << 20}, Line{"mem=1024k", 1 << 20},
                    Line{"mem=0x100000", 1 << 20}, Line{"mem=010", 8}, Line{"mem=1048576", 1 << 20},
                    Line{"mem=2G", std::uint64_t{2} << 30}, Line{"mem=1M mem=2M", 2 << 20},
                    Line{"mem=", none}, Line{"mem=nopentium", none}, Line{"mem=8M@1M", none},
                    Line{"memmap=1M", none}, Line{"xmem=1M", none}, Line{"mem=8Mx", none},
                    Line{"mem=0x", none}, Line{"mem=99999999999999999999", std::uint64_t{1} << 32},
                    Line{"  mem=4M", 4 << 20}));

}  // namespace
}  // namespace undercroft::test
