// The translation cache over a machine's memory: what is found, what a write drops, and where
// chained, landed and forwarded control really goes when the code is run.
#include "monitor/translate/cache.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

#include "translated_guest.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t frame = code / page_size;
constexpr std::uint32_t stack = TranslatedGuest::stack;

class Cache : public ::testing::Test {
 protected:
  std::unique_ptr<TranslatedGuest> owner = std::make_unique<TranslatedGuest>();
  TranslatedGuest& guest = *owner;
  TranslationCache& cache = guest.cache;
};

TEST_F(Cache, FindsWhatItTranslated) {
  guest.put(code, {0x40, 0xf4});
  guest.put(code + 0x40, {0x41, 0xf4});
  EXPECT_FALSE(cache.find(code).has_value());
  const std::uint32_t first = guest.translate(code).start;
  const std::uint32_t second = guest.translate(code + 0x40).start;
  EXPECT_EQ(cache.find(code), first);
  EXPECT_EQ(cache.find(code + 0x40), second);
  EXPECT_FALSE(cache.find(code + 1).has_value());
  EXPECT_FALSE(cache.find(code + 0x10000000).has_value());
  EXPECT_GE(first, window::cache);
  EXPECT_LT(second, window::cache_end);
  EXPECT_TRUE(cache.has_blocks_of(frame));
  EXPECT_FALSE(cache.has_blocks_of(frame + 1));
}

TEST_F(Cache, KeepsManyBlocksApart) {
  std::map<std::uint32_t, std::uint32_t> starts;
  for (std::uint32_t eip = code; eip < code + 0x8000; eip += 8) {
    guest.put(eip, {0x40, 0xf4});
    starts[eip] = guest.translate(eip).start;
  }
  std::uint32_t previous = 0;
  for (const auto& [eip, start] : starts) {
    ASSERT_EQ(cache.find(eip), start);
    ASSERT_EQ(cache.point_at(start)->eip, eip);
    ASSERT_EQ(cache.exit_at(start + 1)->eip, eip + 1);
    ASSERT_NE(start, previous);
    previous = start;
  }
}

// Blocks stay where the code still is, also when it reaches into the next page or slot.
TEST_F(Cache, CheckingASlotDropsWhatIsElsewhere) {
  struct Locations final : CodeLocations {
    bool shows(std::uint32_t page, std::uint32_t of, CodeLevel) override {
      ++asked[{page, of}];
      return page != gone;
    }
    std::map<std::pair<std::uint32_t, std::uint32_t>, unsigned> asked;
    std::uint32_t gone = 0;
  } locations;
  constexpr std::uint32_t slot = code & ~0x3fffffu;
  constexpr std::uint32_t crossing = code + page_size - 1;
  for (const std::uint32_t eip : {code, code + 0x40, crossing}) {
    guest.put(eip, {0x83, 0xc0, 0x01, 0xf4});
    const auto made = guest.translate(eip);
    if (made.crosses) cache.add_second_frame(frame + 1);
  }
  const std::uint32_t generation = cache.generation();
  EXPECT_FALSE(cache.check_slot(slot + 0x400000, locations));
  EXPECT_TRUE(locations.asked.empty());
  EXPECT_TRUE(cache.check_slot(slot, locations));
  const decltype(locations.asked) once = {{{code, frame}, 1}, {{code + page_size, frame + 1}, 1}};
  EXPECT_EQ(locations.asked, once);
  EXPECT_EQ(cache.generation(), generation);
  locations.gone = code + page_size;
  EXPECT_TRUE(cache.check_slot(slot, locations));
  EXPECT_NE(cache.generation(), generation);
  EXPECT_TRUE(cache.find(code).has_value());
  EXPECT_FALSE(cache.find(crossing).has_value());
  locations.gone = code;
  EXPECT_FALSE(cache.check_slot(slot, locations));
  EXPECT_FALSE(cache.find(code).has_value());
  EXPECT_FALSE(cache.find(code + 0x40).has_value());
}

