// One entry of a page table, 32-bit or PAE, of the guest's or of the monitor's (SDM volume 3, 4.3
// and 4.4.2). It knows the bits and the fields; what they mean together is guest_walk.hpp's and the
// shadow's business. A 32-bit entry is held with its upper half zero.
#pragma once

#include <cstdint>

#include "../address.hpp"

namespace undercroft {

namespace page_bit {
inline constexpr std::uint64_t no_execute = 1ull << 63;  // PAE; reserved without EFER.NXE
inline constexpr std::uint32_t global = 1u << 8;         // leaf entries, with CR4.PGE
inline constexpr std::uint32_t large = 1u << 7;          // directory entries: maps 4 MB or 2 MB
inline constexpr std::uint32_t dirty = 1u << 6;          // leaf entries
inline constexpr std::uint32_t accessed = 1u << 5;
inline constexpr std::uint32_t cache_disable = 1u << 4;
inline constexpr std::uint32_t write_through = 1u << 3;
inline constexpr std::uint32_t user = 1u << 2;
inline constexpr std::uint32_t writable = 1u << 1;
inline constexpr std::uint32_t present = 1u << 0;
}  // namespace page_bit

// Bits of the machine's bus that a PAE entry can name; the bits above are reserved.
inline constexpr unsigned physical_address_bits = 36;

class PageEntry {
 public:
  constexpr PageEntry() = default;
  constexpr explicit PageEntry(std::uint64_t bits) : bits_(bits) {}

  constexpr bool no_execute() const { return bits_ & page_bit::no_execute; }
  constexpr bool global() const { return bits_ & page_bit::global; }
  constexpr bool large() const { return bits_ & page_bit::large; }
  constexpr bool dirty() const { return bits_ & page_bit::dirty; }
  constexpr bool accessed() const { return bits_ & page_bit::accessed; }
  constexpr bool cache_disable() const { return bits_ & page_bit::cache_disable; }
  constexpr bool write_through() const { return bits_ & page_bit::write_through; }
  constexpr bool user() const { return bits_ & page_bit::user; }
  constexpr bool writable() const { return bits_ & page_bit::writable; }
  constexpr bool present() const { return bits_ & page_bit::present; }

  // Bits 31:12, the address of a table or a 4 KB page below 4 GB.
  constexpr std::uint32_t frame() const { return low() & ~page_mask; }
  // Bits 35:32 of a PAE entry: what it names lies above 4 GB, where no guest has memory.
  constexpr bool above_4_gb() const {
    return (bits_ >> 32) & ((1u << (physical_address_bits - 32)) - 1);
  }

  constexpr std::uint32_t low() const { return static_cast<std::uint32_t>(bits_); }
  constexpr std::uint64_t bits() const { return bits_; }

  // A 32-bit entry built from a frame and named bits.
  static constexpr PageEntry of(std::uint32_t frame_address, std::uint32_t bits) {
    return PageEntry((frame_address & ~page_mask) | bits);
  }
  constexpr PageEntry with(std::uint32_t bits) const { return PageEntry(bits_ | bits); }
  constexpr PageEntry without(std::uint32_t bits) const {
    return PageEntry(bits_ & ~std::uint64_t{bits});
  }

  constexpr bool operator==(const PageEntry&) const = default;

 private:
  std::uint64_t bits_ = 0;
};

// Reserved bits of present entries (SDM volume 3, tables 4-4 and 4-10). The PAT bits are not
// reserved, and neither PSE-36 nor execute-disable is offered.
namespace reserved_bits {
inline constexpr std::uint64_t large_32 = 0x003fe000;  // bits 21:13 of a 4 MB entry
inline constexpr std::uint64_t pae_high = ~((1ull << physical_address_bits) - 1);
inline constexpr std::uint64_t pae_large = pae_high | 0x001fe000;  // bits 20:13 of a 2 MB entry
inline constexpr std::uint64_t pae_pointer = pae_high | 0x1e6;     // checked at CR3 load: #GP(0)
}  // namespace reserved_bits

}  // namespace undercroft
