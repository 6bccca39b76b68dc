// The PC's PCI side: which functions there are, the configuration ports, the ports whose place the
// guest chooses, and the functions' interrupt lines.
#include <cstring>

#include "pc.hpp"
#include "pci_chipset.hpp"

namespace undercroft {
namespace {

constexpr unsigned reset_control = 1;  // port 0xcf9 among those of PCI configuration
constexpr unsigned irq_ide_first = 14, irq_ide_second = 15;
constexpr unsigned configuration_data = 4;  // port 0xcfc

}  // namespace

void Pc::make_pci_bus() {
  pci_chipset::add_bridges(state_.pci);
  VirtioFunctions::add_fixed(state_.pci);
  state_.interrupts.write_edge_level(1, pci_chipset::level_lines >> 8);
}

// The address register is reached as a whole double word only; bytes among its ports belong to
// others, such as the reset control register (82441FX, 3.2.1). A double word across both registers
// comes in parts.
std::uint32_t Pc::pci_read(unsigned offset, unsigned size) {
  if (size == 1 && offset == reset_control) return state_.power.read_reset_control();
  const std::uint32_t ones = ~0u >> (32 - 8 * size);
  if (kind_ != MachineKind::pc) return ones;
  if (offset >= configuration_data) return state_.pci.read_data(offset - configuration_data, size);
  if (offset == 0 && size == 4) return state_.pci.read_address();
  std::uint32_t value = ones;
  for (unsigned i = 0; i < size; ++i) {
    if (offset + i < configuration_data) continue;
    const std::uint32_t byte = state_.pci.read_data(offset + i - configuration_data, 1);
    value = (value & ~(0xffu << 8 * i)) | byte << 8 * i;
  }
  return value;
}

void Pc::pci_write(unsigned offset, std::uint32_t value, unsigned size) {
  if (size == 1 && offset == reset_control) {
    return state_.power.write_reset_control(static_cast<std::uint8_t>(value));
  }
  if (kind_ != MachineKind::pc) return;
  if (offset >= configuration_data) {
    return state_.pci.write_data(offset - configuration_data, value, size);
  }
  if (offset == 0 && size == 4) return state_.pci.write_address(value);
  for (unsigned i = 0; i < size; ++i) {
    if (offset + i < configuration_data) continue;
    state_.pci.write_data(offset + i - configuration_data, value >> 8 * i & 0xff, 1);
  }
}

bool Pc::connect(DiskPort& disks) {
  disks_ = &disks;
  bool all = true;
  for (unsigned i = 0; i < disks.disk_count(); ++i) {
    const DiskInformation information = disks.disk(i);
    if (information.kind != DiskKind::virtio) all = state_.ide.attach(i, information) && all;
  }
  if (kind_ != MachineKind::pc) return all;
  if (state_.ide.any_drive()) pci_chipset::add_ide(state_.pci);
  return state_.virtio.add_blocks(state_.pci, disks) && all;
}

// Without PCI the channels are always there, as on a PC/AT.
std::optional<IdeController::ChannelPort> Pc::find_ide_port(std::uint16_t port,
                                                            unsigned size) const {
  if (!state_.ide.any_drive()) return std::nullopt;
  const auto found = IdeController::find_port(port, size);
  const bool answers = found && (kind_ != MachineKind::pc ||
                                 pci_chipset::ide_channel_enabled(state_.pci, found->channel));
  return answers ? found : std::nullopt;
}

IdeController::Reach Pc::ide_reach() {
  return {*disks_, state_.pci.may_master(pci_chipset::ide) ? dma_memory_ : nullptr};
}

// An edge is new even if the line was up: the drive lets it down when it takes a command.
void Pc::update_ide_line(unsigned channel) {
  const unsigned line = channel == 0 ? irq_ide_first : irq_ide_second;
  if (state_.ide.interrupt_rose(channel)) set_irq(line, false);
  set_irq(line, state_.ide.interrupt_line(channel));
}

void Pc::port_read_string(std::uint16_t port, unsigned size, std::span<std::byte> bytes) {
  if (const auto ide = find_ide_port(port, size); ide && ide->is_wide_data(size)) {
    advance(time_.now());
    state_.ide.read_data(ide->channel, size, bytes, ide_reach());
    return update_ide_line(ide->channel);
  }
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    const std::uint32_t value = port_read(port, size);
    std::memcpy(bytes.data() + at, &value, size);
  }
}

void Pc::port_write_string(std::uint16_t port, unsigned size, std::span<const std::byte> bytes) {
  if (const auto ide = find_ide_port(port, size); ide && ide->is_wide_data(size)) {
    advance(time_.now());
    state_.ide.write_data(ide->channel, size, bytes, ide_reach());
    return update_ide_line(ide->channel);
  }
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, size);
    port_write(port, value, size);
  }
}

bool Pc::placed_read(std::uint16_t port, unsigned size, std::uint32_t& value) {
  if (const auto ide = find_ide_port(port, size)) {
    value = state_.ide.read(*ide, size, ide_reach());
    update_ide_line(ide->channel);
    return true;
  }
  const auto place = state_.pci.find_port(port, size);
  if (place) value = function_read(*place, size);
  return place.has_value();
}

bool Pc::placed_write(std::uint16_t port, std::uint32_t value, unsigned size) {
  if (const auto ide = find_ide_port(port, size)) {
    state_.ide.write(*ide, value, size, ide_reach());
    update_ide_line(ide->channel);
    return true;
  }
  const auto place = state_.pci.find_port(port, size);
  if (place) function_write(*place, value, size);
  return place.has_value();
}

// By the function's place on the bus. The bridges have no ports.
std::uint32_t Pc::function_read(const PciPort& port, unsigned size) {
  if (port.place == pci_chipset::ide) return state_.ide.read_bus_master(port.offset, size);
  if (state_.virtio.has(port.place)) {
    return state_.virtio.read(state_.pci, port, size, surroundings());
  }
  return ~0u;
}

void Pc::function_write(const PciPort& port, std::uint32_t value, unsigned size) {
  if (state_.virtio.has(port.place)) {
    return state_.virtio.write(state_.pci, port, value, size, surroundings());
  }
  if (port.place != pci_chipset::ide) return;
  state_.ide.write_bus_master(port.offset, value, size, ide_reach());
  for (unsigned channel = 0; channel < IdeController::channel_count; ++channel) {
    update_ide_line(channel);
  }
}

// Also while it has no buffer for a moment: what is typed fast is not to be torn apart.
bool Pc::console_has_input() {
  return dma_memory_ != nullptr && !state_.serial.awaits_input(now_) &&
         state_.virtio.listens(*dma_memory_);
}

void Pc::update_pci_lines() {
  const std::uint16_t lines = state_.pci.interrupt_lines();
  const std::uint16_t changed = lines ^ state_.pci_lines;
  for (unsigned line = 0; line < 16; ++line) {
    if ((changed >> line & 1) != 0) set_irq(line, (lines >> line & 1) != 0);
  }
  state_.pci_lines = lines;
}

}  // namespace undercroft
