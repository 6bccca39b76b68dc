#include "guest_loader/placement.hpp"

#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint64_t megabyte = 1 << 20;
constexpr auto map = standard_memory_map(16 * megabyte);

TEST(Placement, KnowsRamByTheMapAndItsSize) {
  const Placement placement(map, 8 * megabyte);
  EXPECT_TRUE(placement.is_ram(0, 0x9fc00));
  EXPECT_FALSE(placement.is_ram(0, 0x9fc01));
  EXPECT_FALSE(placement.is_ram(0x9fc00, 1));
  EXPECT_FALSE(placement.is_ram(0xa0000, 1));
  EXPECT_TRUE(placement.is_ram(megabyte, 7 * megabyte));
  EXPECT_FALSE(placement.is_ram(megabyte, 7 * megabyte + 1));
  EXPECT_FALSE(placement.is_ram(megabyte, ~std::uint64_t{0}));
  EXPECT_FALSE(placement.is_ram(std::uint64_t{1} << 32, 0));
}

TEST(Placement, JoinsNeighbouringEntriesInAnyOrder) {
  const MemoryMapEntry entries[] = {{0x3000, 0x1000, MemoryType::available},
                                    {0x1000, 0x2000, MemoryType::available},
                                    {0x4000, ~std::uint64_t{0}, MemoryType::available}};
  const Placement placement(entries, 1 << 20);
  EXPECT_EQ(placement.end_of_ram_at(0x1000), 1u << 20);
  EXPECT_EQ(placement.end_of_ram_at(0xfff), 0xfffu);
}

TEST(Placement, ClaimsDoNotOverlap) {
  Placement placement(map, 16 * megabyte);
  EXPECT_TRUE(placement.claim(0x200000, 0x1000));
  EXPECT_FALSE(placement.claim(0x200fff, 1));
  EXPECT_FALSE(placement.claim(0x1ff000, 0x1001));
  EXPECT_FALSE(placement.claim(0x1ff000, 0x10000));
  EXPECT_TRUE(placement.claim(0x201000, 1));
  EXPECT_TRUE(placement.claim(0x1ff000, 0x1000));
  EXPECT_EQ(placement.end_of_claims(), 0x201001u);
}

TEST(Placement, RefusesMoreClaimsThanItHolds) {
  Placement placement(map, 16 * megabyte);
  for (std::size_t i = 0; i < Placement::capacity; ++i) EXPECT_TRUE(placement.claim(i * 16, 16));
  EXPECT_FALSE(placement.claim(0x200000, 16));
}

TEST(Placement, FindsTheLowestAndTheHighestPlace) {
  Placement placement(map, 16 * megabyte);
  EXPECT_EQ(placement.find_lowest(0x1000, 0x1000, 0x8001, 0xa0000), 0x9000u);
  EXPECT_EQ(placement.find_lowest(0x98000, 0x1000, 0x8001, 16 * megabyte), 0x100000u);
  EXPECT_EQ(placement.find_highest(0x1001, 0x1000, 0, ~std::uint64_t{0}), 0xffe000u);
  EXPECT_EQ(placement.find_highest(0x1000, 0x1000, 0, megabyte), 0x9e000u);
  EXPECT_FALSE(placement.find_highest(0x1000, 0x1000, 0x9f000, megabyte));
  EXPECT_TRUE(placement.claim(megabyte, 0x800));
  EXPECT_TRUE(placement.claim(0xfff000, 0x10));
  EXPECT_EQ(placement.find_lowest(1, 0x1000, megabyte, 16 * megabyte), 0x101000u);
  EXPECT_EQ(placement.find_highest(0x1000, 0x1000, 0, ~std::uint64_t{0}), 0xffe000u);
  EXPECT_FALSE(placement.find_lowest(17 * megabyte, 1, 0, ~std::uint64_t{0}));
  EXPECT_FALSE(placement.find_highest(17 * megabyte, 1, 0, ~std::uint64_t{0}));
}

}  // namespace
}  // namespace undercroft::test
