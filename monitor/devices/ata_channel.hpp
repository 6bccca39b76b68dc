// An ATA channel: the command and control blocks of two drives on one cable, of which one is
// selected (ATA/ATAPI-6, sections 7 and 9.16). Where the channel's ports are is not its business.
#pragma once

#include <array>
#include <cstdint>

#include "ata_drive.hpp"

namespace undercroft {

class AtaChannel {
 public:
  AtaDrive& drive(unsigned number) { return drives_[number]; }
  const AtaDrive& drive(unsigned number) const { return drives_[number]; }
  AtaDrive& selected() { return drives_[selected_]; }
  const AtaDrive& selected() const { return drives_[selected_]; }

  // The command block, offsets 0 to 7; the data register by sizes 2 and 4, the others by 1.
  // Registers of a channel without drives read as zeros, and so does the status of a drive that is
  // not there.
  std::uint32_t read(unsigned offset, unsigned size, DiskPort&);
  void write(unsigned offset, std::uint32_t value, unsigned size, DiskPort&);

  // The control block: alternate status, device control.
  std::uint8_t read_alternate_status() const;
  void write_control(std::uint8_t value);

  bool interrupt_line() const;
  // The line has risen since this was asked, though it may have been up before.
  bool take_interrupt_rise() { return selected().take_interrupt_rise() && interrupt_line(); }

 private:
  std::uint8_t read_register(unsigned offset) const;
  void write_register(unsigned offset, std::uint8_t value, DiskPort&);
  void reset_drives();

  std::array<AtaDrive, 2> drives_{};
  std::uint8_t selected_ = 0;
  std::uint8_t control_ = 0;
};

}  // namespace undercroft
