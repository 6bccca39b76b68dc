// A LinearMemory for tests: bytes from address 0 up, page rights set by hand. Everything is
// readable and writable by everyone until a test says otherwise; above the end nothing is present.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <vector>

#include "monitor/memory/linear_memory.hpp"

namespace undercroft::test {

class FlatMemory final : public LinearMemory {
 public:
  struct Rights {
    bool present = true;
    bool writable = true;  // for the supervisor too, as with CR0.WP = 1
    bool user = true;
  };

  explicit FlatMemory(std::uint32_t bytes = 1 << 20)
      : bytes_(bytes), rights_((bytes + page_mask) / page_size) {}

  // Rights of the page that holds `address`.
  Rights& page(std::uint32_t address) { return rights_.at(address / page_size); }

  // Direct access without rights.
  std::uint8_t* data() { return bytes_.data(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(bytes_.size()); }
  void put(std::uint32_t address, std::initializer_list<int> values) {
    for (int value : values) bytes_.at(address++) = static_cast<std::uint8_t>(value);
  }
  void put8(std::uint32_t address, std::uint32_t value) { store(address, value, 1); }
  void put16(std::uint32_t address, std::uint32_t value) { store(address, value, 2); }
  void put32(std::uint32_t address, std::uint32_t value) { store(address, value, 4); }
  void put64(std::uint32_t address, std::uint64_t value) {
    put32(address, static_cast<std::uint32_t>(value));
    put32(address + 4, static_cast<std::uint32_t>(value >> 32));
  }
  std::uint8_t get8(std::uint32_t address) const { return bytes_.at(address); }
  std::uint16_t get16(std::uint32_t address) const {
    return static_cast<std::uint16_t>(load(address, 2));
  }
  std::uint32_t get32(std::uint32_t address) const { return load(address, 4); }
  std::uint64_t get64(std::uint32_t address) const {
    return get32(address) | std::uint64_t{get32(address + 4)} << 32;
  }

  // Accesses that came through the LinearMemory interface.
  unsigned reads = 0;
  unsigned writes = 0;

  Guarded<std::uint32_t> read(GuestLinear address, unsigned bytes, Privilege privilege) override {
    ++reads;
    TRY(check(address, bytes, privilege, false));
    return load(address.value(), bytes);
  }
  Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned bytes,
                      Privilege privilege) override {
    ++writes;
    TRY(check(address, bytes, privilege, true));
    store(address.value(), value, bytes);
    return Done{};
  }
  Guarded<std::uint32_t> read_to_modify(GuestLinear address, unsigned bytes,
                                        Privilege privilege) override {
    ++reads;
    TRY(check(address, bytes, privilege, true));
    return load(address.value(), bytes);
  }
  Guarded<Done> probe_write(GuestLinear address, unsigned bytes, Privilege privilege) override {
    return check(address, bytes, privilege, true);
  }
  Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out,
                          Privilege privilege) override {
    TRY(check(address, 1, privilege, false));
    unsigned count = 0;
    while (count < out.size()) {
      const GuestLinear at = address + count;
      if (at.page_offset() == 0 && !check(at, 1, privilege, false).ok()) break;
      out[count++] = bytes_[at.value()];
    }
    return count;
  }

 private:
  // SDM volume 3, 4.7: P, W/R and U/S bits of the error code.
  Guarded<Done> check(GuestLinear address, unsigned bytes, Privilege privilege, bool write) const {
    const std::uint32_t code = (write ? 2u : 0u) | (privilege == Privilege::user ? 4u : 0u);
    for (unsigned i = 0; i < bytes; i = next_page(address, i)) {
      const GuestLinear at = address + i;
      const bool exists = at.value() < size() && rights_[at.page_number()].present;
      if (!exists) return Failure{Exception::page_fault(at, code)};
      const Rights& rights = rights_[at.page_number()];
      const bool allowed =
          (rights.user || privilege == Privilege::supervisor) && (rights.writable || !write);
      if (!allowed) return Failure{Exception::page_fault(at, code | 1)};
    }
    return Done{};
  }
  static unsigned next_page(GuestLinear address, unsigned i) {
    return i + page_size - (address + i).page_offset();
  }

  std::uint32_t load(std::uint32_t address, unsigned count) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i) {
      value |= static_cast<std::uint32_t>(bytes_.at(address + i)) << (8 * i);
    }
    return value;
  }
  void store(std::uint32_t address, std::uint32_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      bytes_.at(address + i) = static_cast<std::uint8_t>(value >> (8 * i));
    }
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<Rights> rights_;
};

}  // namespace undercroft::test