TEST_F(Cache, FlushForgetsEverything) {
  guest.put(code, {0x40, 0xf4});
  const std::uint32_t start = guest.translate(code).start;
  const std::uint32_t generation = cache.generation();
  cache.flush();
  EXPECT_NE(cache.generation(), generation);
  EXPECT_FALSE(cache.find(code).has_value());
  EXPECT_FALSE(cache.point_at(start).has_value());
  EXPECT_FALSE(cache.has_blocks_of(frame));
  EXPECT_FALSE(cache.drop(frame, 0, page_mask));
}

TEST_F(Cache, AFullCacheStartsAfreshAndGoesOnWorking) {
  const std::uint32_t generation = cache.generation();
  guest.put(code, {0x90});
  unsigned made = 0;
  // Each of the blocks is as long as a block gets.
  for (std::uint32_t eip = code; eip < code + 0x10000; ++eip) guest.put(eip, {0x9d});
  for (std::uint32_t eip = code; eip < code + 0x8000 && cache.generation() == generation; ++made) {
    guest.put(eip + 20, {0xf4});
    guest.translate(eip);
    eip += 21;
  }
  EXPECT_GT(made, 100u);
  EXPECT_NE(cache.generation(), generation);
  guest.put(code, {0x40, 0xf4});
  const std::uint32_t start = guest.translate(code).start;
  EXPECT_LT(start + 4096, window::cache_end);
  EXPECT_EQ(guest.run().exit->eip, code + 1);
}

TEST_F(Cache, StaysWithinItsRange) {
  // Beyond the end of the cache are the mapping slots, before it the jump table.
  for (std::uint32_t at = window::cache_end; at < window::cache_end + 0x1000; at += 4) {
    std::memset(guest.window + at, 0xaa, 4);
  }
  for (std::uint32_t eip = code; eip < code + 0x18000; eip += 2) {
    guest.put(eip, {0x40, 0xc3});
    const std::uint32_t start = guest.translate(eip).start;
    cache.make_landing(eip, start);
  }
  for (std::uint32_t at = window::cache_end; at < window::cache_end + 0x1000; ++at) {
    ASSERT_EQ(guest.window[at], std::byte{0xaa});
  }
}

TEST_F(Cache, DropsTheBlocksThatAWriteTouches) {
  guest.put(code + 0x100, {0x40, 0x41, 0xc3});  // three bytes, from 0x100 on
  const struct {
    std::uint32_t first, last;
    bool touches;
  } rows[] = {{0, 0xff, false},     {0x103, 0xfff, false}, {0, 0x100, true},
              {0x102, 0x102, true}, {0x101, 0x101, true},  {0, 0xfff, true},
              {0x102, 0x200, true}};
  for (const auto& row : rows) {
    cache.flush();
    guest.translate(code + 0x100);
    EXPECT_EQ(cache.drop(frame, row.first, row.last), row.touches) << row.first << " " << row.last;
    EXPECT_EQ(cache.find(code + 0x100).has_value(), !row.touches);
    EXPECT_FALSE(cache.drop(frame + 1, 0, page_mask));
  }
}

TEST_F(Cache, ADroppedBlockSaysWhereToGoOn) {
  guest.put(code, {0x40, 0xc3});
  const std::uint32_t start = guest.translate(code).start;
  const std::uint32_t generation = cache.generation();
  EXPECT_TRUE(cache.drop(frame, 0, 0));
  EXPECT_NE(cache.generation(), generation);
  EXPECT_FALSE(cache.find(code).has_value());
  EXPECT_FALSE(cache.has_blocks_of(frame));
  EXPECT_FALSE(cache.drop(frame, 0, page_mask)) << "dropped twice";
  const auto exit = cache.exit_at(start);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->kind, ExitKind::moved);
  EXPECT_EQ(exit->eip, code);
  EXPECT_FALSE(cache.point_at(start).has_value());
}

