// Guest memory from address 0 on, for devices that reach it by themselves.
#pragma once

#include <cstring>
#include <vector>

#include "monitor/devices/device_ports.hpp"

namespace undercroft {

class VectorMemory final : public DmaMemory {
 public:
  explicit VectorMemory(std::size_t size) : bytes(size) {}
  bool read(GuestPhysical address, std::span<std::byte> out) override {
    const bool there = has(address, out.size());
    if (there) std::memcpy(out.data(), bytes.data() + address.value(), out.size());
    return there;
  }
  bool write(GuestPhysical address, std::span<const std::byte> in) override {
    const bool there = has(address, in.size());
    if (there) std::memcpy(bytes.data() + address.value(), in.data(), in.size());
    return there;
  }
  void set_word(std::uint32_t address, std::uint32_t value) {
    std::memcpy(bytes.data() + address, &value, 4);
  }
  std::vector<std::byte> bytes;

 private:
  bool has(GuestPhysical address, std::size_t count) const {
    return address.value() <= bytes.size() && count <= bytes.size() - address.value();
  }
};

}  // namespace undercroft
