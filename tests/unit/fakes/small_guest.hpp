// A monitor with a small guest whose processor is a function of the test: what it is entered with,
// and what it traps with.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <initializer_list>
#include <memory>
#include <vector>

#include "monitor/monitor.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/fake_processor.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {

struct SilentInput final : HostInput {
  bool read_serial(std::uint8_t&) override { return false; }
  bool read_keyboard(std::uint8_t&) override { return false; }
  void show_lights(std::uint8_t lights) override { shown_lights.push_back(lights); }
  std::vector<unsigned> shown_lights;
};

// 2 MB of zeros, real mode at 0:1000 with the stack at 0:8000. OUT to port 0xf4 ends the run.
class SmallGuest {
 public:
  static constexpr std::uint32_t code = 0x1000, stack = 0x8000;

  SmallGuest() {
    pool.add_range(HostPhysical(0x800000), 40u << 20);
    EXPECT_TRUE(vm.lay_out(ram_bytes, true));
    for (DescriptorCache& cache : vcpu.segments) cache = {0, 0x93, 0, 0xffff, true};
    vcpu.eip = code;
    vcpu[Register::esp] = stack;
    vcpu.idtr = {GuestLinear(0), 0x3ff};
  }

  void put(std::uint32_t address, std::initializer_list<int> bytes) {
    for (const int byte : bytes) {
      vm.memory.write(GuestPhysical(address++), static_cast<std::uint32_t>(byte), 1);
    }
  }
  // The byte of the window at an offset.
  unsigned window_byte(std::uint32_t offset) const {
    return std::to_integer<unsigned>(window[offset]);
  }
  RunEnd run(const MonitorOptions& options = {}) {
    const Monitor::Foundation foundation{processor, clock, input, vm, window, image};
    const auto monitor = std::make_unique<Monitor>(foundation, options);
    const RunEnd end = monitor->run(vcpu);
    vcpu = monitor->vcpu();
    return end;
  }

  static constexpr std::uint32_t ram_bytes = 2u << 20;
  static constexpr HostPhysical image{0x100000};
  MachineMemory machine;
  std::byte* window = machine.view(image, window::size, PROT_READ | PROT_WRITE);
  FramePool pool{machine.slots};
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{ram_bytes, 0}, clock, com1, debug_console, log};
  Vm vm{machine.slots, pool, pc};
  SilentInput input;
  FakeProcessor processor;
  Vcpu vcpu;
};

}  // namespace undercroft::test