TEST_F(Cache, ABlockOnTwoPagesHearsOfBoth) {
  const std::uint32_t eip = code + page_size - 2;
  guest.put(eip, {0x40, 0xb8, 1, 0, 0, 0});  // the second instruction: 1 byte here, 4 there
  for (const bool second : {false, true}) {
    cache.flush();
    ASSERT_TRUE(guest.translate(eip).crosses);
    EXPECT_TRUE(cache.has_blocks_of(frame));
    EXPECT_TRUE(cache.has_blocks_of(frame + 1));
    EXPECT_FALSE(cache.drop(frame, 0, page_mask - 2)) << "bytes before it";
    EXPECT_FALSE(cache.drop(frame + 1, 4, page_mask)) << "bytes behind it";
    const std::uint32_t start = *cache.find(eip);
    EXPECT_TRUE(second ? cache.drop(frame + 1, 3, 3) : cache.drop(frame, page_mask, page_mask));
    EXPECT_FALSE(cache.find(eip).has_value());
    EXPECT_EQ(cache.exit_at(start)->kind, ExitKind::moved);
    EXPECT_FALSE(cache.has_blocks_of(frame));
    EXPECT_FALSE(cache.has_blocks_of(frame + 1));
  }
}

TEST_F(Cache, PointsOfNeighboursAreFoundBehindABlockOnTwoPages) {
  const std::uint32_t eip = code + page_size - 2;
  guest.put(eip, {0x40, 0xb8, 1, 0, 0, 0, 0xf4});
  guest.put(code, {0x40, 0x41, 0xf4});
  const std::uint32_t first = guest.translate(eip).start;
  const std::uint32_t next = guest.translate(code).start;
  EXPECT_EQ(cache.point_at(first)->eip, eip);
  EXPECT_EQ(cache.point_at(first + 1)->eip, eip + 1);
  EXPECT_EQ(cache.point_at(next)->eip, code);
  EXPECT_EQ(cache.point_at(next + 1)->eip, code + 1);
}

TEST_F(Cache, AddressesOutsideBlocksHaveNoPoint) {
  guest.put(code, {0x40, 0xf4});
  const std::uint32_t start = guest.translate(code).start;
  EXPECT_FALSE(cache.point_at(start - 1).has_value());
  EXPECT_FALSE(cache.point_at(window::cache_end - 1).has_value());
  EXPECT_FALSE(cache.point_at(0).has_value());
  EXPECT_FALSE(cache.exit_at(window::cache_end - 2).has_value());
  EXPECT_FALSE(cache.exit_at(window::cache - 1).has_value());
  EXPECT_FALSE(cache.exit_at(start).has_value());
}

TEST_F(Cache, AChainedBranchGoesStraightOn) {
  guest.put(code, {0xeb, 0x0e});         // jmp code + 0x10
  guest.put(code + 0x10, {0x40, 0xf4});  // inc eax; hlt
  auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  ASSERT_EQ(end.exit->kind, ExitKind::branch);
  EXPECT_EQ(end.exit->eip, code + 0x10);
  cache.chain(end.exit->place, guest.translate(code + 0x10).start);
  guest.vcpu.eip = code;
  end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->kind, ExitKind::interpret);
  EXPECT_EQ(end.exit->eip, code + 0x11);
  EXPECT_EQ(guest.vcpu[Register::eax], 1u);
}

TEST_F(Cache, BothWaysOfAConditionalBranchAreChainedApart) {
  guest.put(code, {0x74, 0x0e});  // je code + 0x10
  guest.put(code + 2, {0x41, 0xf4});
  guest.put(code + 0x10, {0x40, 0xf4});
  for (const bool taken : {true, false, true, false}) {
    guest.vcpu.eip = code;
    guest.vcpu.eflags = eflags::always_one | (taken ? eflags::zero : 0);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    if (end.exit->kind == ExitKind::branch) {
      EXPECT_EQ(end.exit->eip, taken ? code + 0x10 : code + 2);
      cache.chain(end.exit->place, guest.block_at(end.exit->eip));
      continue;
    }
    EXPECT_EQ(end.exit->eip, taken ? code + 0x11 : code + 3);
  }
  EXPECT_EQ(guest.vcpu[Register::eax], 1u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 2u);  // behind the branch the trace has gone on at once
}

