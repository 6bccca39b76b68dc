// Shadow page tables: what the processor walks while a guest runs (design section 4). Two roots for
// each guest address space, filled lazily, shared by key, kept coherent by watching the guest's
// tables. It knows how shadow entries follow from a walk; whether a fault means a fill is
// page_fault.hpp's business. Tables are made and released in
// shadow_tables.cpp; what is special to PAE stands in shadow_pae.cpp.
#pragma once

#include <array>
#include <cstdint>

#include "../processor.hpp"
#include "frame_pool.hpp"
#include "guest_memory.hpp"
#include "guest_walk.hpp"
#include "reverse_map.hpp"
#include "withdrawal.hpp"

namespace undercroft {

// What a shadow table stands for. The frame in its key is, in this order: the guest's page table;
// the first frame of a 4 MB page whose D bit is clear, or set; the first frame of 4 MB of linear
// space without paging; the guest's page directory, with CR4.PSE clear or set; the PAE directory of
// which it shows two entries, 2 MB each (shadow_pae.cpp). A PAE root has CR3 / 32 there.
enum class ShadowKind : std::uint8_t {
  table,
  large_clean,
  large_dirty,
  identity,
  directory,
  directory_large,
  pae_pair,
  pae_root,
};

struct ShadowKey {
  std::uint32_t frame = 0;  // guest-physical page number
  ShadowKind kind = ShadowKind::table;
  View view = View::kernel;
  bool write_protect = false;  // CR0.WP
  std::uint8_t pair = 0;       // pae_pair: which two entries of the directory, 0 to 255
  constexpr bool operator==(const ShadowKey&) const = default;

  // Built from guest memory that must be watched.
  constexpr bool from_guest_table() const {
    switch (kind) {
      case ShadowKind::table:
      case ShadowKind::directory:
      case ShadowKind::directory_large:
      case ShadowKind::pae_pair:
        return true;
      case ShadowKind::large_clean:
      case ShadowKind::large_dirty:
      case ShadowKind::identity:
      case ShadowKind::pae_root:
        break;
    }
    return false;
  }
  constexpr bool is_directory() const {
    return kind == ShadowKind::directory || kind == ShadowKind::directory_large;
  }
  constexpr bool is_two_level() const { return is_directory() || kind == ShadowKind::table; }
  // Its entries name shadow tables, one of them the window.
  constexpr bool is_root() const { return is_directory() || kind == ShadowKind::pae_root; }
};

// Hears when code that has been translated may no longer be where it was.
class CodeMappings {
 public:
  virtual void code_frame_remapped(GuestPhysical frame) = 0;
  // slot: of 4 MB of linear space, whose directory entry has changed in an address space in use.
  virtual void code_slot_remapped(unsigned slot) = 0;

 protected:
  ~CodeMappings() = default;
};

class ShadowPaging final : public WriteWatcher, public FrameUnmapper {
 public:
  static constexpr unsigned most_tables = 1024;

  // Counted for the report.
  struct Counts {
    std::uint64_t fills = 0, table_writes = 0, tables_made = 0, tables_recycled = 0;
    std::uint64_t entries_cleared = 0, protections = 0;
  };

  ShadowPaging(FramePool& pool, GuestMemory& memory, Processor& processor, CodeMappings& code)
      : pool_(pool),
        memory_(memory),
        processor_(processor),
        code_(code),
        storage_{*this},
        map_(memory.slots(), storage_) {}

  // How many shadow tables there may be: at least 64, each takes three frames.
  void set_budget(unsigned tables);
  // Takes the frames of all of them from the pool now, so that none is wanting later.
  void take_frames();

  // The address space that the guest has switched to.
  void use(const Paging&, bool write_protect);
  // The machine's page directory for it, with the window in it.
  HostPhysical root(View);

