#include "disk_save.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace undercroft {
namespace {

constexpr std::uint32_t magic = 0x4b534455;  // "UDSK"
constexpr std::uint32_t end_of_stream = ~0u;
constexpr std::uint32_t sectors_of_block = DiskStore::block_bytes / disk_sector_bytes;

// Four bits at a time: small, and the port is slower.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) {
  constexpr std::uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  crc = ~crc;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

void put_bytes(CharacterSink& sink, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) sink.put(static_cast<std::uint8_t>(byte));
}

void put_record(CharacterSink& sink, std::uint32_t disk, std::uint32_t block,
                std::span<const std::byte> bytes) {
  const std::uint32_t header[] = {magic, disk, block, static_cast<std::uint32_t>(bytes.size())};
  const auto header_bytes = std::as_bytes(std::span(header));
  const std::uint32_t check[] = {crc32(crc32(0, header_bytes), bytes)};
  put_bytes(sink, header_bytes);
  put_bytes(sink, std::as_bytes(std::span(check)));
  put_bytes(sink, bytes);
}

std::uint32_t save_disk(DiskStore& disks, unsigned disk, CharacterSink& sink) {
  std::uint32_t saved = 0;
  std::array<std::byte, DiskStore::block_bytes> buffer;
  const std::uint32_t sectors = disks.disk(disk).sectors;
  for (std::uint32_t block = 0; block < disks.block_count(disk); ++block) {
    if (!disks.written(disk, block)) continue;
    const std::uint32_t first = block * sectors_of_block;
    const std::uint32_t count = std::min(sectors_of_block, sectors - first);
    const auto bytes = std::span(buffer).first(count * disk_sector_bytes);
    if (!disks.read_disk(disk, first, bytes)) continue;  // cannot be: the block is there
    put_record(sink, disk, block, bytes);
    ++saved;
  }
  return saved;
}

}  // namespace

SavedDisks save_disks(DiskStore& disks, CharacterSink& sink) {
  SavedDisks saved;
  for (unsigned disk = 0; disk < disks.disk_count(); ++disk) {
    if (!disks.disk(disk).save) continue;
    ++saved.disks;
    saved.blocks += save_disk(disks, disk, sink);
  }
  put_record(sink, end_of_stream, saved.blocks, {});
  return saved;
}

}  // namespace undercroft