TEST_F(Cache, AForwardedBlockLeadsToItsSuccessor) {
  guest.put(code, {0xeb, 0x0e});
  guest.put(code + 0x10, {0x40, 0xf4});
  const auto first = guest.run();
  const std::uint32_t old = guest.translate(code + 0x10).start;
  cache.chain(first.exit->place, old);
  guest.put(code + 0x10, {0x41, 0xf4});  // inc ecx now
  ASSERT_TRUE(cache.drop(frame, 0x10, 0x10));
  guest.vcpu.eip = code;
  const auto moved = guest.run();
  ASSERT_EQ(moved.exit->kind, ExitKind::moved);
  EXPECT_EQ(moved.address, old);
  EXPECT_EQ(guest.vcpu.eip, code + 0x10);
  EXPECT_EQ(guest.vcpu[Register::eax], 0u);
  cache.forward(old, guest.translate(code + 0x10).start);
  guest.vcpu.eip = code;
  const auto end = guest.run();
  EXPECT_EQ(end.exit->kind, ExitKind::interpret);
  EXPECT_EQ(guest.vcpu[Register::ecx], 1u);
  EXPECT_EQ(guest.vcpu[Register::eax], 0u);
}

TEST_F(Cache, ALandingTakesIndirectBranchesToItsAddressOnly) {
  guest.put(code, {0xc3});
  guest.put(code + 0x10, {0x42, 0xf4});  // inc edx; hlt
  cache.make_landing(code + 0x10, guest.translate(code + 0x10).start);
  // The same low half, and another: neither may be taken for it.
  for (const std::uint32_t target : {code + 0x10, code + 0x10010, code + 0x20}) {
    guest.vcpu.eip = code;
    guest.vcpu.general = {0x11, 0x22, 0x33, 0x44, stack, 0x66, 0x77, 0x88};
    guest.vcpu.eflags = eflags::always_one | eflags::carry | eflags::zero;
    guest.put32(stack, target);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    const bool lands = target == code + 0x10;
    EXPECT_EQ(end.exit->kind, lands ? ExitKind::interpret : ExitKind::indirect);
    EXPECT_EQ(guest.vcpu.eip, lands ? target + 1 : target);
    EXPECT_EQ(guest.vcpu[Register::eax], 0x11u);
    EXPECT_EQ(guest.vcpu[Register::ecx], 0x22u);
    EXPECT_EQ(guest.vcpu[Register::edx], lands ? 0x34u : 0x33u);
    EXPECT_EQ(guest.vcpu[Register::esp], stack + 4);
    if (!lands) {
      EXPECT_EQ(guest.vcpu.eflags, eflags::always_one | eflags::carry | eflags::zero);
    }
  }
}

TEST_F(Cache, ALandingOfADroppedBlockStillKeepsTheRegisters) {
  guest.put(code, {0xc3});
  guest.put(code + 0x10, {0x42, 0xf4});
  cache.make_landing(code + 0x10, guest.translate(code + 0x10).start);
  cache.drop(frame, 0x10, 0x10);
  guest.vcpu.general = {0x11, 0x22, 0x33, 0x44, stack, 0x66, 0x77, 0x88};
  guest.put32(stack, code + 0x10);
  const auto end = guest.run();
  ASSERT_TRUE(end.exit.has_value());
  EXPECT_EQ(end.exit->kind, ExitKind::moved);
  EXPECT_EQ(guest.vcpu.eip, code + 0x10);
  EXPECT_EQ(guest.vcpu[Register::eax], 0x11u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x22u);
}

