// Any rings, descriptors and register accesses for the virtio devices: a call does bounded work,
// asks for nothing but the disk's sectors, and the machine's memory and disk beyond the guest's
// stay whole (which the sanitizers see).
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "input.hpp"
#include "monitor/devices/virtio_functions.hpp"
#include "require.hpp"

using namespace undercroft;

namespace {

constexpr std::uint32_t memory_bytes = 0x10000;
constexpr std::uint32_t sectors = 40;
// Of one access: a queue of 128 chains of 128 buffers and descriptors each, in pieces of a sector
// or less, and the longest requests.
constexpr unsigned most_accesses = 1'000'000;

struct Memory final : DmaMemory {
  bool inside(GuestPhysical at, std::size_t size) {
    ++accesses;
    return size <= bytes.size() && at.value() <= bytes.size() - size;
  }
  bool read(GuestPhysical at, std::span<std::byte> out) override {
    if (!inside(at, out.size())) return false;
    std::memcpy(out.data(), bytes.data() + at.value(), out.size());
    return true;
  }
  bool write(GuestPhysical at, std::span<const std::byte> in) override {
    if (!inside(at, in.size())) return false;
    std::memcpy(bytes.data() + at.value(), in.data(), in.size());
    return true;
  }
  std::vector<std::byte> bytes = std::vector<std::byte>(memory_bytes);
  unsigned accesses = 0;
};

struct Disk final : DiskPort {
  unsigned disk_count() const override { return 1; }
  DiskInformation disk(unsigned) const override {
    return {DiskKind::virtio, false, false, sectors};
  }
  bool read_disk(unsigned disk, std::uint32_t sector, std::span<std::byte> out) override {
    check(disk, sector, out.size());
    std::memcpy(out.data(), bytes.data() + sector * 512, out.size());
    return true;
  }
  bool write_disk(unsigned disk, std::uint32_t sector, std::span<const std::byte> in) override {
    check(disk, sector, in.size());
    std::memcpy(bytes.data() + sector * 512, in.data(), in.size());
    return true;
  }
  static void check(unsigned disk, std::uint32_t sector, std::size_t size) {
    require(disk == 0 && size % 512 == 0 && sector <= sectors && size / 512 <= sectors - sector);
  }
  std::vector<std::byte> bytes = std::vector<std::byte>(sectors * 512);
};

struct Source final : EntropySource {
  unsigned samples_of_a_key() const override { return 0; }
  std::uint64_t sample() override { return ++count; }
  std::uint64_t count = 0;
};
struct Line final : CharacterSink {
  void put(std::uint8_t) override { ++count; }
  unsigned count = 0;
};

struct Machine {
  Machine() {
    VirtioFunctions::add_fixed(bus);
    functions.add_blocks(bus, disk);
    for (const unsigned device : {3u, 4u, 5u}) {
      bus.write_address(0x80000004 | device << 11);
      bus.write_data(0, 5, 2);
    }
  }
  VirtioSurroundings around() { return {&memory, &disk, &source, &line, now}; }
  void write(unsigned device, unsigned offset, std::uint32_t value, unsigned size) {
    functions.write(bus, {pci_place(device), static_cast<std::uint16_t>(offset)}, value, size,
                    around());
  }
  // A queue at a page below memory's end, and a driver that is up.
  void bring_up(unsigned device, Input& in) {
    const std::uint32_t features = in.next();
    write(device, 18, 0, 1);
    write(device, 4, features << 24, 4);
    for (unsigned queue = 0; queue < 2; ++queue) {
      write(device, 14, queue, 2);
      write(device, 8, in.next() % 16, 4);
    }
    write(device, 18, 7, 1);
  }

  void step(Input& in) {
    const std::uint32_t what = in.next();
    const unsigned device = 3 + what / 8 % 3;
    const unsigned size = 1u << what / 32 % 3;
    switch (what % 8) {
      case 0:
        return bring_up(device, in);
      case 1:
        return write(device, 16, in.next() % 4, 2);
      case 2:
        return write(device, in.next() % 61, in.next(size), size);
      case 3:
        functions.read(bus, {pci_place(device), static_cast<std::uint16_t>(in.next() % 61)}, size,
                       around());
        return;
      case 4:
        now += std::uint64_t{in.next(2)} << 8;
        return functions.advance(bus, around());
      case 5:
        if (functions.can_receive(memory)) functions.receive(bus, 'x', memory);
        return;
      default: {  // some words of memory: rings and descriptors
        std::uint32_t at = in.next(2) * 2;
        for (unsigned count = in.next() % 32; count != 0; --count, at += 2) {
          const auto value = static_cast<std::uint16_t>(in.next(1 + what / 64 % 2));
          memory.write(GuestPhysical(at), std::as_bytes(std::span(&value, 1)));
        }
      }
    }
  }

  PciBus bus;
  VirtioFunctions functions;
  Memory memory;
  Disk disk;
  Source source;
  Line line;
  std::uint64_t now = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  const auto machine = std::make_unique<Machine>();
  for (unsigned steps = 0; !in.empty() && steps < 1000; ++steps) {
    machine->memory.accesses = 0;
    const unsigned sent = machine->line.count;
    machine->step(in);
    require(machine->memory.accesses < most_accesses);
    require(machine->line.count - sent <= VirtioConsole::most_sent_bytes);
  }
  return 0;
}
