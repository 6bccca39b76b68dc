// The contents of the guest's disks: each is a run of the machine's memory, a boot module, and is
// reached through the mapping slots. Writes go into that memory, and a bitmap says which blocks
// have been written. It leaves controllers to the devices, and which module is a disk to
// boot/disk_modules.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../address.hpp"
#include "../memory/frame_pool.hpp"
#include "../memory/mapping_slots.hpp"
#include "../result.hpp"
#include "device_ports.hpp"

namespace undercroft {

class DiskStore final : public DiskPort {
 public:
  static constexpr unsigned max_disks = 8;
  static constexpr std::uint32_t block_bytes = 4096;  // of the bitmap; a disk's last may be shorter

  explicit DiskStore(MappingSlots& slots) : slots_(slots) {}

  // Makes [start, start + bytes) the next disk. It may begin anywhere; bytes is a multiple of 512
  // and not 0. The bitmap's frames come from the pool. The error is a line for people.
  Result<Done, const char*> add(FramePool&, HostPhysical start, std::uint32_t bytes, DiskKind,
                                bool save);

  unsigned disk_count() const override { return count_; }
  DiskInformation disk(unsigned disk) const override { return disks_[disk].information; }
  bool read_disk(unsigned disk, std::uint32_t sector, std::span<std::byte> out) override;
  bool write_disk(unsigned disk, std::uint32_t sector, std::span<const std::byte>) override;

  // Blocks count from the disk's start.
  std::uint32_t block_count(unsigned disk) const;
  bool written(unsigned disk, std::uint32_t block) const;

 private:
  // A frame of the bitmap covers 128 MB.
  static constexpr std::uint32_t blocks_of_frame = page_size * 8;
  static constexpr unsigned max_bitmap_frames = (1ull << 32) / block_bytes / blocks_of_frame;

  struct Disk {
    DiskInformation information{};
    HostPhysical start{};
    std::array<HostPhysical, max_bitmap_frames> bitmap{};  // none for a read-only disk
  };
  bool reaches(const Disk&, std::uint32_t sector, std::size_t bytes) const;
  void mark(const Disk&, std::uint32_t first_block, std::uint32_t last_block);

  MappingSlots& slots_;
  std::array<Disk, max_disks> disks_{};
  unsigned count_ = 0;
};

}  // namespace undercroft
