#include "loading.hpp"

#include <algorithm>

namespace undercroft {

bool copy_to_guest(GuestRam& ram, ByteSource& source, std::uint64_t offset, GuestPhysical to,
                   std::uint64_t bytes) {
  std::array<std::byte, 2048> buffer;  // the monitor's stack is small
  while (bytes > 0) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffer.size())));
    if (!source.read(offset, part) || !ram.write(to, part)) return false;
    offset += part.size();
    to += static_cast<std::uint32_t>(part.size());
    bytes -= part.size();
  }
  return true;
}

Result<GuestPhysical, LoadError> claim_structure(Loading& loading, std::uint64_t bytes,
                                                 std::uint32_t alignment) {
  Placement& placement = loading.placement;
  auto place = placement.find_lowest(bytes, alignment, low_memory_first, low_memory_end);
  if (!place) place = placement.find_lowest(bytes, alignment, one_megabyte, loading.ram.size());
  if (!place || !placement.claim(*place, bytes)) {
    return refuse("mem", "no room in guest memory for the boot information");
  }
  return GuestPhysical(*place);
}

void GuestWriter::raw(std::span<const std::byte> bytes) {
  if (ram_ && ok_) ok_ = ram_->write(position(), bytes);
  written_ += static_cast<std::uint32_t>(bytes.size());
}

void GuestWriter::field(std::uint64_t value, unsigned bytes) {
  std::array<std::byte, 8> raw_bytes{};
  for (unsigned i = 0; i < bytes; ++i) raw_bytes[i] = static_cast<std::byte>(value >> (8 * i));
  raw(std::span(raw_bytes).first(bytes));
}

void GuestWriter::string(std::string_view text) {
  raw(std::as_bytes(std::span(text.data(), text.size())));
  u8(0);
}

}  // namespace undercroft
