#include "ide_bus_master.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace undercroft {
namespace {

constexpr unsigned offset_command = 0, offset_status = 2, offset_table = 4;
constexpr std::uint8_t start_bit = 0x01, command_bits = 0x09;
constexpr std::uint8_t status_active = 0x01, status_error = 0x02, status_interrupt = 0x04;
constexpr std::uint8_t drives_capable = 0x60;  // notes of the firmware's
constexpr std::uint32_t end_of_table = 0x80000000;

}  // namespace

std::uint8_t IdeBusMaster::read(unsigned offset) const {
  if (offset == offset_command) return command_;
  if (offset == offset_status) return status_;
  if (offset >= offset_table) return static_cast<std::uint8_t>(table_ >> 8 * (offset - 4));
  return 0xff;
}

void IdeBusMaster::write(unsigned offset, std::uint8_t value) {
  if (offset == offset_command) {
    const bool starts = !started() && (value & start_bit) != 0;
    command_ = value & command_bits;
    if (starts) {
      status_ |= status_active;
      next_entry_ = table_;
      region_left_ = 0;
      last_region_ = false;
    }
    if (!started()) status_ &= static_cast<std::uint8_t>(~status_active);
  } else if (offset == offset_status) {
    const std::uint8_t cleared = value & (status_error | status_interrupt);
    status_ = static_cast<std::uint8_t>((status_ & ~(cleared | drives_capable)) |
                                        (value & drives_capable));
  } else if (offset >= offset_table) {
    const unsigned shift = 8 * (offset - offset_table);
    table_ = ((table_ & ~(0xffu << shift)) | std::uint32_t{value} << shift) & ~3u;
  }
}

void IdeBusMaster::note_interrupt() { status_ |= status_interrupt; }

void IdeBusMaster::stop() { status_ &= static_cast<std::uint8_t>(~status_active); }

// An entry is an address and a length, both even; a length of 0 is 64 KB. False if it cannot be
// read.
bool IdeBusMaster::next_region(DmaMemory& memory) {
  std::array<std::uint32_t, 2> entry{};
  if (!memory.read(GuestPhysical(next_entry_), std::as_writable_bytes(std::span(entry)))) {
    return false;
  }
  next_entry_ += sizeof entry;
  address_ = entry[0] & ~1u;
  region_left_ = entry[1] & 0xfffe;
  if (region_left_ == 0) region_left_ = 0x10000;
  last_region_ = (entry[1] & end_of_table) != 0;
  return true;
}

void IdeBusMaster::run(AtaDrive& drive, DiskPort& disks, DmaMemory& memory) {
  const AtaDrive::Dma wanted = to_memory() ? AtaDrive::Dma::to_memory : AtaDrive::Dma::from_memory;
  while ((status_ & status_active) != 0 && drive.dma() == wanted) {
    bool reached = region_left_ != 0 || next_region(memory);
    const auto part = drive.window().first(
        std::min<std::size_t>(drive.window().size(), reached ? region_left_ : 0));
    if (reached) {
      reached = to_memory() ? memory.write(GuestPhysical(address_), part)
                            : memory.read(GuestPhysical(address_), part);
    }
    if (!reached) {  // nothing answers: the bus master gives up
      status_ |= status_error;
      return stop();
    }
    drive.moved(part.size(), disks);
    address_ += static_cast<std::uint32_t>(part.size());
    region_left_ -= static_cast<std::uint32_t>(part.size());
    if (region_left_ == 0 && last_region_) stop();
  }
}

}  // namespace undercroft