// Addresses that share a place in the jump table are all found, also after one has been made anew.
TEST_F(Cache, LandingsOfOnePlaceAreAList) {
  const std::uint32_t targets[] = {code + 0x10, code + 0x10010, code + 0x20010};
  guest.put(code, {0xc3});
  for (const std::uint32_t target : targets) {
    guest.put(target, {0x42, 0xf4});
    cache.make_landing(target, guest.translate(target).start);
  }
  cache.make_landing(targets[1], guest.translate(targets[1]).start);
  cache.make_landing(targets[1], guest.translate(targets[1]).start);
  for (const std::uint32_t target : targets) {
    guest.vcpu.general = {0x11, 0x22, 0x33, 0x44, stack, 0x66, 0x77, 0x88};
    guest.vcpu.eip = code;
    guest.put32(stack, target);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::interpret);
    EXPECT_EQ(end.exit->eip, target + 1);
    EXPECT_EQ(guest.vcpu[Register::eax], 0x11u);
    EXPECT_EQ(guest.vcpu[Register::ecx], 0x22u);
    EXPECT_EQ(guest.vcpu[Register::edx], 0x34u);
  }
  guest.vcpu.eip = code;
  guest.put32(stack, code + 0x30010);
  EXPECT_EQ(guest.run().exit->kind, ExitKind::indirect);
}

TEST_F(Cache, FlushTakesLandingsToo) {
  guest.put(code, {0xc3});
  guest.put(code + 0x10, {0x42, 0xf4});
  cache.make_landing(code + 0x10, guest.translate(code + 0x10).start);
  cache.flush();
  guest.put32(stack, code + 0x10);
  EXPECT_EQ(guest.run().exit->kind, ExitKind::indirect);
}

// Random translating, dropping, chaining: what is found must always be what a simple model of
// "blocks by address and bytes" has.
TEST_F(Cache, AgreesWithAModelUnderRandomUse) {
  struct Known {
    std::uint32_t first, end;  // guest bytes
  };
  std::map<std::uint32_t, Known> model;
  std::mt19937 random(3);
  for (unsigned n = 0; n < 20000; ++n) {
    const std::uint32_t eip = code + random() % (6 * page_size);
    if (random() % 3 != 0) {
      if (model.count(eip)) continue;
      const unsigned length = 1 + random() % 12;
      for (unsigned i = 0; i < length; ++i) guest.put(eip + i, {0x40});
      guest.put(eip + length, {0xc3});
      // Overwritten bytes drop what was there, as the monitor sees to it.
      for (std::uint32_t at = eip; at <= eip + length; ++at) {
        cache.drop(at / page_size, at & page_mask, at & page_mask);
      }
      std::erase_if(model, [&](const auto& entry) {
        return entry.second.first <= eip + length && eip < entry.second.end;
      });
      const std::uint32_t before = cache.generation();
      const auto made = guest.translate(eip);
      if (cache.generation() != before) model.clear();
      const std::uint32_t in_page = page_size - (eip & page_mask);
      const std::uint32_t bytes = std::min(length + 1, in_page);
      EXPECT_FALSE(made.crosses);
      model[eip] = {eip, eip + bytes};
    } else {
      const std::uint32_t first = eip & page_mask;
      const std::uint32_t last = std::min<std::uint32_t>(page_mask, first + random() % 64);
      const std::uint32_t from = (eip & ~page_mask) + first, to = (eip & ~page_mask) + last;
      const auto dropped = std::erase_if(model, [&](const auto& entry) {
        return entry.second.first <= to && from < entry.second.end;
      });
      ASSERT_EQ(cache.drop(eip / page_size, first, last), dropped != 0);
    }
    if (n % 64 == 0) {
      for (const auto& [at, known] : model)
        ASSERT_TRUE(cache.find(at).has_value()) << std::hex << at;
      for (std::uint32_t page = frame; page < frame + 6; ++page) {
        const bool any = std::any_of(model.begin(), model.end(), [&](const auto& entry) {
          return entry.first / page_size == page;
        });
        ASSERT_EQ(cache.has_blocks_of(page), any);
      }
    }
    ASSERT_EQ(cache.find(eip).has_value(), model.count(eip) != 0);
  }
}

}  // namespace
}  // namespace undercroft::test
