// One queue between a guest's driver and a virtio device, in the legacy layout: descriptors, ring
// of what the driver offers, ring of what the device has used, in guest memory. It knows the rings
// and how a chain of descriptors is made; what a chain means is the device's business. Source:
// Virtual I/O Device (VIRTIO) 1.0, sections 2.4 and 2.4.2 (legacy).
//
// Everything in the rings is the guest's word. A queue whose driver breaks the rules is not served
// any more until it is reset; a call never looks at more than a queue's worth of descriptors.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "../address.hpp"
#include "device_ports.hpp"

namespace undercroft {

// The buffers of one request, in order: those that the device reads, then those that it writes.
class VirtioChain {
 public:
  static constexpr unsigned max_buffers = 128;

  void begin(std::uint16_t head) { *this = VirtioChain(head); }
  // False: over max_buffers, a readable one behind a writable one, or not below 4 GB.
  bool add(std::uint64_t address, std::uint32_t bytes, bool device_writes);

  std::uint16_t head() const { return head_; }
  std::uint64_t readable_bytes() const { return readable_bytes_; }
  std::uint64_t writable_bytes() const { return writable_bytes_; }

  // Bytes at `offset` of the readable ones, or of the writable ones, taken as one run each. False:
  // they are not all in the chain, or not all in guest memory.
  bool read(DmaMemory&, std::uint64_t offset, std::span<std::byte> out) const;
  bool write(DmaMemory&, std::uint64_t offset, std::span<const std::byte>) const;

 private:
  struct Buffer {
    GuestPhysical address{};
    std::uint32_t bytes = 0;
  };
  explicit VirtioChain(std::uint16_t head) : head_(head) {}
  template <class Byte, class Move>
  static bool transfer(std::span<const Buffer>, std::uint64_t offset, std::span<Byte>, Move);

 public:
  VirtioChain() = default;

 private:
  std::array<Buffer, max_buffers> buffers_;  // the first count_ are set
  std::uint64_t readable_bytes_ = 0, writable_bytes_ = 0;
  std::uint8_t readable_ = 0, count_ = 0;
  std::uint16_t head_ = 0;
};

class Virtqueue {
 public:
  static constexpr std::uint64_t feature_indirect = 1u << 28;
  static constexpr std::uint64_t feature_event_index = 1u << 29;

  enum class Next : std::uint8_t {
    nothing,  // the driver offers no request
    chain,
    broken,  // the driver broke the rules: the queue is dead until the device is reset
  };

  Virtqueue() = default;
  // size: how many descriptors, a power of two up to VirtioChain::max_buffers.
  constexpr explicit Virtqueue(std::uint16_t size) : size_(size) {}

  void reset() { *this = Virtqueue(size_); }
  std::uint16_t size() const { return size_; }
  // Where the queue lies, in pages of 4 KB; 0: nowhere.
  std::uint32_t page() const { return page_; }
  void set_page(std::uint32_t page);
  void set_features(std::uint32_t accepted) { features_ = accepted; }

  // The next request; it stays the next one until it is used.
  Next peek(DmaMemory&, VirtioChain& out);
  // Hands the chain that peek gave back to the driver; `written` of its bytes have been written.
  void use(DmaMemory&, const VirtioChain&, std::uint32_t written);
  void give_up() { broken_ = true; }
  // To be asked once after a run of `use`: whether the driver wants to be interrupted for it.
  bool wants_interrupt(DmaMemory&);

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags, next;
  };
  static_assert(sizeof(Descriptor) == 16);

  GuestPhysical base() const { return GuestPhysical::of_page(page_); }
  GuestPhysical available() const { return base() + 16u * size_; }
  GuestPhysical used() const { return (available() + 6u + 2u * size_ + page_mask).page(); }
  std::uint32_t bytes() const { return (used() - base()) + 6u + 8u * size_; }
  bool collect(DmaMemory&, VirtioChain&, std::uint16_t head) const;
  bool collect_table(DmaMemory&, VirtioChain&, GuestPhysical table, std::uint32_t count,
                     std::uint16_t first, bool indirect_allowed) const;
  bool collect_indirect(DmaMemory&, VirtioChain&, const Descriptor&) const;
  bool event_index() const { return (features_ & feature_event_index) != 0; }

  std::uint16_t size_ = 0;
  std::uint32_t page_ = 0;
  std::uint32_t features_ = 0;
  std::uint16_t next_available_ = 0;  // index of the next chain to take, running freely
  std::uint16_t next_used_ = 0;
  std::uint16_t last_told_ = 0;  // next_used_ when wants_interrupt was last asked
  bool broken_ = false;
};

}  // namespace undercroft
