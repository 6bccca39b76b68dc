#include "virtio_block.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {
namespace {

// Feature bits (5.2.3).
constexpr std::uint32_t has_segment_bytes = 1u << 1;
constexpr std::uint32_t has_segments = 1u << 2;
constexpr std::uint32_t has_geometry = 1u << 4;
constexpr std::uint32_t has_block_size = 1u << 6;
constexpr std::uint32_t has_flush = 1u << 9;

// Request types (5.2.6).
constexpr std::uint32_t type_in = 0;
constexpr std::uint32_t type_out = 1;
constexpr std::uint32_t type_flush = 4;
constexpr std::uint32_t type_identify = 8;

struct Header {
  std::uint32_t type, priority;
  std::uint64_t sector;
};
static_assert(sizeof(Header) == 16);

// The device's configuration (5.2.4), as it stands in the I/O range.
struct Configuration {
  std::uint64_t sectors;
  std::uint32_t segment_bytes, segments;
  std::uint16_t cylinders;
  std::uint8_t heads, sectors_per_track;
  std::uint32_t block_bytes;
};
static_assert(sizeof(Configuration) == 24);

// What goes through the monitor's stack at a time.
constexpr std::uint32_t piece_bytes = 2048;
constexpr std::uint32_t name_bytes = 20;

}  // namespace

VirtioBlock::VirtioBlock(unsigned number)
    : registers_(has_segment_bytes | has_segments | has_geometry | has_block_size | has_flush,
                 queue_size, 1),
      number_(static_cast<std::uint8_t>(number)) {}

std::uint32_t VirtioBlock::read(unsigned offset, unsigned size, const DiskPort& disks) {
  constexpr std::uint32_t heads = 16, track = 63, most_cylinders = 65535;
  const std::uint32_t sectors = disks.disk(number_).sectors;
  const std::uint32_t cylinders = std::min(sectors / (heads * track), most_cylinders);
  const Configuration own{
      sectors, most_segment_bytes, most_segments, static_cast<std::uint16_t>(cylinders), heads,
      track,   disk_sector_bytes};
  std::array<std::uint8_t, sizeof own> bytes;
  std::memcpy(bytes.data(), &own, sizeof own);
  return registers_.read(offset, size, bytes);
}

void VirtioBlock::write(unsigned offset, std::uint32_t value, unsigned size, DiskPort& disks,
                        DmaMemory& memory, bool may_access) {
  const auto told = registers_.write(offset, value, size);
  if (told && may_access) serve(disks, memory);
}

// At most one round of the queue, so that a driver which offers without end cannot hold the
// machine: nothing is offered while the device works.
void VirtioBlock::serve(DiskPort& disks, DmaMemory& memory) {
  Virtqueue& queue = registers_.queue(0);
  VirtioChain chain;
  for (unsigned i = 0; i <= queue_size; ++i) {
    if (queue.peek(memory, chain) != Virtqueue::Next::chain) break;
    std::uint32_t written = 0;
    if (!perform(chain, disks, memory, written)) {
      queue.give_up();
      break;
    }
    queue.use(memory, chain, written);
  }
  registers_.tell_used(memory, 0);
}

// False: the request has no header or no place for its status.
bool VirtioBlock::perform(const VirtioChain& chain, DiskPort& disks, DmaMemory& memory,
                          std::uint32_t& written) const {
  Header header{};
  if (chain.writable_bytes() == 0 ||
      !chain.read(memory, 0, std::as_writable_bytes(std::span(&header, 1)))) {
    return false;
  }
  Status status = Status::unsupported;
  if (header.type == type_in || header.type == type_out) {
    status = move(chain, disks, memory, header.type == type_in, header.sector);
  } else if (header.type == type_flush) {
    status = Status::ok;  // what was written is in its place already
  } else if (header.type == type_identify) {
    status = identify(chain, memory);
  }
  const std::uint64_t data = chain.writable_bytes() - 1;
  if (status == Status::ok)
    written = static_cast<std::uint32_t>(std::min<std::uint64_t>(data, most_request_bytes));
  ++written;
  return chain.write(memory, data, std::as_bytes(std::span(&status, 1)));
}

VirtioBlock::Status VirtioBlock::move(const VirtioChain& chain, DiskPort& disks, DmaMemory& memory,
                                      bool to_guest, std::uint64_t sector) const {
  const std::uint64_t bytes =
      to_guest ? chain.writable_bytes() - 1 : chain.readable_bytes() - sizeof(Header);
  const std::uint32_t sectors = disks.disk(number_).sectors;
  if (bytes > most_request_bytes || bytes % disk_sector_bytes != 0 || sector > sectors ||
      bytes / disk_sector_bytes > sectors - sector) {
    return Status::io_error;
  }
  std::array<std::byte, piece_bytes> buffer;
  for (std::uint32_t done = 0; done < bytes;) {
    const auto length = std::min(static_cast<std::uint32_t>(bytes) - done, piece_bytes);
    const auto piece = std::span(buffer).first(length);
    const auto at = static_cast<std::uint32_t>(sector) + done / disk_sector_bytes;
    const bool moved = to_guest
                           ? disks.read_disk(number_, at, piece) && chain.write(memory, done, piece)
                           : chain.read(memory, sizeof(Header) + done, piece) &&
                                 disks.write_disk(number_, at, piece);
    if (!moved) return Status::io_error;
    done += length;
  }
  return Status::ok;
}

// The disk's name: 20 bytes, ended by a zero if it is shorter.
VirtioBlock::Status VirtioBlock::identify(const VirtioChain& chain, DmaMemory& memory) const {
  char name[name_bytes] = "undercroft-0";
  name[11] = static_cast<char>('0' + number_);
  const auto room =
      static_cast<std::size_t>(std::min<std::uint64_t>(chain.writable_bytes() - 1, name_bytes));
  return chain.write(memory, 0, std::as_bytes(std::span(name)).first(room)) ? Status::ok
                                                                            : Status::io_error;
}

}  // namespace undercroft
