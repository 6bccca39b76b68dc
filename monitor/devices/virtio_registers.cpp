#include "virtio_registers.hpp"

namespace undercroft {
namespace {

// The offset of each register.
enum Register : std::uint8_t {
  offered_features = 0,
  accepted_features = 4,
  queue_page = 8,
  queue_size = 12,
  queue_select = 14,
  queue_notify = 16,
  status = 18,
  interrupt_status = 19,
  own_configuration = 20,
};

constexpr std::uint8_t interrupt_used = 1;

}  // namespace

// The double word that starts at `offset`, a multiple of 4 below own_configuration.
std::uint32_t VirtioRegisters::value_of(unsigned offset) const {
  const Virtqueue* const queue = selected_ < count_ ? &queues_[selected_] : nullptr;
  switch (offset) {
    case offered_features:
      return offered_;
    case accepted_features:
      return accepted_;
    case queue_page:
      return queue ? queue->page() : 0;
    case queue_size:
      return (queue ? queue->size() : 0u) | std::uint32_t{selected_} << 16;
    default:  // queue_notify reads as 0
      return std::uint32_t{status_} << 16 | std::uint32_t{interrupt_status_} << 24;
  }
}

std::uint32_t VirtioRegisters::read(unsigned offset, unsigned size,
                                    std::span<const std::uint8_t> own) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned at = offset + i;
    std::uint32_t byte = 0;
    if (at < own_configuration) {
      byte = value_of(at & ~3u) >> 8 * (at & 3) & 0xff;
      if (at == interrupt_status) interrupt_status_ = 0;
    } else if (at - own_configuration < own.size()) {
      byte = own[at - own_configuration];
    }
    value |= byte << 8 * i;
  }
  return value;
}

std::optional<unsigned> VirtioRegisters::write(unsigned offset, std::uint32_t value,
                                               unsigned size) {
  // Each register is written as a whole, as the specification asks drivers to.
  if (offset == accepted_features && size == 4) {
    accepted_ = value & offered_;
    for (Virtqueue& queue : queues_) queue.set_features(accepted_);
  } else if (offset == queue_page && size == 4) {
    if (selected_ < count_) queues_[selected_].set_page(value);
  } else if (offset == queue_select && size == 2) {
    selected_ = static_cast<std::uint16_t>(value);
  } else if (offset == queue_notify && size == 2) {
    if (running() && value < count_) return value;
  } else if (offset == status && size == 1) {
    write_status(static_cast<std::uint8_t>(value));
  }
  return std::nullopt;
}

// 0 resets the device.
void VirtioRegisters::write_status(std::uint8_t value) {
  status_ = value;
  if (value != 0) return;
  accepted_ = 0;
  selected_ = 0;
  interrupt_status_ = 0;
  for (Virtqueue& queue : queues_) queue.reset();
}

void VirtioRegisters::tell_used(DmaMemory& memory, unsigned number) {
  if (queues_[number].wants_interrupt(memory)) interrupt_status_ |= interrupt_used;
}

}  // namespace undercroft