  // Lets the guest reach the page of `linear` in the view. The walk must permit that access, with
  // the A bits set; dirty: the D bit as it is by now. False if the frame is not in memory.
  bool fill(GuestLinear linear, const Walk&, View, bool dirty);
  // Whether the entries in memory allow the access already.
  bool allows(GuestLinear, View, bool write);

  // No shadow shows these linear pages, page numbers, from now on; no_page: none. fill() is in vain
  // there.
  static constexpr std::uint32_t no_page = ~0u;
  using HiddenPages = std::array<std::uint32_t, 4>;
  void hide(const HiddenPages& pages);
  bool hides(GuestLinear linear) const {
    if (!hides_any_) return false;
    for (const std::uint32_t page : hidden_) {
      if (page == linear.page_number()) return true;
    }
    return false;
  }

  // A watcher has come to the frame: nobody writes it unseen any more.
  void write_protect(GuestPhysical frame);
  // The frames with these numbers are watched like tables with a shadow, instead of those of the
  // last call; ~0: none.
  static constexpr std::uint32_t no_frame = ~0u;
  using AlsoWatched = std::array<std::uint32_t, 5>;
  static constexpr AlsoWatched none_watched{no_frame, no_frame, no_frame, no_frame, no_frame};
  void watch_also(const AlsoWatched& frames);
  // Takes the frame from every address space.
  void unmap(GuestPhysical frame) override;
  // A guest's page table or directory has been written.
  void written(GuestPhysical, unsigned bytes) override;

  // Makes the processor use the root of the view. What the views share, user pages with CR0.WP set,
  // stays in its TLB, unless the address space is another since the last load or entries were taken
  // away.
  void load(View);
  // Entries were taken away since that the TLB may still hold: load is due again.
  bool flush_due() const { return flush_due_; }

  // The window gets a new place: first its entry appears there in every root, then, when the
  // processor has moved, it goes from the old place.
  void map_window_at(HostLinear base);
  void unmap_window_at(HostLinear base);

  const Counts& counts() const { return counts_; }

  // Looks at every entry that a processor could walk: each must be the window's, a shadow table, or
  // a frame that the guest has at that page, writable only if it is RAM that nobody watches. Slow.
  struct Audit {
    std::uint32_t entries = 0, wrong = 0;
  };
  Audit audit();

 private:
  struct Table {
    ShadowKey key;
    bool used = false;
    bool has_code = false;
    std::uint8_t foreign_writes = 0;  // to a two-level directory that is not in use
    std::uint16_t next_in_bucket = 0;
    std::uint32_t parents = 0;  // ShadowEntryId of the first directory entry that points here
    std::uint32_t last_use = 0;
    ShadowFrames frames{};
    // The guest's PAE entries that it was made from, low words; 0: none. A pair's two directory
    // entries, a root's four pointers.
    std::array<std::uint32_t, 4> sources{};
    std::array<std::uint16_t, 2> next_half{};  // a pair's, in half_buckets_
  };

  // Lists below `table_lists` are guest frames, the others shadow tables.
  static constexpr std::uint32_t table_lists = 0x100000;
  struct ListStorage {
    ShadowPaging& shadow;
    const ShadowFrames& frames(unsigned table) const { return shadow.tables_[table].frames; }
    ShadowEntryId head(std::uint32_t list) const;
    void set_head(std::uint32_t list, ShadowEntryId);
  };

  // A page directory that was freed and became something else is written without being in use.
  static constexpr unsigned foreign_write_limit = 4;

  static constexpr unsigned bucket_count = 1024;
  static unsigned bucket(std::uint32_t frame, unsigned pair = 0) {
    return (frame + pair * 61) % bucket_count;
  }
  static unsigned bucket(const ShadowKey& key) { return bucket(key.frame, key.pair); }

