#include "ata_channel.hpp"

#include <algorithm>

#include "ata_registers.hpp"

namespace undercroft {

using namespace ata;

namespace {

constexpr std::uint8_t execute_diagnostic = 0x90;

}  // namespace

std::uint32_t AtaChannel::read(unsigned offset, unsigned size, DiskPort& disks) {
  if (offset == reg_data) {
    const std::uint32_t value = selected().read_data(std::max(size, 2u), disks);
    return size == 1 ? value & 0xff : value;
  }
  if (offset == reg_status) drives_[selected_].acknowledge_interrupt();
  return offset == reg_status ? read_alternate_status() : read_register(offset);
}

void AtaChannel::write(unsigned offset, std::uint32_t value, unsigned size, DiskPort& disks) {
  if (offset == reg_data) return selected().write_data(value, std::max(size, 2u), disks);
  write_register(offset, static_cast<std::uint8_t>(value), disks);
}

// Drive 0 answers for a drive 1 that is not there, but for status and error.
std::uint8_t AtaChannel::read_register(unsigned offset) const {
  const bool high_order = (control_ & control::high_order) != 0;
  if (selected().present()) return selected().read(offset, high_order);
  if (offset == reg_error || !drives_[0].present()) return 0;
  return drives_[0].read(offset, high_order);
}

std::uint8_t AtaChannel::read_alternate_status() const {
  if (!selected().present()) return 0;
  return (control_ & control::reset) != 0 ? status::busy : selected().status();
}

// Both drives hear of each write; the one that is selected does the command.
void AtaChannel::write_register(unsigned offset, std::uint8_t value, DiskPort& disks) {
  control_ &= static_cast<std::uint8_t>(~control::high_order);
  if ((control_ & control::reset) != 0) return;
  if (offset != reg_command) {
    if (offset == reg_device) selected_ = (value & device::second) != 0 ? 1 : 0;
    for (AtaDrive& drive : drives_) drive.write(offset, value);
  } else if (value == execute_diagnostic) {
    reset_drives();
    drives_[0].request_interrupt();
  } else if (selected().present()) {
    selected().command(value, disks);
  }
}

void AtaChannel::reset_drives() {
  for (AtaDrive& drive : drives_) {
    if (drive.present()) drive.reset();
  }
  selected_ = 0;
}

void AtaChannel::write_control(std::uint8_t value) {
  const bool was_in_reset = (control_ & control::reset) != 0;
  control_ = value;
  if (was_in_reset && (value & control::reset) == 0) reset_drives();
}

bool AtaChannel::interrupt_line() const {
  return (control_ & control::no_interrupt) == 0 && selected().requests_interrupt();
}

}  // namespace undercroft
