#include "disk_store.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {
namespace {

// Calls use(mapped bytes, how many, how many were before) for each page of [start, start + bytes).
template <class Use>
void for_each_page(MappingSlots& slots, HostPhysical start, std::uint32_t bytes, Use use) {
  for (std::uint32_t done = 0; done < bytes;) {
    const HostPhysical at = start + done;
    const std::uint32_t piece = std::min(bytes - done, page_size - at.page_offset());
    const MappedFrame frame = slots.map(at);
    use(frame.bytes() + at.page_offset(), piece, done);
    done += piece;
  }
}

}  // namespace

Result<Done, const char*> DiskStore::add(FramePool& pool, HostPhysical start, std::uint32_t bytes,
                                         DiskKind kind, bool save) {
  if (count_ == max_disks) return Failure{"over 8 disks"};
  const std::uint32_t unit = kind == DiskKind::cdrom ? 2048 : disk_sector_bytes;
  if (bytes == 0 || bytes % unit != 0) {
    return Failure{kind == DiskKind::cdrom ? "a cdrom's size is not a multiple of 2048, or 0"
                                           : "a disk's size is not a multiple of 512, or 0"};
  }
  const bool read_only = kind == DiskKind::cdrom;
  if (read_only && save) return Failure{"a cdrom cannot be written, so there is nothing to save"};
  Disk& disk = disks_[count_];
  disk.information = {kind, read_only, save, bytes / disk_sector_bytes};
  disk.start = start;
  if (!read_only) {
    const std::uint32_t frames = (block_count(count_) + blocks_of_frame - 1) / blocks_of_frame;
    for (std::uint32_t i = 0; i < frames; ++i) {
      const auto frame = pool.allocate_zeroed();
      if (!frame) return Failure{"no memory for the list of written blocks"};
      disk.bitmap[i] = *frame;
    }
  }
  ++count_;
  return Done{};
}

bool DiskStore::reaches(const Disk& disk, std::uint32_t sector, std::size_t bytes) const {
  const std::uint32_t sectors = disk.information.sectors;
  return bytes % disk_sector_bytes == 0 && sector <= sectors &&
         bytes / disk_sector_bytes <= sectors - sector;
}

bool DiskStore::read_disk(unsigned number, std::uint32_t sector, std::span<std::byte> out) {
  const Disk& disk = disks_[number];
  if (!reaches(disk, sector, out.size())) return false;
  for_each_page(slots_, disk.start + sector * disk_sector_bytes,
                static_cast<std::uint32_t>(out.size()),
                [&](const std::byte* bytes, std::uint32_t length, std::uint32_t done) {
                  std::memcpy(out.data() + done, bytes, length);
                });
  return true;
}

bool DiskStore::write_disk(unsigned number, std::uint32_t sector, std::span<const std::byte> in) {
  const Disk& disk = disks_[number];
  if (disk.information.read_only || !reaches(disk, sector, in.size())) return false;
  if (in.empty()) return true;
  const std::uint32_t offset = sector * disk_sector_bytes;
  const auto bytes = static_cast<std::uint32_t>(in.size());
  for_each_page(slots_, disk.start + offset, bytes,
                [&](std::byte* to, std::uint32_t length, std::uint32_t done) {
                  std::memcpy(to, in.data() + done, length);
                });
  mark(disk, offset / block_bytes, (offset + bytes - 1) / block_bytes);
  return true;
}

void DiskStore::mark(const Disk& disk, std::uint32_t first_block, std::uint32_t last_block) {
  for (std::uint32_t block = first_block; block <= last_block; ++block) {
    const MappedFrame frame = slots_.map(disk.bitmap[block / blocks_of_frame]);
    const std::uint32_t bit = block % blocks_of_frame;
    frame.words()[bit / 32] |= 1u << bit % 32;
  }
}

std::uint32_t DiskStore::block_count(unsigned disk) const {
  constexpr std::uint32_t sectors_of_block = block_bytes / disk_sector_bytes;
  return (disks_[disk].information.sectors + sectors_of_block - 1) / sectors_of_block;
}

bool DiskStore::written(unsigned number, std::uint32_t block) const {
  const Disk& disk = disks_[number];
  if (disk.information.read_only || block >= block_count(number)) return false;
  const MappedFrame frame = slots_.map(disk.bitmap[block / blocks_of_frame]);
  const std::uint32_t bit = block % blocks_of_frame;
  return (frame.words()[bit / 32] >> bit % 32 & 1) != 0;
}

}  // namespace undercroft
