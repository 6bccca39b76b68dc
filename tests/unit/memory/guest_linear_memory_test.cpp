#include "monitor/memory/guest_linear_memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::GuestMachine;
using enum Privilege;

namespace {

constexpr std::uint32_t P = page_bit::present, W = page_bit::writable, U = page_bit::user,
                        A = page_bit::accessed, D = page_bit::dirty;
constexpr GuestPhysical directory(0x1000), first_table(0x2000);

struct Listener final : WriteWatcher {
  void written(GuestPhysical address, unsigned) override { heard.push_back(address.value()); }
  std::vector<std::uint32_t> heard;
};

// Linear page n of the first 4 MB goes through first_table, entry n; by default page n maps to
// guest-physical page 0x100 + n, writable by everyone.
class GuestLinearMemoryTest : public testing::Test {
 protected:
  GuestLinearMemoryTest() {
    vcpu.cr0 |= cr0::protection_enable | cr0::paging | cr0::write_protect;
    vcpu.cr4 |= cr4::page_size_extensions;
    vcpu.cr3 = directory.value();
    guest.memory.write(directory, first_table.value() | P | W | U, 4);
    for (unsigned page = 0; page < 64; ++page) set_entry(page, P | W | U);
  }
  GuestPhysical entry_address(unsigned page) { return first_table + page * 4; }
  std::uint32_t entry(unsigned page) { return guest.memory.read(entry_address(page), 4); }
  void set_entry(unsigned page, std::uint32_t bits) {
    guest.memory.write(entry_address(page), (0x100 + page) * page_size | bits, 4);
  }
  std::uint32_t directory_entry() { return guest.memory.read(directory, 4); }
  GuestPhysical behind(unsigned page) { return GuestPhysical::of_page(0x100 + page); }

  GuestMachine guest;
  Vcpu vcpu;
  GuestLinearMemory linear{vcpu, guest.memory};
};

Exception fault(std::uint32_t address, std::uint32_t code) {
  return Exception::page_fault(GuestLinear(address), code);
}

}  // namespace

TEST_F(GuestLinearMemoryTest, ReadsAndWritesThroughTheTables) {
  guest.memory.write(behind(5) + 0x10, 0x11223344, 4);
  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_EQ(linear.read(GuestLinear(0x5010), 4, user).value(), 0x11223344u);
    EXPECT_EQ(linear.read(GuestLinear(0x5011), 2, supervisor).value(), 0x2233u);
    EXPECT_EQ(linear.read(GuestLinear(0x5013), 1, user).value(), 0x11u);
  }
  for (std::uint32_t value : {0xaau, 0xbbu}) {
    EXPECT_TRUE(linear.write(GuestLinear(0x5012), value, 1, user).ok());
    EXPECT_EQ(guest.memory.read(behind(5) + 0x10, 4), 0x11003344u | value << 16);
  }
}

TEST_F(GuestLinearMemoryTest, WithoutPagingLinearIsPhysical) {
  vcpu.cr0 &= ~cr0::paging;
  EXPECT_TRUE(linear.write(GuestLinear(0x23456), 0xcafe, 2, user).ok());
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x23456), 2), 0xcafeu);
  EXPECT_EQ(linear.read(GuestLinear(0xe0000000), 4, user).value(), ~0u);
}

