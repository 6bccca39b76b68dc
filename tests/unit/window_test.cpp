// Where the window goes when the guest wants its place: the monitor runs a guest kernel on a
// scripted processor that reports a page fault in the window, and then the guest's last
// instruction, OUT to the exit port.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <utility>

#include "monitor/monitor.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/fake_processor.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t ram_bytes = 8u << 20;
constexpr std::uint32_t code = 0x2000, directory = 0x10000, empty_table = 0x11000,
                        full_table = 0x12000;
constexpr std::uint32_t present =
    page_bit::present | page_bit::writable | page_bit::accessed | page_bit::dirty;

struct NoInput final : HostInput {
  bool read_serial(std::uint8_t&) override { return false; }
  bool read_keyboard(std::uint8_t&) override { return false; }
};

class Window : public testing::Test {
 protected:
  Window() {
    pool.add_range(HostPhysical(0x800000), 40u << 20);
    EXPECT_TRUE(vm.lay_out(ram_bytes, true));
    constexpr std::uint8_t out_exit[] = {0xe6, 0xf4};  // out 0xf4, al
    for (unsigned i = 0; i < sizeof out_exit; ++i) {
      vm.memory.write(GuestPhysical(code + i), out_exit[i], 1);
    }
    for (unsigned i = 0; i < 1024; ++i) {
      vm.memory.write(GuestPhysical(directory + 4 * i), 0, 4);
      vm.memory.write(GuestPhysical(empty_table + 4 * i), 0, 4);
      vm.memory.write(GuestPhysical(full_table + 4 * i), 0x20000 | present, 4);
    }
    set_slot(0, present | page_bit::large);  // where the code is
    vcpu.cr0 |= cr0::protection_enable | cr0::paging | cr0::write_protect;
    vcpu.cr4 = cr4::page_size_extensions;
    vcpu.cr3 = directory;
    vcpu.eip = code;
    vcpu[Register::esp] = 0x8000;
    for (unsigned i = 0; i < 6; ++i) {
      const bool is_code = i == static_cast<unsigned>(Segment::cs);
      vcpu.segments[i] = {static_cast<std::uint16_t>(is_code ? 0x10 : 0x18),
                          static_cast<std::uint16_t>(is_code ? 0xc09b : 0xc093), 0, 0xffffffff,
                          true};
    }
  }
  void set_slot(unsigned slot, std::uint32_t entry) {
    vm.memory.write(GuestPhysical(directory + 4 * slot), entry, 4);
  }

  // Runs the guest, with one fault at the address. False: it did not come to its end.
  bool run_with_fault(std::uint32_t address, bool write = false) {
    unsigned entries = 0;
    processor.guest = [&](GuestContext& context) {
      // The first entry faults; what follows is the exit that stands for OUT.
      const bool fault = entries++ == 0;
      context.vector = fault ? 14 : 6;
      context.error_code = fault ? 4u | (write ? 2u : 0u) : 0;
      context.fault_address = address;
    };
    const Monitor::Foundation foundation{processor, clock, input, vm, window, image};
    const auto monitor = std::make_unique<Monitor>(foundation, MonitorOptions{});
    end = monitor->run(vcpu);
    migrations = monitor->statistics().migrations;
    return end.kind == RunEnd::Kind::exit;
  }

  static constexpr HostPhysical image{0x100000};
  MachineMemory machine;
  std::byte* window = machine.view(image, window::size, PROT_READ);
  FramePool pool{machine.slots};
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{ram_bytes, 0}, clock, com1, debug_console, log};
  Vm vm{machine.slots, pool, pc};
  NoInput input;
  FakeProcessor processor;
  Vcpu vcpu;
  RunEnd end;
  std::uint64_t migrations = 0;
};

TEST_F(Window, StaysWhereTheGuestHasNothing) {
  // The guest's own fault: nothing is mapped there. It has no IDT, so that ends it.
  EXPECT_FALSE(run_with_fault(0xffc01000));
  EXPECT_EQ(end.kind, RunEnd::Kind::triple_fault);
  EXPECT_EQ(migrations, 0u);
}

TEST_F(Window, GoesToTheNearestSlotBelowThatIsFree) {
  set_slot(1023, full_table | present);
  set_slot(1022, empty_table | present);  // a table, if an empty one, may be filled any time
  set_slot(1021, present | page_bit::large);
  EXPECT_TRUE(run_with_fault(0xffc01000));
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(1020u << 22)}));
  EXPECT_EQ(migrations, 1u);
}

TEST_F(Window, GoesRoundAtTheBottomAndLeavesSlot0) {
  processor.window = HostLinear(2u << 22);
  set_slot(2, full_table | present);
  set_slot(1, full_table | present);
  EXPECT_TRUE(run_with_fault(2u << 22 | 0x1000));
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(1023u << 22)}));
}

