#include "guest_ram.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {

bool give_ram(FrameTable& table, FramePool& pool, GuestPhysical first, std::uint64_t bytes,
              RamGiving giving) {
  GuestPhysical page = first;
  for (std::uint64_t left = bytes / page_size; left != 0; --left, page += page_size) {
    if (giving == RamGiving::lazy) {
      if (!table.set_frame(page, FrameKind::not_yet_given)) return false;
      continue;
    }
    const auto frame = pool.allocate_zeroed();
    if (!frame || !table.set_frame(page, FrameKind::ram, *frame)) return false;
  }
  return true;
}

bool give_device(FrameTable& table, GuestPhysical first, std::uint32_t bytes) {
  for (std::uint32_t offset = 0; offset < bytes; offset += page_size)
    if (!table.set_frame(first + offset, FrameKind::device)) return false;
  return true;
}

bool LoaderRam::is_ram(GuestPhysical address, std::uint64_t bytes) const {
  const std::uint64_t end = address.value() + bytes;
  if (end > bytes_) return false;
  for (std::uint64_t page = address.page().value(); page < end; page += page_size) {
    const auto kind = memory_.table().entry(GuestPhysical(static_cast<std::uint32_t>(page))).kind;
    if (!is_memory(kind) || kind == FrameKind::read_only_image ||
        kind == FrameKind::device_memory || kind == FrameKind::framebuffer) {
      return false;
    }
  }
  return true;
}

bool LoaderRam::write(GuestPhysical address, std::span<const std::byte> bytes) {
  if (!is_ram(address, bytes.size())) return false;
  memory_.write(address, bytes);
  return true;
}

bool LoaderRam::fill(GuestPhysical address, std::byte value, std::uint32_t bytes) {
  if (!is_ram(address, bytes)) return false;
  memory_.fill(address, value, bytes);
  return true;
}

bool LoaderRom::write(GuestPhysical address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const FrameEntry entry = memory_.table().entry(address);
    if (entry.kind != FrameKind::read_only_image) return false;
    const auto part = std::min<std::size_t>(bytes.size(), page_size - address.page_offset());
    const MappedFrame page = memory_.slots().map(entry.frame);
    std::memcpy(page.bytes() + address.page_offset(), bytes.data(), part);
    bytes = bytes.subspan(part);
    address += static_cast<std::uint32_t>(part);
  }
  return true;
}

bool MachineBytes::read(std::uint64_t offset, std::span<std::byte> out) {
  if (offset > bytes_ || out.size() > bytes_ - offset) return false;
  HostPhysical address = start_ + static_cast<std::uint32_t>(offset);
  while (!out.empty()) {
    const auto part = std::min<std::size_t>(out.size(), page_size - address.page_offset());
    std::memcpy(out.data(), slots_.map(address).bytes() + address.page_offset(), part);
    out = out.subspan(part);
    address += part;
  }
  return true;
}

}  // namespace undercroft