// A and D as the manual says, for each kind of access (SDM volume 3, 4.8).
TEST_F(GuestLinearMemoryTest, AccessedAndDirty) {
  std::array<std::uint8_t, 4> bytes{};
  EXPECT_TRUE(linear.probe_write(GuestLinear(0x1000), 8, user).ok());
  EXPECT_EQ(entry(1) & (A | D), 0u);
  EXPECT_EQ(directory_entry() & A, 0u);

  EXPECT_TRUE(linear.read(GuestLinear(0x1000), 4, user).ok());
  EXPECT_EQ(entry(1) & (A | D), A);
  EXPECT_EQ(directory_entry(), first_table.value() | P | W | U | A);  // never D
  EXPECT_TRUE(linear.write(GuestLinear(0x1000), 1, 4, user).ok());    // after the read was cached
  EXPECT_EQ(entry(1) & (A | D), A | D);

  EXPECT_TRUE(linear.read_to_modify(GuestLinear(0x2000), 4, user).ok());
  EXPECT_EQ(entry(2) & (A | D), A);
  EXPECT_TRUE(linear.write(GuestLinear(0x2000), 1, 4, user).ok());
  EXPECT_EQ(entry(2) & (A | D), A | D);

  EXPECT_TRUE(linear.fetch(GuestLinear(0x3000), bytes, user).ok());
  EXPECT_EQ(entry(3) & (A | D), A);
  EXPECT_TRUE(linear.write(GuestLinear(0x4fff), 1, 2, user).ok());
  EXPECT_EQ(entry(4) & (A | D), A | D);
  EXPECT_EQ(entry(5) & (A | D), A | D);
}

TEST_F(GuestLinearMemoryTest, EntriesThatHaveTheirBitsAreNotWritten) {
  Listener listener;
  guest.memory.add_watcher(Watcher::page_table, listener);
  guest.table.watch(first_table, Watcher::page_table);
  guest.table.watch(directory, Watcher::page_table);
  linear.read(GuestLinear(0x1000), 4, user).ok();
  EXPECT_EQ(listener.heard, (std::vector<std::uint32_t>{0x1000, 0x2004}));
  linear.flush();
  linear.read(GuestLinear(0x1000), 4, user).ok();
  EXPECT_EQ(listener.heard.size(), 2u);
  linear.write(GuestLinear(0x1000), 0, 4, user).ok();
  EXPECT_EQ(listener.heard, (std::vector<std::uint32_t>{0x1000, 0x2004, 0x2004}));
}

// Page rights x access x privilege x CR0.WP: the fault, its code, and that nothing was touched.
TEST_F(GuestLinearMemoryTest, RightsAndErrorCodes) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    for (const Privilege privilege : {supervisor, user}) {
      for (const bool protect : {false, true}) {
        vcpu.cr0 = (vcpu.cr0 & ~cr0::write_protect) | (protect ? cr0::write_protect : 0u);
        const bool present = bits & P;
        const bool readable = present && (privilege == supervisor || (bits & U));
        const bool writable = readable && ((bits & W) || (privilege == supervisor && !protect));
        const std::uint32_t code = present | (privilege == user ? 4u : 0u);
        std::array<std::uint8_t, 1> byte{};
        const auto check = [&](auto access, bool allowed, std::uint32_t expected) {
          set_entry(7, bits);
          linear.flush();
          for (int again = 0; again < 2; ++again) {
            const auto result = access();
            EXPECT_EQ(result.ok(), allowed) << bits << " " << protect;
            if (!result.ok()) {
              EXPECT_EQ(result.error(), fault(0x7004, expected));
              EXPECT_EQ(entry(7) & (A | D), 0u);
            }
          }
        };
        const GuestLinear at(0x7004);
        check([&] { return linear.read(at, 4, privilege); }, readable, code);
        check([&] { return linear.fetch(at, byte, privilege); }, readable, code);
        check([&] { return linear.write(at, 0, 4, privilege); }, writable, code | 2);
        check([&] { return linear.read_to_modify(at, 4, privilege); }, writable, code | 2);
        check([&] { return linear.probe_write(at, 4, privilege); }, writable, code | 2);
      }
    }
  }
}

