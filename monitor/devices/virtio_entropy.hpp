// A virtio entropy device: one queue of buffers, which it fills with random bytes at once. Source:
// VIRTIO 1.0, section 5.4.
#pragma once

#include "../ports.hpp"
#include "device_ports.hpp"
#include "entropy_pool.hpp"
#include "virtio_registers.hpp"

namespace undercroft {

class VirtioEntropy {
 public:
  static constexpr unsigned queue_size = 8;
  // Of each request; the driver is told how much it got.
  static constexpr std::uint32_t most_request_bytes = 4096;

  VirtioEntropy();

  std::uint32_t read(unsigned offset, unsigned size);
  void write(unsigned offset, std::uint32_t value, unsigned size, EntropySource&, DmaMemory&,
             bool may_access);
  bool interrupt() const { return registers_.interrupt(); }

 private:
  void serve(EntropySource&, DmaMemory&);
  void mix_in(EntropySource&);

  VirtioRegisters registers_;
  EntropyPool pool_{};
  bool has_key_ = false;  // worth its name, as far as the source has one
};

}  // namespace undercroft
