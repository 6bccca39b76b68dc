#include "virtio_functions.hpp"

namespace undercroft {
namespace {

constexpr std::uint16_t virtio_vendor = 0x1af4;
// Where the firmware puts the I/O ranges, one behind the other in the order of places.
constexpr std::uint16_t first_io_address = 0xc040;

// The numbers of a transitional function: PCI device and subsystem (the virtio device type).
struct Kind {
  std::uint16_t device;
  std::uint16_t type;
  std::uint32_t class_code;
};
constexpr Kind entropy_kind{0x1005, 4, 0x00ff00};
constexpr Kind console_kind{0x1003, 3, 0x078000};
constexpr Kind block_kind{0x1001, 2, 0x010000};

void add(PciBus& bus, PciPlace place, const Kind& kind) {
  const unsigned number = (place >> 3) - (VirtioFunctions::entropy_place >> 3);
  bus.add({.place = place,
           .vendor = virtio_vendor,
           .device = kind.device,
           .class_code = kind.class_code,
           .subsystem_vendor = virtio_vendor,
           .subsystem = kind.type,
           .io_bar = 0,
           .io_size = VirtioRegisters::io_bytes,
           .io_address =
               static_cast<std::uint16_t>(first_io_address + number * VirtioRegisters::io_bytes),
           .interrupt = true});
}

}  // namespace

void VirtioFunctions::add_fixed(PciBus& bus) {
  add(bus, entropy_place, entropy_kind);
  add(bus, console_place, console_kind);
}

bool VirtioFunctions::add_blocks(PciBus& bus, const DiskPort& disks) {
  for (unsigned disk = 0; disk < disks.disk_count(); ++disk) {
    if (disks.disk(disk).kind != DiskKind::virtio) continue;
    if (block_count_ == max_blocks) return false;
    const unsigned place = first_block_place + pci_place(block_count_);
    add(bus, static_cast<PciPlace>(place), block_kind);
    blocks_[block_count_++] = VirtioBlock(disk);
  }
  return true;
}

bool VirtioFunctions::has(PciPlace place) const {
  return place == entropy_place || place == console_place ||
         (place >= first_block_place && block_of(place) < block_count_ && (place & 7) == 0);
}

std::uint32_t VirtioFunctions::read(PciBus& bus, const PciPort& port, unsigned size,
                                    const VirtioSurroundings& around) {
  std::uint32_t value = ~0u;
  if (port.place == entropy_place) {
    value = entropy_.read(port.offset, size);
  } else if (port.place == console_place) {
    value = console_.read(port.offset, size);
  } else if (around.disks != nullptr) {
    value = blocks_[block_of(port.place)].read(port.offset, size, *around.disks);
  }
  show_interrupt(bus, port.place);
  return value;
}

void VirtioFunctions::write(PciBus& bus, const PciPort& port, std::uint32_t value, unsigned size,
                            const VirtioSurroundings& around) {
  if (around.memory == nullptr) return;
  DmaMemory& memory = *around.memory;
  const bool master = bus.may_master(port.place);
  if (port.place == entropy_place) {
    if (around.entropy != nullptr) {
      entropy_.write(port.offset, value, size, *around.entropy, memory, master);
    }
  } else if (port.place == console_place) {
    if (around.line != nullptr) {
      console_.write(port.offset, value, size, around.now, *around.line, memory, master);
    }
  } else if (around.disks != nullptr) {
    blocks_[block_of(port.place)].write(port.offset, value, size, *around.disks, memory, master);
  }
  show_interrupt(bus, port.place);
}

void VirtioFunctions::receive(PciBus& bus, std::uint8_t byte, DmaMemory& memory) {
  console_.receive(byte, memory);
  show_interrupt(bus, console_place);
}

void VirtioFunctions::advance(PciBus& bus, const VirtioSurroundings& around) {
  if (around.now < console_.next_deadline() || around.memory == nullptr || around.line == nullptr) {
    return;
  }
  console_.advance(around.now, *around.line, *around.memory, bus.may_master(console_place));
  show_interrupt(bus, console_place);
}

void VirtioFunctions::show_interrupt(PciBus& bus, PciPlace place) const {
  bool requested = false;
  if (place == entropy_place) {
    requested = entropy_.interrupt();
  } else if (place == console_place) {
    requested = console_.interrupt();
  } else {
    requested = blocks_[block_of(place)].interrupt();
  }
  bus.set_interrupt(place, requested);
}

}  // namespace undercroft
