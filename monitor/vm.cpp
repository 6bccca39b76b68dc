#include "vm.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {
namespace {

constexpr std::uint32_t low_memory_end = 0xa0000;
constexpr std::uint32_t rom_start = 0xc0000;
constexpr std::uint32_t high_memory_start = 0x100000;

constexpr std::uint32_t left_in_page(GuestPhysical address) {
  return page_size - address.page_offset();
}

}  // namespace

bool PcDma::read(GuestPhysical address, std::span<std::byte> out) {
  bool all = true;
  while (!out.empty()) {
    const auto part = out.first(std::min<std::size_t>(out.size(), left_in_page(address)));
    if (is_memory(memory_.table().entry(address).kind)) {
      memory_.read(address, part);
    } else {
      std::memset(part.data(), 0xff, part.size());
      all = false;
    }
    out = out.subspan(part.size());
    address += part.size();
  }
  return all;
}

bool PcDma::write(GuestPhysical address, std::span<const std::byte> in) {
  bool all = true;
  while (!in.empty()) {
    const auto part = in.first(std::min<std::size_t>(in.size(), left_in_page(address)));
    const bool reaches = is_memory(memory_.table().entry(address).kind);
    if (reaches) memory_.write(address, part);
    all = all && reaches;
    in = in.subspan(part.size());
    address += part.size();
  }
  return all;
}

bool Vm::lay_out(std::uint64_t ram_bytes, bool eager) {
  if (!table.make_entries(ram_bytes) || !video.take_frames()) return false;
  ram_end_ = ram_bytes;
  withdrawal.set_pages(static_cast<std::uint32_t>(ram_bytes / page_size));
  for (std::uint64_t address = 0; address < ram_bytes; address += page_size) {
    const GuestPhysical page(static_cast<std::uint32_t>(address));
    FrameKind kind = eager ? FrameKind::ram : FrameKind::not_yet_given;
    if (page.value() >= low_memory_end && page.value() < rom_start) {
      kind = FrameKind::absent;
    } else if (page.value() >= rom_start && page.value() < high_memory_start) {
      kind = FrameKind::read_only_image;
    }
    HostPhysical frame{};
    if (has_machine_frame(kind)) {
      const bool blank = kind == FrameKind::read_only_image;
      const auto given = blank ? pool.allocate_zeroed() : pool.allocate();
      if (!given) return false;
      frame = *given;
    }
    if (!table.set_frame(page, kind, frame)) return false;
  }
  covered_ = {pc.apic_page(), FrameKind::absent, {}};
  for (const MemoryRange& range : pc.memory_ranges()) {
    for (std::uint32_t offset = 0; offset < range.bytes; offset += page_size) {
      if (!give_device(range.first + offset)) return false;
    }
  }
  return true;
}

// The frame table has entries for both places: give_device or lay_out made them, or watch does.
void Vm::place_apic() {
  table.set_frame(covered_.page, covered_.kind, covered_.frame);
  if (pc.apic_enabled()) cover(pc.apic_page());
}

void Vm::cover(GuestPhysical page) {
  const FrameEntry under = table.entry(page);
  covered_ = {page, under.kind, under.frame};
  give_device(page);
}

bool Vm::show_framebuffer(const Framebuffer& framebuffer) {
  const auto start = static_cast<std::uint32_t>(framebuffer.address);
  const GuestPhysical first = GuestPhysical(start).page();
  const std::uint64_t bytes = framebuffer.bytes() + GuestPhysical(start).page_offset();
  for (std::uint64_t offset = 0; offset < bytes; offset += page_size) {
    const GuestPhysical page = first + static_cast<std::uint32_t>(offset);
    if (!table.set_frame(page, FrameKind::framebuffer, HostPhysical(page.value()))) return false;
  }
  return true;
}

bool Vm::give_device(GuestPhysical page) { return table.set_frame(page, FrameKind::device); }

}  // namespace undercroft
