// The PC's virtio functions together: an entropy device, a console, and a block device for each
// disk of kind virtio. It knows their places on the PCI bus and hands accesses on; what is wired to
// them is the PC's business. Sources: VIRTIO 1.0, section 4.1.2.1 (transitional device numbers);
// the legacy interface alone is offered.
#pragma once

#include <array>
#include <cstdint>

#include "../ports.hpp"
#include "device_ports.hpp"
#include "pci_bus.hpp"
#include "virtio_block.hpp"
#include "virtio_console.hpp"
#include "virtio_entropy.hpp"

namespace undercroft {

// What the functions reach. Any of them may be missing: nothing is served then that needs it.
struct VirtioSurroundings {
  DmaMemory* memory = nullptr;
  DiskPort* disks = nullptr;
  EntropySource* entropy = nullptr;
  CharacterSink* line = nullptr;
  std::uint64_t now = 0;
};

class VirtioFunctions {
 public:
  static constexpr PciPlace entropy_place = pci_place(3);
  static constexpr PciPlace console_place = pci_place(4);
  static constexpr PciPlace first_block_place = pci_place(5);
  static constexpr unsigned max_blocks = 4;

  // Puts the functions on the bus: those that are always there, and a block device for each disk of
  // kind virtio, in order. False: there are more than max_blocks.
  static void add_fixed(PciBus&);
  bool add_blocks(PciBus&, const DiskPort&);

  // Whether the place is that of a function here. Only then:
  bool has(PciPlace) const;
  std::uint32_t read(PciBus&, const PciPort&, unsigned size, const VirtioSurroundings&);
  void write(PciBus&, const PciPort&, std::uint32_t value, unsigned size,
             const VirtioSurroundings&);

  // Input for the console; receive only if it can.
  bool listens(DmaMemory& memory) { return console_.listens(memory); }
  bool can_receive(DmaMemory& memory) { return console_.can_receive(memory); }
  void receive(PciBus&, std::uint8_t byte, DmaMemory&);

  std::uint64_t next_deadline() const { return console_.next_deadline(); }
  void advance(PciBus&, const VirtioSurroundings&);

 private:
  static unsigned block_of(PciPlace place) { return (place >> 3) - (first_block_place >> 3); }
  void show_interrupt(PciBus&, PciPlace) const;

  VirtioEntropy entropy_{};
  VirtioConsole console_{};
  std::array<VirtioBlock, max_blocks> blocks_{};
  std::uint8_t block_count_ = 0;
};

}  // namespace undercroft