// What one privilege or access was allowed must not be handed to another from the cache.
TEST_F(GuestLinearMemoryTest, CachedRightsAreNotSharedUpwards) {
  set_entry(3, P | W);
  EXPECT_TRUE(linear.write(GuestLinear(0x3000), 1, 4, supervisor).ok());
  EXPECT_EQ(linear.read(GuestLinear(0x3000), 4, user).error(), fault(0x3000, 5));
  EXPECT_EQ(linear.write(GuestLinear(0x3000), 1, 4, user).error(), fault(0x3000, 7));
  set_entry(4, P | U);
  EXPECT_TRUE(linear.read(GuestLinear(0x4000), 4, user).ok());
  EXPECT_TRUE(linear.read(GuestLinear(0x4000), 4, supervisor).ok());
  EXPECT_EQ(linear.write(GuestLinear(0x4000), 1, 4, user).error(), fault(0x4000, 7));
  EXPECT_EQ(linear.read_to_modify(GuestLinear(0x4000), 4, supervisor).error(), fault(0x4000, 3));
}

TEST_F(GuestLinearMemoryTest, PageCrossingsChangeNothingOnAFault) {
  guest.memory.write(behind(8) + 0xffc, 0x55555555, 4);
  for (const bool second_missing : {false, true}) {
    set_entry(8, second_missing ? P | W | U : P | U);
    set_entry(9, second_missing ? 0 : P | W | U);
    linear.flush();
    const std::uint32_t address = second_missing ? 0x9000 : 0x8ffe;
    const std::uint32_t code = second_missing ? 6 : 7;
    EXPECT_EQ(linear.write(GuestLinear(0x8ffe), 0, 4, user).error(), fault(address, code));
    EXPECT_EQ(linear.probe_write(GuestLinear(0x8ffe), 4, user).error(), fault(address, code));
    EXPECT_EQ(linear.read_to_modify(GuestLinear(0x8ffe), 4, user).error(), fault(address, code));
    EXPECT_EQ(entry(8) & (A | D), 0u);
    EXPECT_EQ(entry(9) & (A | D), 0u);
    EXPECT_EQ(guest.memory.read(behind(8) + 0xffc, 4), 0x55555555u);
  }
  EXPECT_EQ(linear.read(GuestLinear(0x8ffd), 4, user).error(), fault(0x9000, 4));
}

TEST_F(GuestLinearMemoryTest, PageCrossingsJoinTheRightBytes) {
  // Neighbours in linear space that are none in physical space.
  guest.memory.write(entry_address(11), behind(40).value() | P | W | U, 4);
  for (unsigned offset = 0xffd; offset <= 0xfff; ++offset) {
    for (const unsigned size : {2u, 4u}) {
      if (offset + size <= 0x1000) continue;
      const GuestLinear at(0xa000 + offset);
      const std::uint32_t value = 0x94a3b2c1 >> (32 - 8 * size);
      ASSERT_TRUE(linear.write(at, value, size, user).ok());
      EXPECT_EQ(linear.read(at, size, user).value(), value);
      EXPECT_EQ(linear.read_to_modify(at, size, user).value(), value);
      for (unsigned i = 0; i < size; ++i) {
        const unsigned where = offset + i;
        const GuestPhysical byte =
            where < 0x1000 ? behind(10) + where : behind(40) + (where - 0x1000);
        EXPECT_EQ(guest.memory.read(byte, 1), value >> 8 * i & 0xff);
      }
    }
  }
}

TEST_F(GuestLinearMemoryTest, FetchStopsAtThePageThatFaults) {
  guest.memory.write(behind(12) + 0xffe, 0x9090, 2);
  guest.memory.write(behind(13), 0xc3, 1);
  std::array<std::uint8_t, 15> bytes{};
  EXPECT_EQ(linear.fetch(GuestLinear(0xcffe), bytes, user).value(), 15u);
  EXPECT_EQ(bytes[1], 0x90);
  EXPECT_EQ(bytes[2], 0xc3);
  set_entry(13, P);  // no longer the user's
  linear.flush();
  EXPECT_EQ(linear.fetch(GuestLinear(0xcffe), bytes, user).value(), 2u);
  EXPECT_EQ(linear.fetch(GuestLinear(0xd000), bytes, user).error(), fault(0xd000, 5));
}

