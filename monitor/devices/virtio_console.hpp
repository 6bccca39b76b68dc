// A virtio console with one port: queue 0 takes input for the guest, queue 1 its output. Several
// ports and the emergency write are not offered. Output goes on piece by piece, so that a guest
// with much to say cannot hold the machine. Source: VIRTIO 1.0, section 5.3.
#pragma once

#include <cstdint>

#include "device_ports.hpp"
#include "virtio_registers.hpp"

namespace undercroft {

class VirtioConsole {
 public:
  static constexpr unsigned queue_size = 64;
  // What is sent before the machine has its turn again, and when the rest goes on.
  static constexpr std::uint32_t most_sent_bytes = 1024;
  static constexpr std::uint64_t pause_nanoseconds = 1000000;

  VirtioConsole();

  std::uint32_t read(unsigned offset, unsigned size);
  // now: in nanoseconds.
  void write(unsigned offset, std::uint32_t value, unsigned size, std::uint64_t now, CharacterSink&,
             DmaMemory&, bool may_access);
  bool interrupt() const { return registers_.interrupt(); }

  // Whether the driver is up and has ever offered a buffer for input: then input is for it, and
  // waits for the next one.
  bool listens(DmaMemory&);
  // Whether there is such a buffer now; then receive puts the byte there.
  bool can_receive(DmaMemory&);
  void receive(std::uint8_t byte, DmaMemory&);

  // Sends what is due to be sent.
  void advance(std::uint64_t now, CharacterSink&, DmaMemory&, bool may_access);
  std::uint64_t next_deadline() const { return goes_on_at_; }

 private:
  void transmit(std::uint64_t now, CharacterSink&, DmaMemory&);

  VirtioRegisters registers_;
  bool has_offered_ = false;  // the driver, a buffer for input
  std::uint64_t sent_ = 0;    // bytes of the chain under way
  std::uint64_t goes_on_at_ = no_deadline;
};

}  // namespace undercroft
