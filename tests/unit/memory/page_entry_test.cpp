#include "monitor/memory/page_entry.hpp"

#include <gtest/gtest.h>

#include <array>

using namespace undercroft;

namespace {

struct Named {
  const char* name;
  bool (*get)(PageEntry);
  std::uint64_t bit;  // SDM volume 3, tables 4-5, 4-6 and 4-11
};

constexpr std::array<Named, 10> accessors{{
    {"present", [](PageEntry e) { return e.present(); }, 1ull << 0},
    {"writable", [](PageEntry e) { return e.writable(); }, 1ull << 1},
    {"user", [](PageEntry e) { return e.user(); }, 1ull << 2},
    {"write_through", [](PageEntry e) { return e.write_through(); }, 1ull << 3},
    {"cache_disable", [](PageEntry e) { return e.cache_disable(); }, 1ull << 4},
    {"accessed", [](PageEntry e) { return e.accessed(); }, 1ull << 5},
    {"dirty", [](PageEntry e) { return e.dirty(); }, 1ull << 6},
    {"large", [](PageEntry e) { return e.large(); }, 1ull << 7},
    {"global", [](PageEntry e) { return e.global(); }, 1ull << 8},
    {"no_execute", [](PageEntry e) { return e.no_execute(); }, 1ull << 63},
}};

}  // namespace

// Each bit changes exactly the accessors that name it, from both sides.
TEST(PageEntry, EachBitHasOneAccessor) {
  for (const std::uint64_t ground : {0ull, ~0ull}) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const PageEntry before(ground), after(ground ^ 1ull << bit);
      for (const Named& named : accessors)
        EXPECT_EQ(named.get(before) != named.get(after), named.bit == 1ull << bit)
            << named.name << " bit " << bit;
      EXPECT_EQ(before.frame() != after.frame(), bit >= 12 && bit < 32) << bit;
      EXPECT_EQ(PageEntry(1ull << bit).above_4_gb(), bit >= 32 && bit < 36) << bit;
    }
  }
}

TEST(PageEntry, BuildsAndChanges) {
  const PageEntry entry = PageEntry::of(0x12345fff, page_bit::present | page_bit::user);
  EXPECT_EQ(entry.low(), 0x12345005u);
  EXPECT_EQ(entry.frame(), 0x12345000u);
  EXPECT_EQ(entry.with(page_bit::dirty).low(), 0x12345045u);
  EXPECT_EQ(entry.without(page_bit::user).low(), 0x12345001u);
  EXPECT_EQ(PageEntry(0xf00000001ull).without(page_bit::present).bits(), 0xf00000000ull);
}

// SDM volume 3, tables 4-4 (4 MB page) and 4-10 (PAE 2 MB page, pointer entry).
TEST(PageEntry, ReservedBits) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = 1ull << bit;
    EXPECT_EQ((reserved_bits::large_32 & one) != 0, bit >= 13 && bit <= 21) << bit;
    EXPECT_EQ((reserved_bits::pae_high & one) != 0, bit >= 36) << bit;
    EXPECT_EQ((reserved_bits::pae_large & one) != 0, (bit >= 13 && bit <= 20) || bit >= 36) << bit;
    EXPECT_EQ((reserved_bits::pae_pointer & one) != 0,
              bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 36)
        << bit;
  }
}
