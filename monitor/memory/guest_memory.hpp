// Guest-physical memory as the monitor reads and writes it: RAM, images, devices, and the floating
// bus where nothing answers. Every write of the monitor to guest memory goes through here, so that
// every watcher hears of it (design section 3). Paging is guest_linear_memory.hpp's business.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "../address.hpp"
#include "frame_pool.hpp"
#include "frame_table.hpp"
#include "mapping_slots.hpp"

namespace undercroft {

// Memory-mapped registers. size is 1, 2 or 4 and the access lies within one page.
class PhysicalDevices {
 public:
  virtual std::uint32_t read(GuestPhysical, unsigned size) = 0;
  virtual void write(GuestPhysical, std::uint32_t value, unsigned size) = 0;

 protected:
  ~PhysicalDevices() = default;
};

// Hears of a write to a frame that it watches, after the write. The bytes lie within one page.
class WriteWatcher {
 public:
  virtual void written(GuestPhysical, unsigned bytes) = 0;

 protected:
  ~WriteWatcher() = default;
};

// Gives a machine frame to a page that is withdrawn or not yet given, and makes it ram in the frame
// table. False: there is none left.
class FrameRestorer {
 public:
  virtual bool restore(GuestPhysical page) = 0;

 protected:
  ~FrameRestorer() = default;
};

// Restores pages whose contents are zero: those never given, and withdrawn zero pages.
class ZeroFrames final : public FrameRestorer {
 public:
  ZeroFrames(FramePool& pool, FrameTable& table) : pool_(pool), table_(table) {}
  bool restore(GuestPhysical page) override;

 private:
  FramePool& pool_;
  FrameTable& table_;
};

class GuestMemory {
 public:
  GuestMemory(MappingSlots& slots, FrameTable& table, PhysicalDevices& devices,
              FrameRestorer& restorer)
      : slots_(slots), table_(table), devices_(devices), restorer_(restorer) {}

  // size is 1 to 4; the access may cross a page. Absent memory reads as all ones.
  std::uint32_t read(GuestPhysical, unsigned size);
  void write(GuestPhysical, std::uint32_t value, unsigned size);

  // Bulk access; devices are accessed byte by byte.
  void read(GuestPhysical, std::span<std::byte> out);
  void write(GuestPhysical, std::span<const std::byte>);
  void fill(GuestPhysical, std::byte value, std::uint32_t bytes);

  // For walk_guest.
  std::uint32_t read_entry(GuestPhysical address) { return read(address, 4); }

  // Registers who hears of writes to frames that carry the watcher's bit. At most four each; false
  // if there are more.
  bool add_watcher(Watcher, WriteWatcher&);
  // Hears of every write to RAM, watched or not.
  void set_dirty_hook(WriteWatcher* hook);

  // The machine's page if the caller may access the guest's page behind this class's back: RAM or
  // image for reads, RAM that nobody watches for writes. The right ends when version() changes.
  std::optional<HostPhysical> direct_frame(GuestPhysical, bool write);
  std::uint32_t version() const { return table_.version() + hook_version_; }

  // Gives the page its machine frame if it has none yet. False if there is none left.
  bool restore(GuestPhysical page);

  FrameTable& table() { return table_; }
  MappingSlots& slots() { return slots_; }

 private:
  FrameEntry restored_entry(GuestPhysical);
  void tell(Watchers, GuestPhysical, unsigned bytes);
  std::uint32_t read_in_page(GuestPhysical, unsigned size);
  void write_in_page(GuestPhysical, std::uint32_t value, unsigned size);

  MappingSlots& slots_;
  FrameTable& table_;
  PhysicalDevices& devices_;
  FrameRestorer& restorer_;
  std::array<std::array<WriteWatcher*, 4>, watcher_count> watchers_{};
  WriteWatcher* dirty_hook_ = nullptr;
  std::uint32_t hook_version_ = 0;
};

}  // namespace undercroft
