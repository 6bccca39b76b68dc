// The memory side of the VGA: how the processor's byte reaches the planes (Video Subsystem,
// "Graphics Controller", "Memory Mode Register").
#include "vga.hpp"

namespace undercroft {
namespace {

constexpr unsigned plane_count = 4;

constexpr std::uint32_t offset_in_memory(unsigned plane, std::uint32_t at) {
  return video_memory_offset(plane, at & 0xffff);
}

constexpr std::uint8_t rotated(std::uint8_t value, unsigned count) {
  return static_cast<std::uint8_t>(value >> count | value << (8 - count));
}

constexpr std::uint8_t spread(unsigned bit) { return (bit & 1) != 0 ? 0xff : 0x00; }

}  // namespace

// Chain 4: the address's low bits are the plane; odd/even: bit 0 is half of it. The rest of the
// address counts in the plane without a gap, as in QEMU's card (a real one leaves the planes' other
// bytes unused, which a guest sees only if it mixes both ways on the same memory).
Vga::Place Vga::place_of(std::uint32_t offset) const {
  const unsigned selected = registers_.graphics[4] & 3;
  if (registers_.chain_4()) return {offset >> 2, 1u << (offset & 3), offset & 3};
  if (registers_.odd_even()) {
    return {offset >> 1, 0x5u << (offset & 1), (selected & 2) | (offset & 1)};
  }
  return {offset, 0xf, selected};
}

std::uint8_t Vga::read_memory(std::uint32_t address, VideoMemory& memory) {
  changes_.accessed = true;
  const VgaRegisters::Window window = registers_.window();
  if (address - window.base >= window.size) return 0xff;
  const Place place = place_of(address - window.base);
  for (unsigned plane = 0; plane < plane_count; ++plane) {
    latches_[plane] = memory.read(offset_in_memory(plane, place.at));
  }
  if ((registers_.graphics[5] & 0x08) == 0) return latches_[place.read_plane];
  unsigned different = 0;  // read mode 1: which pixels have another colour
  for (unsigned plane = 0; plane < plane_count; ++plane) {
    if ((registers_.graphics[7] >> plane & 1) == 0) continue;
    different |= latches_[plane] ^ unsigned { spread(registers_.graphics[2] >> plane) };
  }
  return static_cast<std::uint8_t>(~different);
}

// What a write puts into the plane, with the latches' part.
std::uint8_t Vga::data_for(unsigned plane, std::uint8_t value) const {
  const auto& graphics = registers_.graphics;
  const std::uint8_t set_reset = spread(graphics[0] >> plane);
  const std::uint8_t turned = rotated(value, graphics[3] & 7);
  std::uint8_t mask = graphics[8], data = turned;
  switch (registers_.write_mode()) {
    case 0:
      if ((graphics[1] >> plane & 1) != 0) data = set_reset;
      break;
    case 1:
      return latches_[plane];
    case 2:
      data = spread(value >> plane);
      break;
    default:
      mask &= turned;
      data = set_reset;
  }
  const std::uint8_t latch = latches_[plane];
  switch (graphics[3] >> 3 & 3) {
    case 0:
      break;
    case 1:
      data &= latch;
      break;
    case 2:
      data |= latch;
      break;
    default:
      data ^= latch;
  }
  return static_cast<std::uint8_t>((data & mask) | (latch & ~mask));
}

void Vga::write_memory(std::uint32_t address, std::uint8_t value, VideoMemory& memory) {
  changes_.accessed = true;
  const VgaRegisters::Window window = registers_.window();
  if (address - window.base >= window.size) return;
  const Place place = place_of(address - window.base);
  const unsigned planes = place.planes & registers_.map_mask();
  for (unsigned plane = 0; plane < plane_count; ++plane) {
    if ((planes >> plane & 1) == 0) continue;
    const std::uint32_t offset = offset_in_memory(plane, place.at);
    memory.write(offset, data_for(plane, value));
    changes_.pages |= std::uint64_t{1} << offset / 4096;
  }
}

}  // namespace undercroft
