#include "bus.hpp"

namespace undercroft {

// The range that takes the access as one: a byte device for a byte, a whole one for what fits.
const PortRange* Bus::whole_range(std::uint16_t port, unsigned size) const {
  const PortRange* range = map_.find(port);
  if (range == nullptr || size == 1) return range;
  const bool fits = static_cast<unsigned>(port - range->first) + size <= range->count;
  return range->width == PortRange::Width::whole && fits ? range : nullptr;
}

bool Bus::first_sight(std::uint16_t port) {
  std::uint32_t& word = logged_[port / 32];
  const std::uint32_t bit = 1u << port % 32;
  const bool first = (word & bit) == 0;
  word |= bit;
  return first;
}

std::uint32_t Bus::read(std::uint16_t port, unsigned size) {
  if (const PortRange* range = whole_range(port, size)) {
    return target_.device_read(range->device, range->offset + (port - range->first), size);
  }
  std::uint32_t value = 0;
  if (map_.find(port) == nullptr && target_.placed_read(port, size, value)) return value;
  bool unclaimed = false;
  for (unsigned i = 0; i < size; ++i) {
    const auto byte_port = static_cast<std::uint16_t>(port + i);
    std::uint32_t byte = 0xff;
    if (const PortRange* range = map_.find(byte_port)) {
      byte = target_.device_read(range->device, range->offset + (byte_port - range->first), 1);
    } else if (size == 1 || !target_.placed_read(byte_port, 1, byte)) {
      unclaimed |= first_sight(byte_port);
    }
    value |= (byte & 0xff) << 8 * i;
  }
  if (unclaimed) log_.unclaimed_read(port, size);
  return value;
}

void Bus::write(std::uint16_t port, std::uint32_t value, unsigned size) {
  if (const PortRange* range = whole_range(port, size)) {
    const std::uint32_t mask = size == 4 ? ~0u : (1u << 8 * size) - 1;
    const unsigned offset = range->offset + (port - range->first);
    return target_.device_write(range->device, offset, value & mask, size);
  }
  if (map_.find(port) == nullptr && target_.placed_write(port, value, size)) return;
  bool unclaimed = false;
  for (unsigned i = 0; i < size; ++i) {
    const auto byte_port = static_cast<std::uint16_t>(port + i);
    if (const PortRange* range = map_.find(byte_port)) {
      const unsigned offset = range->offset + (byte_port - range->first);
      target_.device_write(range->device, offset, value >> 8 * i & 0xff, 1);
    } else if (size == 1 || !target_.placed_write(byte_port, value >> 8 * i & 0xff, 1)) {
      unclaimed |= first_sight(byte_port);
    }
  }
  if (unclaimed) log_.unclaimed_write(port, value, size);
}

}  // namespace undercroft