  unsigned make_root(View);
  unsigned find(const ShadowKey&) const;
  unsigned find_or_make(const ShadowKey&);
  unsigned unused_table();
  bool give_frames(Table&);
  void recycle_one();
  void release(unsigned table);
  void unwatch_unless_needed(std::uint32_t frame);
  bool watched_also(std::uint32_t frame) const;
  void report_slots(unsigned table);
  void detach_from_parents(unsigned table);
  // Also the root that the monitor itself runs on must stay.
  bool in_use(unsigned table) const {
    return table == current_[0] || table == current_[1] || table == loaded_;
  }
  void carry_write(unsigned table, unsigned first, unsigned last);
  bool still_stands(ShadowEntryId);
  ShadowKey child_key(GuestLinear, const Walk&, View, bool dirty) const;
  bool same_in_both_views(const Walk&) const;
  void link(unsigned directory, unsigned index, unsigned child, std::uint32_t rights);
  void clear(ShadowEntryId);
  void clear_hidden(View);
  void clear_leaf(ShadowEntryId, std::uint32_t entry);
  void unlink_child(ShadowEntryId);
  bool is_right(ShadowEntryId, std::uint32_t entry);

  // PAE, in shadow_pae.cpp. A half of a pair is named by its table's number * 2 + which half.
  unsigned pae_child(GuestLinear, const Walk&, View, bool dirty);
  void adopt_pointers(unsigned root);
  void take_half(unsigned half, std::uint32_t source);
  void drop_half(unsigned half);
  void unhook_half(unsigned half);
  bool half_stands(unsigned half);
  std::uint16_t& next_half(unsigned half) { return tables_[half / 2].next_half[half % 2]; }
  std::uint32_t& source(unsigned half) { return tables_[half / 2].sources[half % 2]; }
  std::uint32_t named_table(unsigned half) const;
  unsigned first_half(std::uint32_t frame) const { return half_buckets_[bucket(frame)]; }
  bool names_pae_table(std::uint32_t frame) const;
  bool is_pae_directory(std::uint32_t frame) const;
  bool pae_directory_in_use(std::uint32_t frame) const;
  void carry_pae_write(GuestPhysical, unsigned bytes);
  void carry_pae_directory_write(std::uint32_t frame, unsigned first, unsigned last);
  void release_pairs(std::uint32_t frame);

  unsigned window_index() const { return processor_.window_base().value() >> 22; }
  std::uint32_t& entry(ShadowEntryId id) {
    return memory_.slots().map(tables_[id.table()].frames.entries).words()[id.index()];
  }

  FramePool& pool_;
  GuestMemory& memory_;
  Processor& processor_;
  CodeMappings& code_;
  ListStorage storage_;
  ReverseMap<ListStorage> map_;
  Paging paging_{};
  bool write_protect_ = false;
  // The processor may have an entry that is gone; global: one that a load of CR3 leaves there.
  void require_flush(bool global) {
    flush_due_ = true;
    global_flush_due_ |= global;
  }
  bool flush_due_ = false;
  bool global_flush_due_ = false;
  bool globals_made_ = false;   // ever
  bool space_changed_ = false;  // since the last load
  bool hides_any_ = false;
  HiddenPages hidden_{no_page, no_page, no_page, no_page};
  AlsoWatched also_watched_ = none_watched;
  std::array<unsigned, 2> current_{};  // root by view; 0: not looked up yet
  unsigned loaded_ = 0;
  std::uint32_t tick_ = 0;
  unsigned budget_ = 64;
  Counts counts_{};
  std::array<std::uint16_t, bucket_count> buckets_{};
  unsigned pairs_ = 0;  // how many pairs there are, and in each bucket of their frames
  std::array<std::uint16_t, bucket_count> pair_counts_{};
  std::array<std::uint16_t, bucket_count> half_buckets_{};  // by the frame of the page table named
  std::uint32_t foreign_frame_ = no_frame;  // the PAE directory last written while not in use
  unsigned foreign_writes_ = 0;
  std::array<Table, most_tables + 1> tables_{};  // number 0 stands for none
};

}  // namespace undercroft
