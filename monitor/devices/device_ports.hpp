// What the virtual devices need from outside besides the Clock (monitor/ports.hpp): a place for the
// characters that a guest sends, the guest's memory, the contents of disks, a log for accesses that
// nothing answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "../address.hpp"

namespace undercroft {

// Takes one byte that the guest has sent: a serial line or the debug console.
class CharacterSink {
 public:
  virtual void put(std::uint8_t byte) = 0;

 protected:
  ~CharacterSink() = default;
};

// Guest memory as a device reaches it by itself, past the processor and its paging. Whoever watches
// a page hears of a write. False: part of it is no memory, which reads as ones and takes no write.
// Other devices are not reached.
class DmaMemory {
 public:
  virtual bool read(GuestPhysical, std::span<std::byte> out) = 0;
  virtual bool write(GuestPhysical, std::span<const std::byte>) = 0;

 protected:
  ~DmaMemory() = default;
};

// Hears of each unclaimed port once, at its first access. size is 1, 2 or 4.
class DeviceLog {
 public:
  virtual void unclaimed_read(std::uint16_t port, unsigned size) = 0;
  virtual void unclaimed_write(std::uint16_t port, std::uint32_t value, unsigned size) = 0;

 protected:
  ~DeviceLog() = default;
};

// Which controller a disk hangs on.
enum class DiskKind : std::uint8_t { virtio, ata, cdrom };

inline constexpr unsigned disk_sector_bytes = 512;

struct DiskInformation {
  DiskKind kind = DiskKind::virtio;
  bool read_only = false;     // cdrom
  bool save = false;          // what the guest changes is given back at the end of the run
  std::uint32_t sectors = 0;  // of 512 bytes each, never 0; a multiple of 4 for a cdrom
};

// The disks of the guest's machine, numbered from 0 in the order of their boot modules.
class DiskPort {
 public:
  virtual unsigned disk_count() const = 0;
  // Disk 0 to disk_count() - 1, here and below.
  virtual DiskInformation disk(unsigned disk) const = 0;
  // Whole sectors of 512 bytes from `sector` on. False, and nothing is transferred, if some of them
  // are not there, if the length is not a multiple of 512, and for writes to a read-only disk.
  virtual bool read_disk(unsigned disk, std::uint32_t sector, std::span<std::byte> out) = 0;
  virtual bool write_disk(unsigned disk, std::uint32_t sector, std::span<const std::byte>) = 0;

 protected:
  ~DiskPort() = default;
};

// The 256 KB of a VGA's memory. Bytes of planes 0 and 1 stand there by turns, and in the second
// half those of planes 2 and 3: so text, in planes 0 and 1, lies as the guest sees it in its
// window.
class VideoMemory {
 public:
  static constexpr std::uint32_t bytes = 0x40000;
  virtual std::uint8_t read(std::uint32_t offset) = 0;  // below bytes
  virtual void write(std::uint32_t offset, std::uint8_t value) = 0;

 protected:
  ~VideoMemory() = default;
};

// plane: 0 to 3; at: below 64 K.
constexpr std::uint32_t video_memory_offset(unsigned plane, std::uint32_t at) {
  return (plane >> 1) * (VideoMemory::bytes / 2) + at * 2 + (plane & 1);
}

// No deadline: nothing will happen by itself.
inline constexpr std::uint64_t no_deadline = ~std::uint64_t{0};

}  // namespace undercroft
