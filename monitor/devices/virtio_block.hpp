// A virtio block device: one queue of requests over one disk. A request is done at once when the
// driver tells of it. Source: VIRTIO 1.0, section 5.2, legacy interface.
#pragma once

#include <array>
#include <cstdint>

#include "device_ports.hpp"
#include "virtio_registers.hpp"

namespace undercroft {

class VirtioBlock {
 public:
  static constexpr unsigned queue_size = 128;
  // The driver is told to keep to so many buffers (beside header and status) of so many bytes.
  static constexpr std::uint32_t most_segments = queue_size - 2;
  static constexpr std::uint32_t most_segment_bytes = 16384;
  // A longer request is an I/O error: it would hold the machine too long.
  static constexpr std::uint32_t most_request_bytes = most_segments * most_segment_bytes;

  // number: of the disk at the DiskPort.
  explicit VirtioBlock(unsigned number);
  VirtioBlock() : VirtioBlock(0) {}

  // The I/O range. size is 1, 2 or 4.
  std::uint32_t read(unsigned offset, unsigned size, const DiskPort&);
  // may_access: whether the function may read and write memory (PCI command register).
  void write(unsigned offset, std::uint32_t value, unsigned size, DiskPort&, DmaMemory&,
             bool may_access);
  bool interrupt() const { return registers_.interrupt(); }

 private:
  enum class Status : std::uint8_t { ok = 0, io_error = 1, unsupported = 2 };

  void serve(DiskPort&, DmaMemory&);
  bool perform(const VirtioChain&, DiskPort&, DmaMemory&, std::uint32_t& written) const;
  Status move(const VirtioChain&, DiskPort&, DmaMemory&, bool to_guest, std::uint64_t sector) const;
  Status identify(const VirtioChain&, DmaMemory&) const;

  VirtioRegisters registers_;
  std::uint8_t number_;
};

}  // namespace undercroft