// A translation stays until it is flushed, and no longer.
TEST_F(GuestLinearMemoryTest, FlushesDropTranslations) {
  guest.memory.write(behind(20), 20, 4);
  guest.memory.write(behind(21), 21, 4);
  EXPECT_EQ(linear.read(GuestLinear(0x14000), 4, user).value(), 20u);
  guest.memory.write(entry_address(20), behind(21).value() | P | W | U, 4);
  EXPECT_EQ(linear.read(GuestLinear(0x14000), 4, user).value(), 20u);
  linear.flush_page(GuestLinear(0x15000));
  EXPECT_EQ(linear.read(GuestLinear(0x14000), 4, user).value(), 20u);
  linear.flush_page(GuestLinear(0x14abc));
  EXPECT_EQ(linear.read(GuestLinear(0x14000), 4, user).value(), 21u);
  guest.memory.write(entry_address(20), behind(20).value() | P | W | U, 4);
  linear.flush();
  EXPECT_EQ(linear.read(GuestLinear(0x14000), 4, user).value(), 20u);
}

TEST_F(GuestLinearMemoryTest, InvalidatingALargePageDropsAllOfIt) {
  const GuestPhysical entry_of_4_mb = directory + 4;
  guest.memory.write(entry_of_4_mb, 0x00400000 | P | W | U | page_bit::large, 4);
  guest.memory.write(GuestPhysical(0x403000), 0x77, 4);
  EXPECT_EQ(linear.read(GuestLinear(0x403000), 4, user).value(), 0x77u);
  EXPECT_TRUE(linear.write(GuestLinear(0x405000), 1, 4, user).ok());
  EXPECT_EQ(guest.memory.read(entry_of_4_mb, 4), 0x00400000 | P | W | U | A | D | page_bit::large);
  guest.memory.write(entry_of_4_mb, 0, 4);
  linear.flush_page(GuestLinear(0x7ff000));
  EXPECT_EQ(linear.read(GuestLinear(0x403000), 4, user).error(), fault(0x403000, 4));
}

TEST_F(GuestLinearMemoryTest, WatchersHearOfWritesAlsoAfterTheyWereCached) {
  Listener listener;
  guest.memory.add_watcher(Watcher::translated_code, listener);
  EXPECT_TRUE(linear.write(GuestLinear(0x6000), 1, 4, user).ok());
  guest.table.watch(behind(6), Watcher::translated_code);
  EXPECT_TRUE(linear.write(GuestLinear(0x6004), 2, 4, user).ok());
  EXPECT_TRUE(linear.write(GuestLinear(0x6008), 3, 4, user).ok());
  EXPECT_EQ(listener.heard,
            (std::vector<std::uint32_t>{behind(6).value() + 4, behind(6).value() + 8}));
  EXPECT_EQ(linear.read(GuestLinear(0x6008), 4, user).value(), 3u);
}

TEST_F(GuestLinearMemoryTest, FollowsAFrameThatIsTakenAway) {
  EXPECT_TRUE(linear.write(GuestLinear(0x6000), 1, 4, user).ok());
  guest.table.set_frame(behind(6), FrameKind::absent);
  EXPECT_EQ(linear.read(GuestLinear(0x6000), 4, user).value(), ~0u);
  guest.table.set_frame(behind(6), FrameKind::not_yet_given);
  EXPECT_EQ(linear.read(GuestLinear(0x6000), 4, user).value(), 0u);
  EXPECT_TRUE(linear.write(GuestLinear(0x6000), 9, 4, user).ok());
  EXPECT_EQ(guest.memory.read(behind(6), 4), 9u);
}

