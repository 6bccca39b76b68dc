// How the firmware gets into its ROM: a port for the ROM, the room in it that is still free, and a
// writer for one table, which keeps the sum of its bytes and goes back to fields that are known at
// the end only. All fields are little-endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "../../monitor/address.hpp"

namespace undercroft {

// The guest's BIOS memory, which it cannot write itself.
class FirmwareRom {
 public:
  // False, and nothing may be relied on, if part of the range is no ROM.
  virtual bool write(GuestPhysical, std::span<const std::byte>) = 0;

 protected:
  ~FirmwareRom() = default;
};

class TableWriter {
 public:
  TableWriter(FirmwareRom& rom, GuestPhysical at) : rom_(rom), first_(at) {}

  void u8(std::uint8_t value) { field(value, 1); }
  void u16(std::uint16_t value) { field(value, 2); }
  void u32(std::uint32_t value) { field(value, 4); }
  void u64(std::uint64_t value) { field(value, 8); }
  void zeros(unsigned count);
  void bytes(std::span<const std::uint8_t>);
  // Exactly `width` bytes: cut, or filled up.
  void text(std::string_view, unsigned width, char filling = ' ');
  void string(std::string_view);  // and its terminating zero

  // Fields that were left zero so far, by their offset.
  void set_u8(unsigned offset, std::uint8_t value) { patch(offset, value, 1); }
  void set_u16(unsigned offset, std::uint16_t value) { patch(offset, value, 2); }
  void set_u32(unsigned offset, std::uint32_t value) { patch(offset, value, 4); }
  // Makes the sum of all bytes zero.
  void set_checksum(unsigned offset) { set_u8(offset, static_cast<std::uint8_t>(0 - sum_)); }

  GuestPhysical start() const { return first_; }
  GuestPhysical position() const { return first_ + written_; }
  unsigned written() const { return written_; }  // bytes
  std::uint8_t sum() const { return sum_; }
  bool ok() const { return ok_; }  // all of it went into ROM

 private:
  void field(std::uint64_t value, unsigned bytes);
  void patch(unsigned offset, std::uint64_t value, unsigned bytes);
  void put(GuestPhysical at, std::span<const std::byte>);

  FirmwareRom& rom_;
  GuestPhysical first_;
  unsigned written_ = 0;
  std::uint8_t sum_ = 0;
  bool ok_ = true;
};

// The part of the ROM that has no table yet. Each table begins on 16 bytes, which is where kernels
// look for signatures.
class RomSpace {
 public:
  RomSpace(FirmwareRom& rom, GuestPhysical first, GuestPhysical end)
      : rom_(rom), next_(first), end_(end) {}

  TableWriter begin() const { return {rom_, next_}; }
  // Takes what was written; its address.
  GuestPhysical take(const TableWriter&);
  bool ok() const { return ok_; }  // all tables found room

 private:
  FirmwareRom& rom_;
  GuestPhysical next_;
  GuestPhysical end_;
  bool ok_ = true;
};

}  // namespace undercroft
