#include "virtio_entropy.hpp"

#include <algorithm>
#include <array>

namespace undercroft {
namespace {

constexpr std::uint32_t piece_bytes = 256;
// The time between samples is what is hard to foretell, so many small ones are worth more.
constexpr unsigned samples_of_request = 8;
constexpr unsigned most_samples_of_a_key = 16384;  // some 20 ms

}  // namespace

VirtioEntropy::VirtioEntropy() : registers_(0, queue_size, 1) {}

std::uint32_t VirtioEntropy::read(unsigned offset, unsigned size) {
  return registers_.read(offset, size, {});
}

void VirtioEntropy::write(unsigned offset, std::uint32_t value, unsigned size,
                          EntropySource& source, DmaMemory& memory, bool may_access) {
  const auto told = registers_.write(offset, value, size);
  if (told && may_access) serve(source, memory);
}

// A whole key's worth before the first answer; what comes later is on top.
void VirtioEntropy::mix_in(EntropySource& source) {
  unsigned samples = samples_of_request;
  if (!has_key_) samples = std::clamp(source.samples_of_a_key(), samples, most_samples_of_a_key);
  has_key_ = true;
  for (unsigned i = 0; i < samples; ++i) pool_.add(source.sample());
}

void VirtioEntropy::serve(EntropySource& source, DmaMemory& memory) {
  Virtqueue& queue = registers_.queue(0);
  VirtioChain chain;
  for (unsigned i = 0; i <= queue_size; ++i) {
    if (queue.peek(memory, chain) != Virtqueue::Next::chain) break;
    mix_in(source);
    const auto wanted = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(chain.writable_bytes(), most_request_bytes));
    std::array<std::byte, piece_bytes> bytes;
    std::uint32_t done = 0;
    while (done < wanted) {
      const auto piece = std::span(bytes).first(std::min(wanted - done, piece_bytes));
      pool_.take(piece);
      if (!chain.write(memory, done, piece)) break;
      done += static_cast<std::uint32_t>(piece.size());
    }
    queue.use(memory, chain, done);
  }
  registers_.tell_used(memory, 0);
}

}  // namespace undercroft
