// Loads and stores of one to four bytes, little-endian and unaligned, without a call to memcpy:
// they are on the interpreter's hot path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace undercroft {

template <class T>
inline T load_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);  // of constant size: one instruction
  return value;
}
template <class T>
inline void store_as(std::byte* to, std::uint32_t value) {
  const T narrow = static_cast<T>(value);
  std::memcpy(to, &narrow, sizeof narrow);
}

// size is 1 to 4; the result is zero-extended.
inline std::uint32_t load_bytes(const std::byte* from, unsigned size) {
  switch (size) {
    case 1:
      return load_as<std::uint8_t>(from);
    case 2:
      return load_as<std::uint16_t>(from);
    case 3:
      return load_as<std::uint16_t>(from) | load_as<std::uint8_t>(from + 2) << 16;
    default:
      return load_as<std::uint32_t>(from);
  }
}

inline void store_bytes(std::byte* to, std::uint32_t value, unsigned size) {
  switch (size) {
    case 1:
      return store_as<std::uint8_t>(to, value);
    case 2:
      return store_as<std::uint16_t>(to, value);
    case 3:
      store_as<std::uint16_t>(to, value);
      return store_as<std::uint8_t>(to + 2, value >> 16);
    default:
      return store_as<std::uint32_t>(to, value);
  }
}

}  // namespace undercroft
