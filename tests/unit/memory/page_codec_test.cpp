#include "monitor/memory/page_codec.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <random>
#include <vector>

namespace undercroft {
namespace {

using Page = std::array<std::uint32_t, page_words>;

struct Row {
  const char* name;
  std::uint32_t most;  // bytes that it may take
  std::function<Page()> make;
};

template <class Word>
Page filled(Word word) {
  Page page;
  for (unsigned i = 0; i < page_words; ++i) page[i] = word(i);
  return page;
}

class PageCodec : public testing::TestWithParam<Row> {};

TEST_P(PageCodec, GivesThePageAgain) {
  const Page page = GetParam().make();
  std::vector<std::byte> packed(2 * page_size);
  const auto bytes = pack_page(page, packed);
  ASSERT_TRUE(bytes);
  EXPECT_LE(*bytes, GetParam().most);
  Page unpacked = filled([](unsigned) { return 0xeeeeeeeeu; });
  packed.resize(*bytes);
  packed.shrink_to_fit();  // so that a read behind the end is found
  ASSERT_TRUE(unpack_page(packed, unpacked));
  EXPECT_EQ(unpacked, page);
}

TEST_P(PageCodec, FitsExactlyOrNotAtAll) {
  const Page page = GetParam().make();
  std::vector<std::byte> room(2 * page_size);
  const std::uint32_t bytes = *pack_page(page, room);
  std::vector<std::byte> exact(bytes), small(bytes - 1);
  EXPECT_EQ(pack_page(page, exact), bytes);
  EXPECT_FALSE(pack_page(page, small));
}

TEST_P(PageCodec, CutOrLongerInputIsRefused) {
  const Page page = GetParam().make();
  std::vector<std::byte> packed(2 * page_size);
  packed.resize(*pack_page(page, packed));
  Page unpacked;
  for (const std::size_t cut : {std::size_t{1}, packed.size() / 2, packed.size()}) {
    const std::vector<std::byte> part(packed.begin(), packed.end() - static_cast<long>(cut));
    EXPECT_FALSE(unpack_page(part, unpacked));
  }
  packed.push_back(std::byte{0});
  EXPECT_FALSE(unpack_page(packed, unpacked));
}

std::mt19937 random_words(7);

INSTANTIATE_TEST_SUITE_P(
    Pages, PageCodec,
    testing::Values(
        Row{"zero", 16, [] { return filled([](unsigned) { return 0u; }); }},
        Row{"one_value", 32, [] { return filled([](unsigned) { return 0x6b6b6b6bu; }); }},
        Row{"page_table", 40, [] { return filled([](unsigned i) { return i << 12 | 0x67; }); }},
        Row{"counter", 40, [] { return filled([](unsigned i) { return 0xc0100000u + i; }); }},
        Row{"sparse", 600, [] { return filled([](unsigned i) { return i % 16 ? 0 : i * 77; }); }},
        Row{"last_word", 32, [] { return filled([](unsigned i) { return i / 1023; }); }},
        Row{"random", 4112, [] { return filled([](unsigned) { return random_words(); }); }},
        // Fresh and known words by turns: the most tokens.
        Row{"by_turns", 5 * page_size / 4,
            [] {
              return filled([](unsigned i) { return i % 2 ? random_words() : 0x12345600u; });
            }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(PageCodec, RandomMixtures) {
  std::mt19937 random(1);
  for (unsigned round = 0; round < 500; ++round) {
    std::array<std::uint32_t, 8> bases;
    for (std::uint32_t& base : bases) base = random();
    const Page page = filled([&](unsigned) -> std::uint32_t {
      switch (random() % 5) {
        case 0:
          return 0;
        case 1:
          return bases[random() % 8];
        case 2:
          return bases[random() % 8] ^ (random() & 0xff);
        case 3:
          return random() % 300;
        default:
          return random();
      }
    });
    std::vector<std::byte> packed(5 * page_size / 4);
    const auto bytes = pack_page(page, packed);
    ASSERT_TRUE(bytes);
    packed.resize(*bytes);
    Page unpacked;
    ASSERT_TRUE(unpack_page(packed, unpacked));
    ASSERT_EQ(unpacked, page) << round;
  }
}

TEST(PageCodec, RandomBytesAreReadWithinBounds) {
  std::mt19937 random(2);
  Page unpacked;
  for (unsigned round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(random() % 600);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    unpack_page(bytes, unpacked);  // the sanitisers watch
  }
}

TEST(PageCodec, KnowsAZeroPage) {
  Page page{};
  EXPECT_TRUE(is_zero_page(page));
  for (const unsigned word : {0u, 500u, page_words - 1}) {
    page = {};
    page[word] = 0x80000000;
    EXPECT_FALSE(is_zero_page(page));
  }
}

}  // namespace
}  // namespace undercroft
