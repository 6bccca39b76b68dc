// The machine's memory for tests: a sparse file, and mapping slots that are real mappings of it, so
// that a pointer which outlives its slot sees another frame, as it would on the machine.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "monitor/address.hpp"
#include "monitor/memory/frame_pool.hpp"
#include "monitor/memory/frame_table.hpp"
#include "monitor/memory/guest_memory.hpp"
#include "monitor/memory/mapping_slots.hpp"

namespace undercroft::test {

class MachineMemory final : public SlotPort {
 public:
  explicit MachineMemory(std::uint64_t bytes = 64ull << 20)
      : file_(memfd_create("machine", 0)),
        first_(static_cast<std::byte*>(mmap(nullptr, mapping_slot_count * page_size, PROT_NONE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))),
        slots(first_, *this) {
    if (file_ < 0 || first_ == MAP_FAILED || ftruncate64(file_, static_cast<off64_t>(bytes)) != 0)
      std::abort();
  }
  ~MachineMemory() {
    munmap(first_, mapping_slot_count * page_size);
    close(file_);
  }
  MachineMemory(const MachineMemory&) = delete;

  void point(unsigned slot, HostPhysical frame) override {
    ++points;
    if (mmap64(first_ + slot * page_size, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
               file_, frame.page().value()) == MAP_FAILED)
      std::abort();
  }

  // The machine's memory without any slot.
  std::uint32_t word(HostPhysical address) const {
    std::uint32_t value = 0;
    if (pread64(file_, &value, sizeof value, address.value()) != sizeof value) std::abort();
    return value;
  }
  void set_word(HostPhysical address, std::uint32_t value) {
    if (pwrite64(file_, &value, sizeof value, address.value()) != sizeof value) std::abort();
  }
  // A range of it as one run of addresses, as the window shows the translation cache. It stays.
  std::byte* view(HostPhysical start, std::uint32_t bytes, int protection, void* place = nullptr) {
    const int flags = MAP_SHARED | (place ? MAP_FIXED_NOREPLACE : 0);
    void* const at = mmap64(place, bytes, protection, flags, file_, start.value());
    if (at == MAP_FAILED) std::abort();
    return static_cast<std::byte*>(at);
  }

 private:
  int file_;
  std::byte* first_;

 public:
  unsigned points = 0;  // how often a slot was repointed
  MappingSlots slots;
};

// Device registers that keep what is written and remember the accesses.
class FakeDevices final : public PhysicalDevices {
 public:
  struct Access {
    std::uint32_t address, value;
    unsigned size;
    bool write;
    bool operator==(const Access&) const = default;
  };
  std::uint32_t read(GuestPhysical address, unsigned size) override {
    note({address.value(), answer, size, false});
    return answer;
  }
  void write(GuestPhysical address, std::uint32_t value, unsigned size) override {
    note({address.value(), value, size, true});
  }
  void note(Access access) { accesses[count++ % accesses.size()] = access; }

  std::uint32_t answer = 0x12345678;
  std::array<Access, 16> accesses{};
  unsigned count = 0;
};

// A guest's memory on a machine: RAM from 0 to ram_bytes, at machine frames in another order.
class GuestMachine {
 public:
  explicit GuestMachine(std::uint32_t ram_bytes = 8u << 20) : pool(machine.slots) {
    pool.add_range(HostPhysical(0x100000), 48u << 20);
    pool.allocate();  // so that no guest frame stands at its own address
    for (std::uint32_t address = 0; address < ram_bytes; address += page_size) {
      const auto frame = pool.allocate_zeroed();
      if (!frame || !table.set_frame(GuestPhysical(address), FrameKind::ram, *frame)) std::abort();
    }
  }

  MachineMemory machine;
  FramePool pool;
  FrameTable table{machine.slots, pool};
  FakeDevices devices;
  ZeroFrames zero_frames{pool, table};
  GuestMemory memory{machine.slots, table, devices, zero_frames};
};

}  // namespace undercroft::test
