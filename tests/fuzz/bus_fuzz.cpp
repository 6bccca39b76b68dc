// Any sequence of port accesses, device memory accesses, input and time for the devices: no device
// answers more bits than were asked for, time never stands still while something is due, and a
// state put back goes on as the one it was taken from.
#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "input.hpp"
#include "monitor/devices/pc.hpp"
#include "require.hpp"
#include "tests/unit/fakes/vector_memory.hpp"

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

// Two disks and a CD-ROM of zeros.
struct SmallDisks final : DiskPort {
  static constexpr std::uint32_t bytes = 16 * 512;
  unsigned disk_count() const override { return 3; }
  DiskInformation disk(unsigned number) const override {
    const DiskKind kind = number == 2 ? DiskKind::cdrom : DiskKind::ata;
    return {kind, kind == DiskKind::cdrom, false, bytes / 512};
  }
  bool read_disk(unsigned number, std::uint32_t sector, std::span<std::byte> out) override {
    require(number < 3 && out.size() % 512 == 0 && sector * 512ull + out.size() <= bytes);
    std::memcpy(out.data(), contents[number].data() + sector * 512, out.size());
    return true;
  }
  bool write_disk(unsigned number, std::uint32_t sector, std::span<const std::byte> in) override {
    require(number < 2 && in.size() % 512 == 0 && sector * 512ull + in.size() <= bytes);
    std::memcpy(contents[number].data() + sector * 512, in.data(), in.size());
    return true;
  }
  std::array<std::array<std::byte, bytes>, 3> contents{};
};

struct SmallVideo final : VideoMemory {
  std::uint8_t read(std::uint32_t offset) override { return at(offset); }
  void write(std::uint32_t offset, std::uint8_t value) override { at(offset) = value; }
  std::uint8_t& at(std::uint32_t offset) {
    require(offset < VideoMemory::bytes);
    return contents[offset % contents.size()];  // enough to tell that nothing goes wrong
  }
  std::array<std::uint8_t, 0x1000> contents{};
};

// Where the PCI bus and the IDE controller are at the start.
constexpr std::uint16_t pci_and_ide[] = {0xcf8, 0xcfc,  0xcfe,  0xcff,  0x1f0,  0x1f0,  0x1f1,
                                         0x1f2, 0x1f3,  0x1f4,  0x1f5,  0x1f6,  0x1f7,  0x3f6,
                                         0x170, 0x171,  0x172,  0x174,  0x175,  0x176,  0x177,
                                         0x376, 0xc000, 0xc002, 0xc004, 0xc008, 0xc00a, 0xc00c};

constexpr std::uint32_t all_ones(unsigned size) { return ~0u >> (32 - 8 * size); }

struct Machine {
  StandingClock clock;
  NoSink sink;
  NoLog log;
  Pc pc{{64u << 20, 1577836800}, clock, sink, sink, log};

  SmallDisks disks;
  VectorMemory memory{0x4000};
  SmallVideo video;

  Machine() {
    pc.set_video_memory(video);
    pc.connect(memory);
    require(pc.connect(disks));
    // The tables of regions that the bus masters find at 0.
    pc.port_write(0xcf8, 0x80000904, 4);
    pc.port_write(0xcfc, 5, 2);
  }

  void move_string(std::uint16_t port, unsigned size, std::size_t count) {
    std::array<std::byte, 2048> bytes{};
    const auto run = std::span(bytes).first(count * size);
    if (count % 2 == 0) return pc.port_read_string(port, size, run);
    pc.port_write_string(port, size, run);
  }

  void step(Input& in) {
    const std::uint32_t what = in.next();
    const unsigned size = 1u << what / 8 % 3;
    const auto port = what >= 0xc0   ? pci_and_ide[in.next() % std::size(pci_and_ide)]
                      : what >= 0x80 ? static_cast<std::uint16_t>(in.next(2))
                                     : static_cast<std::uint16_t>(in.next());
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
        if (what >= 0xc0) return move_string(port, size, in.next() * 2 + what / 8 % 2);
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
