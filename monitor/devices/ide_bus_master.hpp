// One channel's bus master of a PIIX: moves a drive's data to and from guest memory by a table of
// regions (Intel 82371SB, 2.7; "Programming Interface for Bus Master IDE Controller", 1.0). A
// transfer is done at once, as far as the table goes.
#pragma once

#include <cstdint>

#include "ata_drive.hpp"

namespace undercroft {

class IdeBusMaster {
 public:
  // Offsets 0 to 7: command, status, the table's address.
  std::uint8_t read(unsigned offset) const;
  void write(unsigned offset, std::uint8_t value);

  // Moves what the drive waits for, if the transfer has been started in that direction.
  void run(AtaDrive&, DiskPort&, DmaMemory&);
  // The drive's interrupt line has risen: by then all data is where it belongs.
  void note_interrupt();

 private:
  bool started() const { return (command_ & 1) != 0; }
  bool to_memory() const { return (command_ & 8) != 0; }
  bool next_region(DmaMemory&);
  void stop();

  std::uint8_t command_ = 0;
  std::uint8_t status_ = 0;
  std::uint32_t table_ = 0;
  std::uint32_t next_entry_ = 0;   // address of the table's next entry
  std::uint32_t address_ = 0;      // in the region under way
  std::uint32_t region_left_ = 0;  // bytes
  bool last_region_ = false;
};

}  // namespace undercroft
