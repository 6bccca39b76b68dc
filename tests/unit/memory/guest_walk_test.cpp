#include "monitor/memory/guest_walk.hpp"

#include <gtest/gtest.h>

#include <map>

using namespace undercroft;

namespace {

struct FakeTables {
  std::map<std::uint32_t, std::uint32_t> words;
  unsigned reads = 0;
  std::uint32_t read_entry(GuestPhysical address) {
    ++reads;
    EXPECT_EQ(address.value() % 4, 0u);
    return words[address.value()];
  }
  void put64(std::uint32_t address, std::uint64_t value) {
    words[address] = static_cast<std::uint32_t>(value);
    words[address + 4] = static_cast<std::uint32_t>(value >> 32);
  }
};

constexpr GuestLinear linear(0xc0403abc);  // directory 0x301, table 3; PAE: 3, 2, 3
constexpr Paging two_level{PagingMode::two_level, GuestPhysical(0x1000), {}};
constexpr Paging with_large{PagingMode::two_level_large, GuestPhysical(0x1000), {}};
constexpr Paging pae{PagingMode::pae, GuestPhysical(0x1000), {0, 0, 0, 0x5001}};
constexpr std::uint32_t directory_at = 0x1000 + 0x301 * 4, table_at = 0x2000 + 3 * 4;
constexpr std::uint32_t pae_directory_at = 0x5000 + 2 * 8, pae_table_at = 0x6000 + 3 * 8;

Walk walk_small(std::uint32_t directory_bits, std::uint32_t table_bits, const Paging& paging) {
  FakeTables tables;
  tables.words[directory_at] = 0x2000 | directory_bits;
  tables.words[table_at] = 0x7654000 | table_bits;
  return walk_guest(paging, linear, tables);
}

Walk walk_pae(std::uint64_t directory, std::uint64_t table) {
  FakeTables tables;
  tables.put64(pae_directory_at, directory);
  tables.put64(pae_table_at, table);
  return walk_guest(pae, linear, tables);
}

}  // namespace

TEST(GuestWalk, WithoutPagingIsTheIdentity) {
  FakeTables tables;
  const Walk walk = walk_guest(Paging{}, linear, tables);
  EXPECT_TRUE(walk.mapped());
  EXPECT_EQ(walk.level, WalkLevel::no_tables);
  EXPECT_EQ(walk.address, GuestPhysical(linear.value()));
  EXPECT_TRUE(walk.writable && walk.user && walk.dirty && walk.accessed && !walk.global);
  EXPECT_EQ(walk.entry_count, 0);
  EXPECT_EQ(tables.reads, 0u);
}

// All combinations of the low nine bits of both entries, against the manual's sentences.
TEST(GuestWalk, TwoLevelWhole) {
  for (unsigned d = 0; d < 512; ++d) {
    for (unsigned t = 0; t < 512; ++t) {
      const Walk walk = walk_small(d, t, two_level);
      const bool mapped = (d & 1) && (t & 1);
      ASSERT_EQ(walk.mapped(), mapped);
      ASSERT_EQ(walk.level, d & 1 ? WalkLevel::table : WalkLevel::directory);
      ASSERT_EQ(walk.entry_count, d & 1 ? 2 : 1);
      ASSERT_EQ(walk.entries[0].address, GuestPhysical(directory_at));
      if (!mapped) {
        ASSERT_EQ(walk.result, WalkResult::not_present);
        continue;
      }
      ASSERT_EQ(walk.address, GuestPhysical(0x7654abc));
      ASSERT_EQ(walk.page_bytes, 4096u);
      ASSERT_EQ(walk.writable, (d & 2) && (t & 2));
      ASSERT_EQ(walk.user, (d & 4) && (t & 4));
      ASSERT_EQ(walk.accessed, (d & 0x20) && (t & 0x20));
      ASSERT_EQ(walk.dirty, (t & 0x40) != 0);
      ASSERT_EQ(walk.global, (t & 0x100) != 0);
      ASSERT_EQ(walk.leaf().address, GuestPhysical(table_at));
      ASSERT_EQ(walk.leaf().entry, PageEntry(0x7654000 | t));
    }
  }
}

TEST(GuestWalk, LargePageOfFourMegabytes) {
  FakeTables tables;
  tables.words[directory_at] = 0x048000e7 | 0x1000;  // PAT may be set
  const Walk walk = walk_guest(with_large, linear, tables);
  EXPECT_TRUE(walk.mapped());
  EXPECT_EQ(walk.level, WalkLevel::directory);
  EXPECT_EQ(walk.address, GuestPhysical(0x04803abc));
  EXPECT_EQ(walk.page_bytes, 0x400000u);
  EXPECT_TRUE(walk.writable && walk.user && walk.accessed && walk.dirty && !walk.global);
  EXPECT_EQ(walk.entry_count, 1);
  // Without CR4.PSE the bit is ignored, and the entry names a table.
  EXPECT_EQ(walk_guest(two_level, linear, tables).level, WalkLevel::table);
}

