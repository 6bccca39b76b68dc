// How a guest gets its memory, and how the loader sees it: guest RAM is given page by page from the
// pool, boot modules are read where the boot loader left them. The ports of
// guest_loader/guest_loader.hpp over the monitor's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "../../guest_loader/firmware/table_writer.hpp"
#include "../../guest_loader/guest_loader.hpp"
#include "../address.hpp"
#include "frame_pool.hpp"
#include "frame_table.hpp"
#include "guest_memory.hpp"
#include "mapping_slots.hpp"

namespace undercroft {

// eager: every page of RAM has a zeroed machine frame from the start; lazy: at first touch.
enum class RamGiving : std::uint8_t { eager, lazy };

// Makes [first, first + bytes) RAM, both multiples of the page size and below 4 GB. False if the
// pool ran out; part of the RAM has been given then.
bool give_ram(FrameTable&, FramePool&, GuestPhysical first, std::uint64_t bytes, RamGiving);

// Makes the pages of [first, first + bytes) a device's.
bool give_device(FrameTable&, GuestPhysical first, std::uint32_t bytes);

class LoaderRam final : public GuestRam {
 public:
  // bytes: from address 0 to the end of RAM; there may be holes.
  LoaderRam(GuestMemory& memory, std::uint64_t bytes) : memory_(memory), bytes_(bytes) {}

  std::uint64_t size() const override { return bytes_; }
  bool write(GuestPhysical, std::span<const std::byte>) override;
  bool fill(GuestPhysical, std::byte value, std::uint32_t bytes) override;

 private:
  bool is_ram(GuestPhysical, std::uint64_t bytes) const;

  GuestMemory& memory_;
  std::uint64_t bytes_;
};

// The pages that the guest cannot write, for whoever fills them before it runs.
class LoaderRom final : public FirmwareRom {
 public:
  explicit LoaderRom(GuestMemory& memory) : memory_(memory) {}
  bool write(GuestPhysical, std::span<const std::byte>) override;

 private:
  GuestMemory& memory_;
};

// A run of the machine's memory as a file: a boot module.
class MachineBytes final : public ByteSource {
 public:
  MachineBytes(MappingSlots& slots, HostPhysical start, std::uint32_t bytes)
      : slots_(slots), start_(start), bytes_(bytes) {}

  std::uint64_t size() const override { return bytes_; }
  bool read(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  MappingSlots& slots_;
  HostPhysical start_;
  std::uint32_t bytes_;
};

}  // namespace undercroft
