// Machine frames reached from the monitor through the window's mapping slots: a direct-mapped cache
// by frame (design section 2). A frame is used only through a MappedFrame, which pins its slot for
// as long as it lives, so that no pointer outlives its mapping.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../address.hpp"

namespace undercroft {

inline constexpr unsigned mapping_slot_count = 64;

// Repoints one slot; the implementation drops the stale TLB entry.
class SlotPort {
 public:
  virtual void point(unsigned slot, HostPhysical frame) = 0;

 protected:
  ~SlotPort() = default;
};

class MappingSlots;

class MappedFrame {
 public:
  MappedFrame(MappedFrame&& other) noexcept
      : slots_(other.slots_), slot_(other.slot_), data_(other.data_) {
    other.slots_ = nullptr;
  }
  MappedFrame(const MappedFrame&) = delete;
  MappedFrame& operator=(const MappedFrame&) = delete;
  inline ~MappedFrame();

  std::byte* bytes() const { return data_; }
  std::uint32_t* words() const { return reinterpret_cast<std::uint32_t*>(data_); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  friend class MappingSlots;
  MappedFrame(MappingSlots* slots, unsigned slot, std::byte* data)
      : slots_(slots), slot_(slot), data_(data) {}
  MappingSlots* slots_;
  unsigned slot_;
  std::byte* data_;
};

class MappingSlots {
 public:
  // first: where slot 0 appears; the others follow, a page each.
  MappingSlots(std::byte* first, SlotPort& port) : first_(first), port_(port) {
    tags_.fill(no_frame);
  }

  // The page that holds `address`. At most mapping_slot_count - 1 may be alive at once.
  MappedFrame map(HostPhysical address) {
    const std::uint32_t frame = address.page_number();
    unsigned slot = frame % mapping_slot_count;
    while (tags_[slot] != frame) {
      if (pins_[slot] == 0) {
        tags_[slot] = frame;
        port_.point(slot, address.page());
        break;
      }
      slot = slot + 1 == mapping_slot_count ? 0 : slot + 1;
    }
    ++pins_[slot];
    return {this, slot, first_ + slot * page_size};
  }

 private:
  friend class MappedFrame;
  static constexpr std::uint32_t no_frame = ~0u;
  std::byte* first_;
  SlotPort& port_;
  std::array<std::uint32_t, mapping_slot_count> tags_{};
  std::array<std::uint16_t, mapping_slot_count> pins_{};
};

inline MappedFrame::~MappedFrame() {
  if (slots_) --slots_->pins_[slot_];
}

}  // namespace undercroft
