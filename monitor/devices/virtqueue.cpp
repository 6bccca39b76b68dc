#include "virtqueue.hpp"

#include <algorithm>

namespace undercroft {
namespace {

// Descriptor flags (2.4.5), ring flags (2.4.6).
constexpr std::uint16_t flag_next = 1;
constexpr std::uint16_t flag_write = 2;
constexpr std::uint16_t flag_indirect = 4;
constexpr std::uint16_t no_interrupt = 1;

template <class Value>
bool load(DmaMemory& memory, GuestPhysical address, Value& out) {
  return memory.read(address, std::as_writable_bytes(std::span(&out, 1)));
}
template <class Value>
void store(DmaMemory& memory, GuestPhysical address, const Value& value) {
  memory.write(address, std::as_bytes(std::span(&value, 1)));
}

}  // namespace

bool VirtioChain::add(std::uint64_t address, std::uint32_t bytes, bool device_writes) {
  const bool out_of_order = !device_writes && readable_ != count_;
  if (count_ == max_buffers || out_of_order || address + bytes > 1ull << 32 || address >> 32) {
    return false;
  }
  buffers_[count_++] = {GuestPhysical(static_cast<std::uint32_t>(address)), bytes};
  if (!device_writes) readable_ = count_;
  (device_writes ? writable_bytes_ : readable_bytes_) += bytes;
  return true;
}

template <class Byte, class Move>
bool VirtioChain::transfer(std::span<const Buffer> buffers, std::uint64_t offset,
                           std::span<Byte> bytes, Move move) {
  for (const Buffer& buffer : buffers) {
    if (bytes.empty()) return true;
    if (offset >= buffer.bytes) {
      offset -= buffer.bytes;
      continue;
    }
    const auto skipped = static_cast<std::uint32_t>(offset);
    const std::size_t piece = std::min<std::size_t>(bytes.size(), buffer.bytes - skipped);
    if (!move(buffer.address + skipped, bytes.first(piece))) return false;
    bytes = bytes.subspan(piece);
    offset = 0;
  }
  return bytes.empty();
}

bool VirtioChain::read(DmaMemory& memory, std::uint64_t offset, std::span<std::byte> out) const {
  return transfer(
      std::span(buffers_).first(readable_), offset, out,
      [&](GuestPhysical at, std::span<std::byte> piece) { return memory.read(at, piece); });
}

bool VirtioChain::write(DmaMemory& memory, std::uint64_t offset,
                        std::span<const std::byte> in) const {
  return transfer(
      std::span(buffers_).first(count_).subspan(readable_), offset, in,
      [&](GuestPhysical at, std::span<const std::byte> piece) { return memory.write(at, piece); });
}

// Writing the address of a queue starts it anew; address 0 takes it away.
void Virtqueue::set_page(std::uint32_t page) {
  const std::uint32_t accepted = features_;
  reset();
  page_ = page;
  features_ = accepted;
  // Its end has to be below 4 GB, where guest memory ends.
  broken_ = page >> 20 != 0 || (std::uint64_t{page} * page_size + bytes()) >> 32 != 0;
}

Virtqueue::Next Virtqueue::peek(DmaMemory& memory, VirtioChain& out) {
  if (broken_) return Next::broken;
  if (page_ == 0) return Next::nothing;
  std::uint16_t offered = 0, head = 0;
  broken_ = !load(memory, available() + 2, offered);
  const auto waiting = static_cast<std::uint16_t>(offered - next_available_);
  if (broken_ || waiting > size_) {
    broken_ = true;
    return Next::broken;
  }
  if (waiting == 0) {
    // From here on the driver has to tell when it offers more.
    if (event_index()) store(memory, used() + 4 + 8u * size_, next_available_);
    return Next::nothing;
  }
  const std::uint32_t slot = next_available_ % size_;
  broken_ = !load(memory, available() + 4 + 2 * slot, head) || !collect(memory, out, head);
  return broken_ ? Next::broken : Next::chain;
}

bool Virtqueue::collect(DmaMemory& memory, VirtioChain& chain, std::uint16_t head) const {
  chain.begin(head);
  return collect_table(memory, chain, base(), size_, head, (features_ & feature_indirect) != 0);
}

// The chain that begins at `first` in a table of `count` descriptors. A chain that goes round is
// longer than the table.
bool Virtqueue::collect_table(DmaMemory& memory, VirtioChain& chain, GuestPhysical table,
                              std::uint32_t count, std::uint16_t first,
                              bool indirect_allowed) const {
  std::uint16_t index = first;
  for (std::uint32_t seen = 0; seen < count; ++seen) {
    Descriptor descriptor{};
    if (index >= count || !load(memory, table + 16u * index, descriptor)) return false;
    const bool more = (descriptor.flags & flag_next) != 0;
    if (descriptor.flags & flag_indirect) {
      return indirect_allowed && !more && collect_indirect(memory, chain, descriptor);
    }
    if (!chain.add(descriptor.address, descriptor.bytes, (descriptor.flags & flag_write) != 0)) {
      return false;
    }
    if (!more) return true;
    index = descriptor.next;
  }
  return false;
}

bool Virtqueue::collect_indirect(DmaMemory& memory, VirtioChain& chain,
                                 const Descriptor& table) const {
  const std::uint32_t count = table.bytes / sizeof(Descriptor);
  const bool whole = table.bytes % sizeof(Descriptor) == 0 && count != 0;
  if (!whole || (table.address + table.bytes) >> 32 != 0 || table.address >> 32 != 0) return false;
  // No more can be part of a chain, since an index has 16 bits and a chain its own limit.
  const std::uint32_t reached = std::min<std::uint32_t>(count, 0x10000);
  return collect_table(memory, chain, GuestPhysical(static_cast<std::uint32_t>(table.address)),
                       reached, 0, false);
}

void Virtqueue::use(DmaMemory& memory, const VirtioChain& chain, std::uint32_t written) {
  const std::uint32_t element[2] = {chain.head(), written};
  store(memory, used() + 4 + 8u * (next_used_ % size_), element);
  ++next_available_;
  store(memory, used() + 2, ++next_used_);
}

bool Virtqueue::wants_interrupt(DmaMemory& memory) {
  const std::uint16_t before = last_told_;
  last_told_ = next_used_;
  const auto done = static_cast<std::uint16_t>(next_used_ - before);
  if (done == 0) return false;
  std::uint16_t word = 0;
  if (!event_index()) return load(memory, available(), word) && (word & no_interrupt) == 0;
  // The driver names the index whose use it wants to hear of (2.4.7.2).
  if (!load(memory, available() + 4 + 2u * size_, word)) return false;
  return static_cast<std::uint16_t>(next_used_ - word - 1) < done;
}

}  // namespace undercroft
