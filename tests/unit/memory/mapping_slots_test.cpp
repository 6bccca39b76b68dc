#include "monitor/memory/mapping_slots.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "tests/unit/fakes/machine_memory.hpp"

using namespace undercroft;
using test::MachineMemory;

TEST(MappingSlots, ShowsTheFrameAskedFor) {
  MachineMemory machine;
  for (std::uint32_t page = 1; page < 1000; ++page)
    machine.slots.map(HostPhysical::of_page(page)).words()[3] = page * 7;
  for (std::uint32_t page = 1; page < 1000; ++page) {
    EXPECT_EQ(machine.word(HostPhysical::of_page(page) + 12), page * 7);
    EXPECT_EQ(machine.slots.map(HostPhysical::of_page(page) + 0x123).words()[3], page * 7);
  }
}

TEST(MappingSlots, RepointsOnlyForAnotherFrame) {
  MachineMemory machine;
  machine.slots.map(HostPhysical::of_page(5));
  machine.slots.map(HostPhysical::of_page(6));
  EXPECT_EQ(machine.points, 2u);
  machine.slots.map(HostPhysical::of_page(5));
  EXPECT_EQ(machine.points, 2u);
}

TEST(MappingSlots, PinnedFramesStay) {
  MachineMemory machine(128u << 20);
  constexpr unsigned most = mapping_slot_count - 2;  // the look afterwards needs one
  // Frames of one slot, all alive at once.
  std::vector<MappedFrame> alive;
  for (unsigned i = 0; i < most; ++i) {
    alive.push_back(machine.slots.map(HostPhysical::of_page(3 + i * mapping_slot_count)));
    alive.back().words()[0] = i;
  }
  for (unsigned i = 0; i < most; ++i) {
    EXPECT_EQ(alive[i].words()[0], i);
    EXPECT_EQ(machine.word(HostPhysical::of_page(3 + i * mapping_slot_count)), i);
  }
}
