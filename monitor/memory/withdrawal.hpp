// Machine frames taken back from a running guest, and given again at the next touch with what they
// held (design section 3). A zero page is dropped, another is packed; one that does not pack well
// stays. Watchers keep their bits in the frame table meanwhile, since the contents do not change.
// Which pages are cold is found out by unmapping: one that has not been mapped again when the hand
// comes round is not in use.
#pragma once

#include <array>
#include <cstdint>

#include "frame_pool.hpp"
#include "frame_table.hpp"
#include "guest_memory.hpp"
#include "mapping_slots.hpp"
#include "page_store.hpp"

namespace undercroft {

// Takes a guest frame from every address space that the processor may walk.
class FrameUnmapper {
 public:
  virtual void unmap(GuestPhysical frame) = 0;

 protected:
  ~FrameUnmapper() = default;
};

// About 3 KB.
class Withdrawal final : public FrameRestorer {
 public:
  struct Counts {
    std::uint64_t zero = 0, packed = 0;  // pages withdrawn, by what was kept of them
    std::uint64_t restored = 0;          // of those
    std::uint64_t unpackable = 0;        // times that a page did not pack well enough
    std::uint64_t reclaims = 0;          // times that the pool was found empty
    std::uint32_t gained = 0;            // frames that the pool has more by it now
    std::uint32_t most_gained = 0;
  };

  Withdrawal(MappingSlots& slots, FramePool& pool, FrameTable& table)
      : slots_(slots), pool_(pool), table_(table), store_(slots, pool) {}

  // Whose pages are looked through: [0, pages) of the guest's memory.
  void set_pages(std::uint32_t pages) { pages_ = pages; }
  // Before there is one, no guest frame is mapped anywhere.
  void set_unmapper(FrameUnmapper& unmapper) { unmapper_ = &unmapper; }
  // So many frames of the pool are never given to the guest.
  void set_reserve(std::uint32_t frames) { reserve_ = frames; }

  // Withdraws others if the pool has none to spare.
  bool restore(GuestPhysical page) override;

  // False if the page has no frame of its own, or keeps it because it does not pack well.
  bool withdraw(GuestPhysical page);
  // Looks at the next frames: unmaps those in use, withdraws those that have not been in use since
  // the last round. True when the round is over.
  bool sweep(std::uint32_t frames);

  // A page could not be restored: what the guest has read or written since is wrong.
  bool starved() const { return starved_; }
  const Counts& counts() const { return counts_; }

 private:
  static constexpr std::uint32_t reclaim_batch = 64;
  bool has_spare() const { return pool_.free_frames() > reserve_; }
  void reclaim();
  void age(GuestPhysical page);
  GuestPhysical next_page();
  void count_gain();

  MappingSlots& slots_;
  FramePool& pool_;
  FrameTable& table_;
  PageStore store_;
  FrameUnmapper* unmapper_ = nullptr;
  std::uint32_t pages_ = 0, hand_ = 0, reserve_ = 0;
  std::uint32_t away_ = 0;  // pages that are withdrawn now
  bool starved_ = false;
  Counts counts_{};
  std::array<std::byte, PageStore::most_bytes> packed_{};
};

}  // namespace undercroft