TEST_F(Window, TheOnlyFreeSlotIsFound) {
  for (unsigned slot = 1; slot < 1024; ++slot) {
    if (slot != 500) set_slot(slot, full_table | present);
  }
  EXPECT_TRUE(run_with_fault(0xffc01000));
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(500u << 22)}));
}

TEST_F(Window, StaysIfNoSlotIsFree) {
  for (unsigned slot = 1; slot < 1024; ++slot) set_slot(slot, full_table | present);
  EXPECT_TRUE(run_with_fault(0xffc01000)) << "the access is emulated";
  EXPECT_TRUE(processor.window_moves.empty());
}

TEST_F(Window, WithoutPagingItLeavesTheRam) {
  vcpu.cr0 &= ~(cr0::paging | cr0::write_protect);
  processor.window = HostLinear(1u << 22);  // in the guest's RAM, which ends at 8 MB
  EXPECT_TRUE(run_with_fault(1u << 22 | 0x1000));
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(1023u << 22)}));
}

// All of its slot is mapped, and nothing answers anywhere.
TEST_F(Window, WhatDoesNotAnswerDoesNotDriveItAway) {
  for (unsigned i = 0; i < 1024; ++i) {
    vm.memory.write(GuestPhysical(full_table + 4 * i), 0xf0000000 | present, 4);
  }
  set_slot(1023, full_table | present);
  EXPECT_TRUE(run_with_fault(0xffc01000)) << "the access is emulated";
  EXPECT_TRUE(processor.window_moves.empty());
}

// Some of the window's pages would hide it without a fault.
TEST_F(Window, DeviceMemoryDrivesItAway) {
  vm.memory.write(GuestPhysical(empty_table + 4), 0xb8000 | present, 4);
  set_slot(1023, empty_table | present);
  EXPECT_TRUE(run_with_fault(0xffc01000));
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(1022u << 22)}));
}

// MOV EAX, [4000h] is copied as it is while a slot is free, and has a guard before it when the
// window's pages may hide the guest's.
struct WindowAndGuard : Window {
  // Every slot from `first` on is in use. Whether the instruction was copied, and how often the
  // window had nowhere to go.
  std::pair<bool, std::uint64_t> run_with_slots_taken(unsigned first) {
    const std::uint8_t code_bytes[] = {0xa1, 0x00, 0x40, 0x00, 0x00, 0xe6, 0xf4};
    for (unsigned i = 0; i < sizeof code_bytes; ++i) {
      vm.memory.write(GuestPhysical(code + i), code_bytes[i], 1);
    }
    for (unsigned slot = first; slot < 1024; ++slot) set_slot(slot, full_table | present);
    bool copied = false;
    unsigned entries = 0;
    processor.guest = [&](GuestContext& context) {
      if (entries++ == 0) copied = std::memcmp(window + context.eip, code_bytes, 5) == 0;
      context.vector = 13;  // the interpreter runs the instruction, then OUT
      context.error_code = 0;
    };
    const Monitor::Foundation foundation{processor, clock, input, vm, window, image};
    const auto monitor = std::make_unique<Monitor>(foundation, MonitorOptions{});
    monitor->run(vcpu);
    return {copied, monitor->statistics().crowded};
  }
};

TEST_F(WindowAndGuard, CopiesWhileASlotIsFree) {
  EXPECT_EQ(run_with_slots_taken(2), std::pair(true, std::uint64_t{0}));
}

TEST_F(WindowAndGuard, GuardsWithoutAFreeSlot) {
  EXPECT_EQ(run_with_slots_taken(1), std::pair(false, std::uint64_t{1}));
}

// MOV [page directory], EAX in the interpreter's hands; then the slot is in use before what
// follows.
TEST_F(Window, LeavesWhenTheDirectoryIsWritten) {
  const std::uint8_t code_bytes[] = {0xa3, 0xfc, 0x0f, 0x01, 0x00, 0xe6, 0xf4};
  for (unsigned i = 0; i < sizeof code_bytes; ++i) {
    vm.memory.write(GuestPhysical(code + i), code_bytes[i], 1);
  }
  vcpu[Register::eax] = full_table | present;
  unsigned entries = 0;
  processor.guest = [&](GuestContext& context) {
    // The write to the directory, which is watched; then the exit that stands for OUT.
    const bool fault = entries++ == 0;
    EXPECT_EQ(processor.window_moves.empty(), fault);
    context.vector = fault ? 14 : 6;
    context.error_code = fault ? 7 : 0;
    context.fault_address = directory + 4 * 1023;
  };
  const Monitor::Foundation foundation{processor, clock, input, vm, window, image};
  const auto monitor = std::make_unique<Monitor>(foundation, MonitorOptions{});
  EXPECT_EQ(monitor->run(vcpu).kind, RunEnd::Kind::exit);
  EXPECT_EQ(processor.window_moves, (std::vector<HostLinear>{HostLinear(1022u << 22)}));
}

}  // namespace
}  // namespace undercroft::test
