// The ISA bus: which device answers at which port, and how an access that is wider than the device
// is split. The map is built at compile time and looked up in two steps, by the port's high and low
// byte. Devices see offsets relative to their own range only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "device_ports.hpp"

namespace undercroft {

// `count` ports from `first` on belong to `device`, at offsets from `offset` on. A device of
// width `whole` gets an access as it is made, if all of it falls into the range; others get bytes,
// low byte first, as the bus splits a wide access to an 8-bit device.
struct PortRange {
  enum class Width : std::uint8_t { bytes, whole };
  std::uint16_t first = 0;
  std::uint16_t count = 0;
  std::uint8_t device = 0;
  std::uint16_t offset = 0;
  Width width = Width::bytes;
};

class PortMap {
 public:
  constexpr PortMap(std::initializer_list<PortRange> ranges) {
    for (const PortRange& range : ranges) add(range);
  }
  // False if ranges overlap or the table is too small; to be asserted at compile time.
  constexpr bool valid() const { return valid_; }
  constexpr const PortRange* find(std::uint16_t port) const {
    const std::uint8_t index = pages_[page_of_[port >> 8]][port & 0xff];
    return index == 0 ? nullptr : &ranges_[index];
  }

 private:
  static constexpr std::size_t max_ranges = 64;  // number 0 stands for none
  static constexpr std::size_t max_pages = 12;   // page 0 is that of the unclaimed

  constexpr void add(const PortRange& range) {
    if (range_count_ == max_ranges || range.count == 0) {
      valid_ = false;
      return;
    }
    ranges_[range_count_] = range;
    for (std::uint32_t port = range.first; port < std::uint32_t{range.first} + range.count;
         ++port) {
      claim(static_cast<std::uint16_t>(port), static_cast<std::uint8_t>(range_count_));
    }
    ++range_count_;
  }
  constexpr void claim(std::uint16_t port, std::uint8_t range) {
    std::uint8_t& page = page_of_[port >> 8];
    if (page == 0 && page_count_ < max_pages) page = static_cast<std::uint8_t>(page_count_++);
    std::uint8_t& entry = pages_[page][port & 0xff];
    if (page == 0 || entry != 0) {
      valid_ = false;
      return;
    }
    entry = range;
  }

  std::array<std::uint8_t, 256> page_of_{};
  std::array<std::array<std::uint8_t, 256>, max_pages> pages_{};
  std::array<PortRange, max_ranges> ranges_{};
  std::size_t range_count_ = 1;
  std::size_t page_count_ = 1;
  bool valid_ = true;
};

// Whoever knows the devices by their numbers, and those whose ports are not in the map.
class PortTarget {
 public:
  // size is 1 for devices of width `bytes`.
  virtual std::uint32_t device_read(std::uint8_t device, unsigned offset, unsigned size) = 0;
  virtual void device_write(std::uint8_t device, unsigned offset, std::uint32_t value,
                            unsigned size) = 0;
  // Ports that the map does not have, such as a PCI function's, whose place the guest chooses.
  // False: nothing answers there to an access of this size.
  virtual bool placed_read(std::uint16_t port, unsigned size, std::uint32_t& value) = 0;
  virtual bool placed_write(std::uint16_t port, std::uint32_t value, unsigned size) = 0;

 protected:
  ~PortTarget() = default;
};

class Bus {
 public:
  Bus(const PortMap& map, PortTarget& target, DeviceLog& log)
      : map_(map), target_(target), log_(log) {}

  // size is 1, 2 or 4. Ports wrap at 64 K. What nothing claims reads as ones; it is logged once.
  std::uint32_t read(std::uint16_t port, unsigned size);
  void write(std::uint16_t port, std::uint32_t value, unsigned size);

 private:
  const PortRange* whole_range(std::uint16_t port, unsigned size) const;
  bool first_sight(std::uint16_t port);

  const PortMap& map_;
  PortTarget& target_;
  DeviceLog& log_;
  std::array<std::uint32_t, 65536 / 32> logged_{};  // a bit per port
};

}  // namespace undercroft
