// Which boot modules are disks of the guest's machine, by the first word of their command lines:
// undercroft.disk=KIND[,save], KIND virtio, ata or cdrom. Pure; boot/run_guest.cpp acts on it.
#pragma once

#include <string_view>

#include "monitor/devices/device_ports.hpp"
#include "monitor/result.hpp"

namespace undercroft::boot {

// At most so many of each kind: virtio functions on the PCI bus, places on two IDE channels.
inline constexpr unsigned max_virtio_disks = 4;
inline constexpr unsigned max_ide_disks = 4;  // ata and cdrom together

struct DiskModule {
  bool is_disk = false;  // else the module is the guest's, and what follows means nothing
  DiskKind kind = DiskKind::virtio;
  bool save = false;
};

// The error is a line for people that names what is wrong.
Result<DiskModule, const char*> read_disk_module(std::string_view command_line);

// Counts disks as they are found in order; an error when there is no place for one more.
class DiskPlaces {
 public:
  Result<Done, const char*> take(DiskKind);

 private:
  unsigned virtio_ = 0, ide_ = 0;
};

}  // namespace undercroft::boot