// Each bit of a 4 MB entry on its own: only 21:13 are reserved, and only if present and large.
TEST(GuestWalk, LargePageReservedBits) {
  for (unsigned bit = 9; bit < 32; ++bit) {
    FakeTables tables;
    tables.words[directory_at] = 0x81u | 1u << bit;
    const Walk walk = walk_guest(with_large, linear, tables);
    const bool reserved = bit >= 13 && bit <= 21;
    EXPECT_EQ(walk.result, reserved ? WalkResult::reserved_bit : WalkResult::mapped) << bit;
    tables.words[directory_at] = 0x80u | 1u << bit;
    EXPECT_EQ(walk_guest(with_large, linear, tables).result, WalkResult::not_present);
  }
}

TEST(GuestWalk, PaePages) {
  const Walk small = walk_pae(0x6027, 0x7654165);
  EXPECT_TRUE(small.mapped());
  EXPECT_EQ(small.address, GuestPhysical(0x7654abc));
  EXPECT_TRUE(small.user && small.global && small.accessed && small.dirty);
  EXPECT_FALSE(small.writable);
  EXPECT_EQ(small.entries[0].address, GuestPhysical(pae_directory_at));
  EXPECT_EQ(small.entries[1].address, GuestPhysical(pae_table_at));

  const Walk large = walk_pae(0x00e000e3, 0);
  EXPECT_TRUE(large.mapped());
  EXPECT_EQ(large.page_bytes, 0x200000u);
  EXPECT_EQ(large.address, GuestPhysical(0x00e03abc));
  EXPECT_TRUE(large.writable && !large.user);
  EXPECT_EQ(large.entry_count, 1);

  EXPECT_EQ(walk_pae(0x6026, 0x7654165).level, WalkLevel::directory);
  EXPECT_EQ(walk_pae(0x6027, 0x7654164).level, WalkLevel::table);
  EXPECT_EQ(walk_pae(0x6027, 0x7654164).result, WalkResult::not_present);
}

TEST(GuestWalk, PaePointerNotPresentReadsNothing) {
  FakeTables tables;
  const Walk walk = walk_guest(pae, GuestLinear(0x1000), tables);
  EXPECT_EQ(walk.result, WalkResult::not_present);
  EXPECT_EQ(walk.level, WalkLevel::pointer_table);
  EXPECT_EQ(tables.reads, 0u);
}

// SDM volume 3, table 4-8: bits 2:1, 8:5 and those above MAXPHYADDR, of present pointers only.
TEST(GuestWalk, PagePointersAsCr3IsLoaded) {
  for (unsigned bit = 1; bit < 64; ++bit) {
    FakeTables tables;
    for (unsigned i = 0; i < 4; ++i) tables.put64(0x8020 + 8 * i, 0x5001 + 0x1000 * i);
    const std::uint64_t one = 1ull << bit;
    tables.put64(0x8030, 0x7001 ^ one);
    const auto pointers = read_page_pointers(0x8020 | 0x1f, tables);
    const bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 36;
    ASSERT_EQ(pointers.has_value(), !reserved) << bit;
    if (pointers) {
      EXPECT_EQ(*pointers, (PagePointers{0x5001, 0x6001, 0x7001 ^ one, 0x8001}));
    }
    tables.put64(0x8030, 0x7000 | one);  // not present
    EXPECT_TRUE(read_page_pointers(0x8020, tables).has_value()) << bit;
  }
}

TEST(GuestWalk, PaeReservedBits) {
  for (unsigned bit = 9; bit < 64; ++bit) {
    const std::uint64_t one = 1ull << bit;
    const bool high = bit >= 36, large = high || (bit >= 13 && bit <= 20);
    const Walk two_megabytes = walk_pae(0x81 | one, 0);
    EXPECT_EQ(two_megabytes.result, large ? WalkResult::reserved_bit : WalkResult::mapped) << bit;
    EXPECT_EQ(two_megabytes.level, WalkLevel::directory);
    const Walk table = walk_pae(0x6001, 0x1 | one);
    EXPECT_EQ(table.result, high ? WalkResult::reserved_bit : WalkResult::mapped) << bit;
    EXPECT_EQ(table.level, WalkLevel::table);
    if (high) {
      EXPECT_EQ(walk_pae(0x6001 | one, 1).level, WalkLevel::directory);
      EXPECT_EQ(walk_pae(0x6001 | one, 1).result, WalkResult::reserved_bit);
      EXPECT_EQ(walk_pae(0x6000 | one, 1).result, WalkResult::not_present);
    } else if (bit >= 32) {
      EXPECT_TRUE(table.above_4_gb);
    }
  }
}