TEST_F(GuestLinearMemoryTest, DevicesAreReachedEveryTime) {
  guest.table.set_frame(behind(6), FrameKind::device);
  for (unsigned i = 1; i <= 3; ++i) {
    EXPECT_EQ(linear.read(GuestLinear(0x6010), 2, user).value(), 0x5678u);
    EXPECT_EQ(guest.devices.count, i);
  }
  EXPECT_EQ(guest.devices.accesses[2].address, behind(6).value() + 0x10);
}

TEST_F(GuestLinearMemoryTest, AbsentMemoryFaultsIfItIsToldTo) {
  guest.memory.write(entry_address(6), 0xe0000000 | P | W | U, 4);
  EXPECT_EQ(linear.read(GuestLinear(0x6000), 4, user).value(), ~0u);
  EXPECT_TRUE(linear.write(GuestLinear(0x6000), 0, 4, user).ok());
  GuestLinearMemory strict(vcpu, guest.memory, AbsentMemory::faults);
  EXPECT_EQ(strict.read(GuestLinear(0x6000), 4, user).error(), fault(0x6000, 4));
  EXPECT_EQ(strict.write(GuestLinear(0x5fff), 0, 2, user).error(), fault(0x6000, 6));
  EXPECT_TRUE(strict.read(GuestLinear(0x5000), 4, user).ok());
}

TEST_F(GuestLinearMemoryTest, PaePagesAboveFourGigabytesFloat) {
  vcpu.cr4 |= cr4::physical_address_extension;
  vcpu.pdptes = {0x10001, 0, 0, 0};
  const auto put = [&](std::uint32_t address, std::uint64_t entry) {
    guest.memory.write(GuestPhysical(address), static_cast<std::uint32_t>(entry), 4);
    guest.memory.write(GuestPhysical(address + 4), static_cast<std::uint32_t>(entry >> 32), 4);
  };
  put(0x10000, 0x11000 | P | W | U);
  put(0x11000, 0x5000 | P | W | U);
  put(0x11008, 0x1'0000'5000 | P | W | U);
  guest.memory.write(GuestPhysical(0x5ffc), 0x11223344, 4);
  guest.memory.write(GuestPhysical(0x5000), 0x99, 4);
  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_EQ(linear.read(GuestLinear(0xffc), 4, user).value(), 0x11223344u);
    EXPECT_EQ(linear.read(GuestLinear(0x1000), 2, user).value(), 0xffffu);
    EXPECT_EQ(linear.read(GuestLinear(0xffe), 4, user).value(), 0xffff1122u);
    EXPECT_TRUE(linear.write(GuestLinear(0x1000), 0, 4, user).ok());
    EXPECT_EQ(guest.memory.read(GuestPhysical(0x5000), 4), 0x99u);
  }
  EXPECT_EQ(guest.memory.read(GuestPhysical(0x11008), 4), 0x5000 | P | W | U | A | D);
  GuestLinearMemory strict(vcpu, guest.memory, AbsentMemory::faults);
  EXPECT_EQ(strict.read(GuestLinear(0xffe), 4, user).error(), fault(0x1000, 4));
}

// The tables map themselves: directory and leaf are the same entry, and both its bits must stay.
TEST_F(GuestLinearMemoryTest, SelfMappedTables) {
  guest.memory.write(directory + 0xffc, directory.value() | P | W | U, 4);
  EXPECT_TRUE(linear.write(GuestLinear(0xfffff000), 0, 4, supervisor).ok());
  EXPECT_EQ(guest.memory.read(directory + 0xffc, 4), directory.value() | P | W | U | A | D);
  EXPECT_EQ(directory_entry(), 0u);
}

// The leaf of the first page is the directory entry of the second: its D bit must outlive the
// second page's A bits, whose walk was made before.
TEST_F(GuestLinearMemoryTest, CrossingPagesThatShareAnEntry) {
  guest.memory.write(directory, directory.value() | P | W | U, 4);
  guest.memory.write(directory + 4, behind(1).value() | P | W | U, 4);
  EXPECT_TRUE(linear.write(GuestLinear(0xffe), 0x11223344, 4, supervisor).ok());
  EXPECT_EQ(directory_entry(), directory.value() | P | W | U | A | D);
  EXPECT_EQ(guest.memory.read(directory + 4, 4), behind(1).value() | P | W | U | A | D);
  EXPECT_EQ(guest.memory.read(directory + 0xffe, 2), 0x3344u);
  EXPECT_EQ(guest.memory.read(behind(1), 2), 0x1122u);
}

