#include "guest_memory.hpp"

#include <algorithm>
#include <cstring>

#include "small_copy.hpp"

namespace undercroft {

namespace {

constexpr std::uint32_t all_ones(unsigned size) { return ~0u >> (32 - 8 * size); }

constexpr std::uint32_t left_in_page(GuestPhysical address) {
  return page_size - address.page_offset();
}

}  // namespace

bool ZeroFrames::restore(GuestPhysical page) {
  const auto frame = pool_.allocate_zeroed();
  if (!frame) return false;
  // The entry exists, since the page has a kind: setting it needs no frame.
  return table_.set_frame(page, FrameKind::ram, *frame);
}

bool GuestMemory::add_watcher(Watcher kind, WriteWatcher& watcher) {
  for (WriteWatcher*& place : watchers_[static_cast<unsigned>(kind)]) {
    if (place) continue;
    place = &watcher;
    return true;
  }
  return false;
}

void GuestMemory::set_dirty_hook(WriteWatcher* hook) {
  dirty_hook_ = hook;
  ++hook_version_;
}

void GuestMemory::tell(Watchers watchers, GuestPhysical address, unsigned bytes) {
  if (dirty_hook_) dirty_hook_->written(address, bytes);
  if (!watchers.any()) return;
  for (unsigned kind = 0; kind < watcher_count; ++kind) {
    if (!watchers.has(static_cast<Watcher>(kind))) continue;
    for (WriteWatcher* watcher : watchers_[kind])
      if (watcher) watcher->written(address, bytes);
  }
}

bool GuestMemory::restore(GuestPhysical page) {
  const FrameKind kind = table_.entry(page).kind;
  if (kind != FrameKind::withdrawn && kind != FrameKind::not_yet_given) return true;
  return restorer_.restore(page.page());
}

// The entry with its machine frame given. If none is left it still has none, and the page floats
// like absent memory.
FrameEntry GuestMemory::restored_entry(GuestPhysical address) {
  const FrameEntry entry = table_.entry(address);
  if (entry.kind != FrameKind::withdrawn && entry.kind != FrameKind::not_yet_given) return entry;
  if (!restorer_.restore(address.page())) return entry;
  return table_.entry(address);
}

std::uint32_t GuestMemory::read_in_page(GuestPhysical address, unsigned size) {
  const FrameEntry entry = restored_entry(address);
  if (has_machine_frame(entry.kind)) {
    return load_bytes(slots_.map(entry.frame).bytes() + address.page_offset(), size);
  }
  if (entry.kind != FrameKind::device) return all_ones(size);
  // Three bytes are what is left of an access that crosses a page: the bus splits it.
  if (size == 3) return read_in_page(address, 1) | read_in_page(address + 1, 2) << 8;
  return devices_.read(address, size) & all_ones(size);
}

void GuestMemory::write_in_page(GuestPhysical address, std::uint32_t value, unsigned size) {
  const FrameEntry entry = restored_entry(address);
  if (is_writable(entry.kind)) {
    store_bytes(slots_.map(entry.frame).bytes() + address.page_offset(), value, size);
    tell(entry.watchers, address, size);
  } else if (entry.kind == FrameKind::device) {
    if (size == 3) {
      write_in_page(address, value, 1);
      return write_in_page(address + 1, value >> 8, 2);
    }
    devices_.write(address, value & all_ones(size), size);
  }
}

std::uint32_t GuestMemory::read(GuestPhysical address, unsigned size) {
  if (size <= left_in_page(address)) return read_in_page(address, size);
  std::uint32_t value = 0;
  read(address, std::as_writable_bytes(std::span(&value, 1)).first(size));
  return value;
}

void GuestMemory::write(GuestPhysical address, std::uint32_t value, unsigned size) {
  if (size <= left_in_page(address)) return write_in_page(address, value, size);
  write(address, std::as_bytes(std::span(&value, 1)).first(size));
}

void GuestMemory::read(GuestPhysical address, std::span<std::byte> out) {
  while (!out.empty()) {
    const auto bytes = std::min<std::size_t>(out.size(), left_in_page(address));
    const FrameEntry entry = restored_entry(address);
    if (has_machine_frame(entry.kind)) {
      std::memcpy(out.data(), slots_.map(entry.frame).bytes() + address.page_offset(), bytes);
    } else if (entry.kind == FrameKind::device) {
      for (std::size_t i = 0; i < bytes; ++i)
        out[i] = static_cast<std::byte>(devices_.read(address + i, 1));
    } else {
      std::memset(out.data(), 0xff, bytes);
    }
    out = out.subspan(bytes);
    address += bytes;
  }
}

void GuestMemory::write(GuestPhysical address, std::span<const std::byte> in) {
  while (!in.empty()) {
    const auto bytes = std::min<std::size_t>(in.size(), left_in_page(address));
    const FrameEntry entry = restored_entry(address);
    if (is_writable(entry.kind)) {
      std::memcpy(slots_.map(entry.frame).bytes() + address.page_offset(), in.data(), bytes);
      tell(entry.watchers, address, bytes);
    } else if (entry.kind == FrameKind::device) {
      for (std::size_t i = 0; i < bytes; ++i)
        devices_.write(address + i, std::to_integer<std::uint32_t>(in[i]), 1);
    }
    in = in.subspan(bytes);
    address += bytes;
  }
}

void GuestMemory::fill(GuestPhysical address, std::byte value, std::uint32_t bytes) {
  while (bytes != 0) {
    const std::uint32_t part = std::min(bytes, left_in_page(address));
    const FrameEntry entry = restored_entry(address);
    if (is_writable(entry.kind)) {
      std::memset(slots_.map(entry.frame).bytes() + address.page_offset(),
                  std::to_integer<int>(value), part);
      tell(entry.watchers, address, part);
    } else if (entry.kind == FrameKind::device) {
      for (std::uint32_t i = 0; i < part; ++i)
        devices_.write(address + i, std::to_integer<std::uint32_t>(value), 1);
    }
    bytes -= part;
    address += part;
  }
}

std::optional<HostPhysical> GuestMemory::direct_frame(GuestPhysical page, bool write) {
  const FrameEntry entry = restored_entry(page);
  if (!has_machine_frame(entry.kind)) return std::nullopt;
  if (write && (!is_writable(entry.kind) || entry.watchers.any() || dirty_hook_))
    return std::nullopt;
  return entry.frame;
}

}  // namespace undercroft
