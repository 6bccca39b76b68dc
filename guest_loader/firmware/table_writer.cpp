#include "table_writer.hpp"

#include <algorithm>

namespace undercroft {

void TableWriter::put(GuestPhysical at, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) sum_ += std::to_integer<std::uint8_t>(byte);
  ok_ = ok_ && rom_.write(at, bytes);
}

void TableWriter::field(std::uint64_t value, unsigned bytes) {
  patch(written_, value, bytes);
  written_ += bytes;
}

void TableWriter::patch(unsigned offset, std::uint64_t value, unsigned bytes) {
  std::array<std::byte, 8> raw{};
  for (unsigned i = 0; i < bytes; ++i) raw[i] = static_cast<std::byte>(value >> (8 * i));
  put(first_ + offset, std::span(raw).first(bytes));
}

void TableWriter::zeros(unsigned count) {
  for (; count != 0; --count) u8(0);
}

void TableWriter::bytes(std::span<const std::uint8_t> data) {
  put(position(), std::as_bytes(data));
  written_ += static_cast<unsigned>(data.size());
}

void TableWriter::text(std::string_view characters, unsigned width, char filling) {
  for (unsigned i = 0; i < width; ++i) {
    u8(static_cast<std::uint8_t>(i < characters.size() ? characters[i] : filling));
  }
}

void TableWriter::string(std::string_view characters) {
  text(characters, static_cast<unsigned>(characters.size()));
  u8(0);
}

GuestPhysical RomSpace::take(const TableWriter& table) {
  const std::uint32_t room = end_ - next_;
  const std::uint32_t taken = (table.written() + 15) & ~15u;
  ok_ = ok_ && table.ok() && taken <= room;
  next_ += std::min(taken, room);
  return table.start();
}

}  // namespace undercroft