// Random accesses and table changes against the same class without its cache: each access is made
// on a flushed instance over a second machine, and both must agree in result, tables and memory.
TEST(GuestLinearMemoryRandom, TheCacheIsNeverSeen) {
  GuestMachine machines[2]{GuestMachine(1u << 20), GuestMachine(1u << 20)};
  Vcpu vcpu;
  vcpu.cr0 |= cr0::protection_enable | cr0::paging;
  vcpu.cr3 = directory.value();
  GuestLinearMemory cached(vcpu, machines[0].memory), plain(vcpu, machines[1].memory);
  std::mt19937 random(20260101);
  const auto change_entry = [&](std::uint32_t page) {
    const std::uint32_t entry =
        (8 + random() % 24) * page_size | (random() & 7) | (random() % 4 != 0);
    for (auto& machine : machines) machine.memory.write(first_table + page * 4, entry, 4);
  };
  for (auto& machine : machines)
    machine.memory.write(directory, first_table.value() | P | W | U, 4);
  for (std::uint32_t page = 0; page < 160; ++page) change_entry(page);

  for (unsigned round = 0; round < 60000; ++round) {
    const GuestLinear at(random() % (160 * page_size));
    const GuestLinear near_end(random() % 4 ? at.value() : at.value() | 0xffd);
    const Privilege privilege = random() % 2 ? user : supervisor;
    const unsigned size = 1u << random() % 3;
    const std::uint32_t value = random();
    plain.flush();
    const auto same = [&](auto access) {
      const auto a = access(cached), b = access(plain);
      ASSERT_EQ(a.ok(), b.ok()) << round;
      if (!a.ok()) {
        ASSERT_EQ(a.error(), b.error()) << round;
      }
    };
    const auto same_value = [&](auto access) {
      same(access);
      const auto a = access(cached), b = access(plain);
      if (a.ok()) {
        ASSERT_EQ(a.value(), b.value()) << round;
      }
    };
    switch (random() % 8) {
      case 0:
      case 1:
        same_value([&](auto& m) { return m.read(near_end, size, privilege); });
        break;
      case 2:
      case 3:
        same([&](auto& m) { return m.write(near_end, value, size, privilege); });
        break;
      case 4:
        same_value([&](auto& m) { return m.read_to_modify(near_end, size, privilege); });
        break;
      case 5: {
        std::array<std::uint8_t, 15> bytes[2]{};
        unsigned next = 0;
        same_value([&](auto& m) { return m.fetch(near_end, bytes[next++ % 2], privilege); });
        ASSERT_EQ(bytes[0], bytes[1]) << round;
        break;
      }
      case 6:
        change_entry(at.page_number());
        cached.flush_page(at);
        break;
      case 7:
        if (random() % 8 == 0) {
          vcpu.cr0 ^= cr0::write_protect;
          cached.flush();
        } else {
          const auto frame = GuestPhysical::of_page(8 + random() % 24);
          for (auto& machine : machines) {
            if (value & 1)
              machine.table.watch(frame, Watcher::debugger);
            else
              machine.table.unwatch(frame, Watcher::debugger);
          }
        }
        break;
    }
    if (round % 1000 != 0) continue;
    for (std::uint32_t address = 0; address < 40 * page_size; address += 4)
      ASSERT_EQ(machines[0].memory.read(GuestPhysical(address), 4),
                machines[1].memory.read(GuestPhysical(address), 4))
          << round << " at " << std::hex << address;
  }
}
