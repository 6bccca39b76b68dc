// Any sequence of port accesses, device memory accesses, input and time for the devices: no device
// answers more bits than were asked for, time never stands still while something is due, and a
// state put back goes on as the one it was taken from.
#include <memory>

#include "monitor/devices/pc.hpp"
#include "require.hpp"

using namespace undercroft;

namespace {

struct StandingClock final : Clock {
  std::uint64_t now() override { return time; }
  std::uint64_t time = 0;
};
struct NoSink final : CharacterSink {
  void put(std::uint8_t) override {}
};
struct NoLog final : DeviceLog {
  void unclaimed_read(std::uint16_t, unsigned size) override { require(size <= 4); }
  void unclaimed_write(std::uint16_t, std::uint32_t, unsigned size) override { require(size <= 4); }
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint32_t next(unsigned bytes = 1) {
    std::uint32_t value = 0;
    for (; bytes != 0 && left_ != 0; --bytes, --left_) value = value << 8 | *data_++;
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

constexpr std::uint32_t all_ones(unsigned size) { return ~0u >> (32 - 8 * size); }

struct Machine {
  StandingClock clock;
  NoSink sink;
  NoLog log;
  Pc pc{{64u << 20, 1577836800}, clock, sink, sink, log};

  void step(Input& in) {
    const std::uint32_t what = in.next();
    const unsigned size = 1u << what / 8 % 3;
    const auto port = static_cast<std::uint16_t>(what & 0x80 ? in.next(2) : in.next());
    switch (what % 8) {
      case 0:
      case 1:
        return pc.port_write(port, in.next(size), size);
      case 2:
        require((pc.port_read(port, size) & ~all_ones(size)) == 0);
        return;
      case 3:
        return wait(std::uint64_t{in.next(3)} << what / 8 % 16);
      case 4:
        if (pc.can_take_serial_input()) pc.serial_input(static_cast<std::uint8_t>(in.next()));
        return;
      case 5:
        if (pc.can_take_keyboard_input()) pc.keyboard_input(static_cast<std::uint8_t>(in.next()));
        return;
      case 6:
        if (pc.interrupt_pending()) pc.acknowledge_interrupt();
        return;
      default: {
        const GuestPhysical address(0xb8000 + in.next(2) % (0x8000 - 4));
        pc.memory_write(address, in.next(size), size);
        require((pc.memory_read(address, size) & ~all_ones(size)) == 0);
      }
    }
  }
  void wait(std::uint64_t nanoseconds) {
    clock.time += nanoseconds;
    pc.advance(clock.time);
    require(pc.next_deadline() > clock.time);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  const auto machine = std::make_unique<Machine>();
  for (unsigned steps = 0; !in.empty() && steps < 2000; ++steps) machine->step(in);
  const auto copy = std::make_unique<Machine>();
  copy->clock.time = machine->clock.time;
  copy->pc.restore(machine->pc.state());
  require(copy->pc.interrupt_pending() == machine->pc.interrupt_pending());
  // Not later: the copy learns the time at its next access.
  require(copy->pc.next_deadline() <= machine->pc.next_deadline());
  for (std::uint16_t port = 0; port < 0x100; ++port) {
    require(copy->pc.port_read(port, 1) == machine->pc.port_read(port, 1));
  }
  return 0;
}
