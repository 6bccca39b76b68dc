// The three address spaces as three types that do not convert into one another
// (design section 3). What this file knows: arithmetic within one space. The crossings
// are named functions elsewhere: guest_walk (GuestLinear -> GuestPhysical) and
// FrameTable (GuestPhysical -> HostPhysical).
#pragma once

#include <compare>
#include <cstdint>

namespace undercroft {

inline constexpr std::uint32_t page_size = 4096;
inline constexpr std::uint32_t page_mask = page_size - 1;

// A 32-bit byte address in the space named by Tag. Offsets wrap at 4 GB, as on the machine.
template <class Tag>
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(std::uint32_t value) : value_(value) {}
  static constexpr Address of_page(std::uint32_t page_number) {
    return Address(page_number * page_size);
  }

  constexpr std::uint32_t value() const { return value_; }
  constexpr std::uint32_t page_number() const { return value_ / page_size; }
  constexpr std::uint32_t page_offset() const { return value_ & page_mask; }
  constexpr Address page() const { return Address(value_ & ~page_mask); }

  constexpr auto operator<=>(const Address&) const = default;  // NOLINT(modernize-use-nullptr)
  friend constexpr Address operator+(Address a, std::uint32_t bytes) {
    return Address(a.value_ + bytes);
  }
  friend constexpr Address operator-(Address a, std::uint32_t bytes) {
    return Address(a.value_ - bytes);
  }
  friend constexpr std::uint32_t operator-(Address a, Address b) { return a.value_ - b.value_; }
  constexpr Address& operator+=(std::uint32_t bytes) {
    value_ += bytes;
    return *this;
  }

 private:
  std::uint32_t value_ = 0;
};

using GuestLinear = Address<struct GuestLinearTag>;      // after guest segmentation
using GuestPhysical = Address<struct GuestPhysicalTag>;  // after guest paging
using HostPhysical = Address<struct HostPhysicalTag>;    // on the machine's bus
using HostLinear = Address<struct HostLinearTag>;        // what the processor's paging sees

}  // namespace undercroft
