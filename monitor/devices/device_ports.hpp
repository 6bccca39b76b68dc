// What the virtual devices need from outside besides the Clock (monitor/ports.hpp): a place for the
// characters that a guest sends, and a log for accesses that nothing answers.
#pragma once

#include <cstdint>

namespace undercroft {

// Takes one byte that the guest has sent: a serial line or the debug console.
class CharacterSink {
 public:
  virtual void put(std::uint8_t byte) = 0;

 protected:
  ~CharacterSink() = default;
};

// Hears of each unclaimed port once, at its first access. size is 1, 2 or 4.
class DeviceLog {
 public:
  virtual void unclaimed_read(std::uint16_t port, unsigned size) = 0;
  virtual void unclaimed_write(std::uint16_t port, std::uint32_t value, unsigned size) = 0;

 protected:
  ~DeviceLog() = default;
};

// No deadline: nothing will happen by itself.
inline constexpr std::uint64_t no_deadline = ~std::uint64_t{0};

}  // namespace undercroft
