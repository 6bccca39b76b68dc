#include "virtio_console.hpp"

#include <algorithm>
#include <array>

namespace undercroft {
namespace {

constexpr unsigned receive_queue = 0;
constexpr unsigned transmit_queue = 1;
constexpr std::uint32_t piece_bytes = 64;

}  // namespace

VirtioConsole::VirtioConsole() : registers_(0, queue_size, 2) {}

std::uint32_t VirtioConsole::read(unsigned offset, unsigned size) {
  return registers_.read(offset, size, {});
}

void VirtioConsole::write(unsigned offset, std::uint32_t value, unsigned size, std::uint64_t now,
                          CharacterSink& sink, DmaMemory& memory, bool may_access) {
  const auto told = registers_.write(offset, value, size);
  if (!registers_.running()) {
    sent_ = 0;
    goes_on_at_ = no_deadline;
    has_offered_ = false;
  }
  // Output that waits for its turn goes on then, whatever the driver tells.
  if (told == transmit_queue && may_access && goes_on_at_ == no_deadline) {
    transmit(now, sink, memory);
  }
}

void VirtioConsole::transmit(std::uint64_t now, CharacterSink& sink, DmaMemory& memory) {
  Virtqueue& queue = registers_.queue(transmit_queue);
  VirtioChain chain;
  std::uint32_t room = most_sent_bytes;
  goes_on_at_ = no_deadline;
  for (unsigned i = 0; i <= queue_size; ++i) {
    if (queue.peek(memory, chain) != Virtqueue::Next::chain) break;
    bool answered = true;
    while (answered && room != 0 && sent_ < chain.readable_bytes()) {
      std::array<std::byte, piece_bytes> bytes;
      const std::uint64_t left = std::min<std::uint64_t>(chain.readable_bytes() - sent_, room);
      const auto piece = std::span(bytes).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_bytes)));
      answered = chain.read(memory, sent_, piece);
      for (const std::byte byte : piece) {
        if (answered) sink.put(static_cast<std::uint8_t>(byte));
      }
      sent_ += piece.size();
      room -= static_cast<std::uint32_t>(piece.size());
    }
    if (answered && sent_ < chain.readable_bytes()) {
      goes_on_at_ = now + pause_nanoseconds;
      break;
    }
    sent_ = 0;
    queue.use(memory, chain, 0);
  }
  registers_.tell_used(memory, transmit_queue);
}

void VirtioConsole::advance(std::uint64_t now, CharacterSink& sink, DmaMemory& memory,
                            bool may_access) {
  if (now < goes_on_at_) return;
  goes_on_at_ = no_deadline;
  if (may_access) transmit(now, sink, memory);
}

bool VirtioConsole::listens(DmaMemory& memory) {
  has_offered_ = has_offered_ || can_receive(memory);
  return has_offered_;
}

bool VirtioConsole::can_receive(DmaMemory& memory) {
  VirtioChain chain;
  return registers_.running() &&
         registers_.queue(receive_queue).peek(memory, chain) == Virtqueue::Next::chain &&
         chain.writable_bytes() != 0;
}

void VirtioConsole::receive(std::uint8_t byte, DmaMemory& memory) {
  Virtqueue& queue = registers_.queue(receive_queue);
  VirtioChain chain;
  if (queue.peek(memory, chain) != Virtqueue::Next::chain) return;
  const std::byte bytes[] = {std::byte{byte}};
  const bool kept = chain.write(memory, 0, bytes);
  queue.use(memory, chain, kept ? 1 : 0);
  registers_.tell_used(memory, receive_queue);
}

}  // namespace undercroft
