#include "ide_controller.hpp"

#include "ata_registers.hpp"

namespace undercroft {
namespace {

constexpr std::uint16_t command_ports[] = {0x1f0, 0x170};
constexpr std::uint16_t control_ports[] = {0x3f6, 0x376};
constexpr unsigned bus_master_ports = 8;  // of a channel

}  // namespace

bool IdeController::attach(unsigned disk, const DiskInformation& information) {
  const unsigned first = information.kind == DiskKind::cdrom ? 2 : 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned place = (first + i) & 3;
    if ((attached_ >> place & 1) != 0) continue;
    channels_[place / 2].drive(place & 1).attach(disk, information);
    attached_ |= static_cast<std::uint8_t>(1u << place);
    return true;
  }
  return false;
}

// The data register takes words and double words, the others bytes.
std::optional<IdeController::ChannelPort> IdeController::find_port(std::uint16_t port,
                                                                   unsigned size) {
  for (unsigned channel = 0; channel < channel_count; ++channel) {
    const unsigned offset = port - command_ports[channel];
    if (offset < 8 && (size == 1 || offset == ata::reg_data)) {
      return ChannelPort{channel, offset, false};
    }
    if (port == control_ports[channel] && size == 1) return ChannelPort{channel, 0, true};
  }
  return std::nullopt;
}

std::uint32_t IdeController::read(const ChannelPort& port, unsigned size, const Reach& reach) {
  AtaChannel& channel = channels_[port.channel];
  if (port.control) return channel.read_alternate_status();
  const std::uint32_t value = channel.read(port.offset, size, reach.disks);
  settle(port.channel, reach);
  return value;
}

void IdeController::write(const ChannelPort& port, std::uint32_t value, unsigned size,
                          const Reach& reach) {
  AtaChannel& channel = channels_[port.channel];
  if (port.control) {
    channel.write_control(static_cast<std::uint8_t>(value));
  } else {
    channel.write(port.offset, value, size, reach.disks);
  }
  settle(port.channel, reach);
}

void IdeController::read_data(unsigned channel, unsigned size, std::span<std::byte> out,
                              const Reach& reach) {
  channels_[channel].selected().read_data(size, out, reach.disks);
  settle(channel, reach);
}

void IdeController::write_data(unsigned channel, unsigned size, std::span<const std::byte> in,
                               const Reach& reach) {
  channels_[channel].selected().write_data(size, in, reach.disks);
  settle(channel, reach);
}

std::uint32_t IdeController::read_bus_master(unsigned offset, unsigned size) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned at = offset + i;
    const std::uint32_t byte = bus_masters_[at / bus_master_ports].read(at % bus_master_ports);
    value |= byte << 8 * i;
  }
  return value;
}

void IdeController::write_bus_master(unsigned offset, std::uint32_t value, unsigned size,
                                     const Reach& reach) {
  for (unsigned i = 0; i < size; ++i) {
    const unsigned at = offset + i;
    const auto byte = static_cast<std::uint8_t>(value >> 8 * i);
    bus_masters_[at / bus_master_ports].write(at % bus_master_ports, byte);
    settle(at / bus_master_ports, reach);
  }
}

// After anything that may have begun a transfer, or an interrupt.
void IdeController::settle(unsigned channel, const Reach& reach) {
  AtaDrive& drive = channels_[channel].selected();
  if (reach.memory != nullptr) bus_masters_[channel].run(drive, reach.disks, *reach.memory);
  rose_[channel] = channels_[channel].take_interrupt_rise();
  if (rose_[channel]) bus_masters_[channel].note_interrupt();
}

}  // namespace undercroft
