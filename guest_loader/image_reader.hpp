// Little-endian fields of an image, read with their bounds checked. All arithmetic is 64 bits wide
// over 32-bit operands, so that no sum of a malformed image's fields can wrap.
#pragma once

#include <array>

#include "guest_loader.hpp"

namespace undercroft {

class ImageReader {
 public:
  explicit ImageReader(ByteSource& source) : source_(source), size_(source.size()) {}

  ByteSource& source() const { return source_; }
  std::uint64_t size() const { return size_; }
  bool contains(std::uint64_t offset, std::uint64_t bytes) const {
    return offset <= size_ && bytes <= size_ - offset;
  }

  // Zero if the field is not all inside the image: ask contains() first where that matters.
  std::uint8_t u8(std::uint64_t offset) const { return field<std::uint8_t>(offset); }
  std::uint16_t u16(std::uint64_t offset) const { return field<std::uint16_t>(offset); }
  std::uint32_t u32(std::uint64_t offset) const { return field<std::uint32_t>(offset); }
  std::uint64_t u64(std::uint64_t offset) const { return field<std::uint64_t>(offset); }
  bool bytes(std::uint64_t offset, std::span<std::byte> out) const {
    return contains(offset, out.size()) && source_.read(offset, out);
  }

 private:
  template <class T>
  T field(std::uint64_t offset) const {
    std::array<std::byte, sizeof(T)> raw{};
    if (!bytes(offset, raw)) return 0;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < sizeof(T); ++i) {
      value |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
    }
    return static_cast<T>(value);
  }

  ByteSource& source_;
  std::uint64_t size_;
};

}  // namespace undercroft