// A table above 4 GB floats: its entries read as all ones, whose upper bits are reserved.
TEST(GuestWalk, PaeTableAboveFourGigabytesFloats) {
  const Walk walk = walk_pae(0x1'0000'6001, 0x7654001);
  EXPECT_EQ(walk.result, WalkResult::reserved_bit);
  EXPECT_EQ(walk.level, WalkLevel::table);
  EXPECT_EQ(walk.entry_count, 1);
}

// SDM volume 3, 4.6.1, all cases: result, page rights, access, privilege, CR0.WP.
TEST(GuestWalk, PermissionTruthTable) {
  for (const WalkResult result :
       {WalkResult::mapped, WalkResult::not_present, WalkResult::reserved_bit}) {
    for (unsigned bits = 0; bits < 16; ++bits) {
      for (const PageAccess access : {PageAccess::read, PageAccess::write, PageAccess::execute}) {
        Walk walk;
        walk.result = result;
        walk.writable = bits & 1;
        walk.user = bits & 2;
        const Privilege privilege = bits & 4 ? Privilege::user : Privilege::supervisor;
        const bool write_protect = bits & 8;
        bool allowed = result == WalkResult::mapped;
        if (privilege == Privilege::user)
          allowed = allowed && walk.user && (access != PageAccess::write || walk.writable);
        else
          allowed = allowed && (access != PageAccess::write || walk.writable || !write_protect);
        EXPECT_EQ(permitted(walk, access, privilege, write_protect), allowed)
            << static_cast<int>(result) << " " << bits << " " << static_cast<int>(access);
      }
    }
  }
}

// SDM volume 3, figure 4-12.
TEST(GuestWalk, ErrorCodes) {
  struct Row {
    WalkResult result;
    PageAccess access;
    Privilege privilege;
    std::uint32_t code;
  };
  using enum WalkResult;
  using enum PageAccess;
  using enum Privilege;
  constexpr Row rows[] = {
      {not_present, read, supervisor, 0},
      {not_present, write, supervisor, 2},
      {not_present, execute, supervisor, 0},
      {not_present, read, user, 4},
      {not_present, write, user, 6},
      {not_present, execute, user, 4},
      {mapped, read, supervisor, 1},
      {mapped, write, supervisor, 3},
      {mapped, execute, supervisor, 1},
      {mapped, read, user, 5},
      {mapped, write, user, 7},
      {mapped, execute, user, 5},
      {reserved_bit, read, supervisor, 9},
      {reserved_bit, write, supervisor, 11},
      {reserved_bit, execute, supervisor, 9},
      {reserved_bit, read, user, 13},
      {reserved_bit, write, user, 15},
      {reserved_bit, execute, user, 13},
  };
  for (const Row& row : rows) {
    Walk walk;
    walk.result = row.result;
    EXPECT_EQ(error_code(walk, row.access, row.privilege), row.code);
  }
}

TEST(GuestWalk, PagingOfTheVirtualCpu) {
  Vcpu vcpu;
  vcpu.cr3 = 0x12345018;
  vcpu.pdptes = {1, 2, 3, 4};
  vcpu.cr4 = cr4::physical_address_extension | cr4::page_size_extensions;
  EXPECT_EQ(paging_of(vcpu).mode, PagingMode::none);
  vcpu.cr0 |= cr0::paging | cr0::protection_enable;
  EXPECT_EQ(paging_of(vcpu).mode, PagingMode::pae);
  EXPECT_EQ(paging_of(vcpu).pdptes, vcpu.pdptes);
  vcpu.cr4 = cr4::page_size_extensions;
  EXPECT_EQ(paging_of(vcpu).mode, PagingMode::two_level_large);
  EXPECT_EQ(paging_of(vcpu).root, GuestPhysical(0x12345000));
  vcpu.cr4 = 0;
  EXPECT_EQ(paging_of(vcpu).mode, PagingMode::two_level);
}

// Tables and page all in the second megabyte: with the A20 line low they are those of the first.
TEST(GuestWalk, A20MasksEveryPhysicalAddress) {
  Paging paging{PagingMode::two_level, GuestPhysical(0x101000), {}};
  for (const bool masked : {false, true}) {
    paging.a20_masked = masked;
    const std::uint32_t bit = masked ? 0 : 0x100000;
    FakeTables tables;
    tables.words[bit | directory_at] = 0x102007;
    tables.words[bit | table_at] = 0x7754007;
    const Walk walk = walk_guest(paging, linear, tables);
    EXPECT_EQ(walk.address, GuestPhysical(0x7654abc | bit));
    EXPECT_EQ(walk.entries[0].address, GuestPhysical(bit | directory_at));
    EXPECT_EQ(walk.entries[1].address, GuestPhysical(bit | table_at));
  }
  EXPECT_EQ(walk_guest(Paging{.a20_masked = true}, GuestLinear(0xfff00123), FakeTables{}).address,
            GuestPhysical(0xffe00123));
}
