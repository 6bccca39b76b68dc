// The PIIX3's IDE function: two channels at the ports of a PC/AT, and a bus master for each (Intel
// 82371SB, 2.3 and 2.7). It says which ports are whose; the function's configuration space is the
// PCI bus's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ata_channel.hpp"
#include "ide_bus_master.hpp"

namespace undercroft {

class IdeController {
 public:
  static constexpr unsigned channel_count = 2;

  // What a drive's data comes from and goes to. Without memory the bus masters wait.
  struct Reach {
    DiskPort& disks;
    DmaMemory* memory;
  };

  // Puts the disk at the first free place of its kind: disks from the first channel on, CD-ROMs
  // from the second. False: all four are taken.
  bool attach(unsigned disk, const DiskInformation&);
  bool any_drive() const { return attached_ != 0; }
  // Of the disk at drive place & 1 of channel place / 2; 0 if there is none, or a CD-ROM drive.
  std::uint32_t disk_sectors(unsigned place) const {
    return channels_[place / 2].drive(place & 1).disk_sectors();
  }

  // A port of a channel, and whether it is of the control block (one port) or the command block.
  struct ChannelPort {
    unsigned channel = 0;
    unsigned offset = 0;
    bool control = false;
    // The data register, by its own width or twice that.
    bool is_wide_data(unsigned size) const { return !control && offset == 0 && size != 1; }
  };
  // The channel's port that takes an access of this size.
  static std::optional<ChannelPort> find_port(std::uint16_t port, unsigned size);
  std::uint32_t read(const ChannelPort&, unsigned size, const Reach&);
  void write(const ChannelPort&, std::uint32_t value, unsigned size, const Reach&);

  // The data register read or written again and again, by size 2 or 4.
  void read_data(unsigned channel, unsigned size, std::span<std::byte>, const Reach&);
  void write_data(unsigned channel, unsigned size, std::span<const std::byte>, const Reach&);

  // The bus masters' registers, offsets 0 to 15.
  std::uint32_t read_bus_master(unsigned offset, unsigned size) const;
  void write_bus_master(unsigned offset, std::uint32_t value, unsigned size, const Reach&);

  // The channel's interrupt line as it stands, and whether it rose in the last access, though it
  // may have been up before.
  bool interrupt_line(unsigned channel) const { return channels_[channel].interrupt_line(); }
  bool interrupt_rose(unsigned channel) const { return rose_[channel]; }

 private:
  void settle(unsigned channel, const Reach&);

  std::array<AtaChannel, channel_count> channels_{};
  std::array<IdeBusMaster, channel_count> bus_masters_{};
  std::array<bool, channel_count> rose_{};
  std::uint8_t attached_ = 0;  // bit n: drive n & 1 of channel n / 2
};

}  // namespace undercroft
