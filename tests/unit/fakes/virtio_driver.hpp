// A driver's half of a virtqueue for tests: guest memory as an array, which notices accesses beyond
// its end, and rings that are written there as VIRTIO 1.0, section 2.4, lays them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "monitor/devices/device_ports.hpp"
#include "monitor/ports.hpp"

namespace undercroft::test {

class FlatDma final : public DmaMemory {
 public:
  explicit FlatDma(std::size_t bytes = 1u << 20) : bytes_(bytes) {}

  bool read(GuestPhysical at, std::span<std::byte> out) override {
    ++accesses;
    if (!inside(at, out.size())) return false;
    std::memcpy(out.data(), bytes_.data() + at.value(), out.size());
    return true;
  }
  bool write(GuestPhysical at, std::span<const std::byte> in) override {
    ++accesses;
    if (!inside(at, in.size())) return false;
    std::memcpy(bytes_.data() + at.value(), in.data(), in.size());
    return true;
  }
  template <class T>
  T get(std::uint32_t at) const {
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  template <class T>
  void set(std::uint32_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  unsigned accesses = 0;

 private:
  bool inside(GuestPhysical at, std::size_t size) const {
    return at.value() <= bytes_.size() && size <= bytes_.size() - at.value();
  }
  std::vector<std::byte> bytes_;
};

struct FakeBuffer {
  std::uint64_t address;
  std::uint32_t bytes;
  bool device_writes = false;
};

class FakeDriver {
 public:
  static constexpr std::uint16_t next = 1, write = 2, indirect = 4;

  FakeDriver(FlatDma& dma, std::uint32_t page, std::uint16_t size)
      : memory(dma),
        descriptors(page * 4096),
        available(descriptors + 16u * size),
        used((available + 6u + 2u * size + 4095) & ~4095u),
        size_(size) {}

  void set_descriptor(std::uint32_t table, unsigned index, std::uint64_t address,
                      std::uint32_t bytes, std::uint16_t flags, std::uint16_t following) {
    const std::uint32_t at = table + 16 * index;
    memory.set<std::uint64_t>(at, address);
    memory.set<std::uint32_t>(at + 8, bytes);
    memory.set<std::uint16_t>(at + 12, flags);
    memory.set<std::uint16_t>(at + 14, following);
  }
  // A chain of descriptors from `first` on.
  void set_chain(std::uint32_t table, unsigned first, const std::vector<FakeBuffer>& buffers) {
    for (unsigned i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const auto flags =
          static_cast<std::uint16_t>((last ? 0 : next) | (buffers[i].device_writes ? write : 0));
      set_descriptor(table, first + i, buffers[i].address, buffers[i].bytes, flags,
                     static_cast<std::uint16_t>(last ? 0 : first + i + 1));
    }
  }
  void offer(std::uint16_t head) {
    const auto index = memory.get<std::uint16_t>(available + 2);
    memory.set<std::uint16_t>(available + 4 + 2u * (index % size_), head);
    memory.set<std::uint16_t>(available + 2, static_cast<std::uint16_t>(index + 1));
  }
  void offer(unsigned first, const std::vector<FakeBuffer>& buffers) {
    set_chain(descriptors, first, buffers);
    offer(static_cast<std::uint16_t>(first));
  }
  void set_offered(std::uint16_t index) { memory.set<std::uint16_t>(available + 2, index); }
  std::uint16_t used_count() const { return memory.get<std::uint16_t>(used + 2); }
  std::uint32_t used_head(unsigned n) const {
    return memory.get<std::uint32_t>(used + 4 + 8 * (n % size_));
  }
  std::uint32_t used_bytes(unsigned n) const {
    return memory.get<std::uint32_t>(used + 8 + 8 * (n % size_));
  }
  void forbid_interrupts() { memory.set<std::uint16_t>(available, 1); }
  void want_event_at(std::uint16_t index) {
    memory.set<std::uint16_t>(available + 4 + 2u * size_, index);
  }
  std::uint16_t device_event() const { return memory.get<std::uint16_t>(used + 4 + 8u * size_); }

  FlatDma& memory;
  const std::uint32_t descriptors, available, used;

 private:
  std::uint16_t size_;
};

// Brings a function with legacy registers up: write(offset, value, size) reaches them.
template <class Write>
void bring_up(Write write, std::uint32_t features, std::span<const std::uint32_t> queue_pages) {
  write(18, 0, 1);
  write(18, 3, 1);  // acknowledge, driver
  write(4, features, 4);
  for (unsigned queue = 0; queue < queue_pages.size(); ++queue) {
    write(14, queue, 2);
    write(8, queue_pages[queue], 4);
  }
  write(18, 7, 1);  // and driver OK
}

}  // namespace undercroft::test
