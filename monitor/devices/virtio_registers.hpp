// The registers that all virtio functions on the PCI bus have in common, in the legacy form: the
// I/O range of base address register 0. It knows features, queues, status and the interrupt status;
// the bytes of the device's own configuration come from the device. MSI-X is not offered. Source:
// VIRTIO 1.0, section 4.1.4.8.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "virtqueue.hpp"

namespace undercroft {

class VirtioRegisters {
 public:
  static constexpr unsigned io_bytes = 64;
  static constexpr unsigned max_queues = 2;

  // features: what the device offers beside indirect descriptors, event index and any layout.
  VirtioRegisters() = default;
  constexpr VirtioRegisters(std::uint32_t features, std::uint16_t queue_size, unsigned queues)
      : offered_(features | Virtqueue::feature_indirect | Virtqueue::feature_event_index |
                 any_layout),
        count_(static_cast<std::uint8_t>(queues)) {
    for (unsigned i = 0; i < queues; ++i) queues_[i] = Virtqueue(queue_size);
  }

  // offset 0 to 63; size 1, 2 or 4. A read of the interrupt status clears it. `own` is the device's
  // configuration.
  std::uint32_t read(unsigned offset, unsigned size, std::span<const std::uint8_t> own);
  // The number of the queue that the driver tells of, if it does and the device is running.
  std::optional<unsigned> write(unsigned offset, std::uint32_t value, unsigned size);

  // The driver is done with setting up.
  bool running() const { return (status_ & status_driver_ok) != 0; }
  Virtqueue& queue(unsigned number) { return queues_[number]; }
  std::uint32_t features() const { return accepted_; }

  // Sets the interrupt status if the driver wants to hear of what the queue has used.
  void tell_used(DmaMemory&, unsigned number);
  bool interrupt() const { return interrupt_status_ != 0; }

 private:
  static constexpr std::uint32_t any_layout = 1u << 27;
  static constexpr std::uint8_t status_driver_ok = 4;

  std::uint32_t value_of(unsigned offset) const;
  void write_status(std::uint8_t);

  std::uint32_t offered_ = 0;
  std::uint32_t accepted_ = 0;
  std::uint16_t selected_ = 0;
  std::uint8_t status_ = 0;
  std::uint8_t interrupt_status_ = 0;
  std::uint8_t count_ = 0;
  std::array<Virtqueue, max_queues> queues_{};
};

}  // namespace undercroft
