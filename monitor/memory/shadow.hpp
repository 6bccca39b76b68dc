// Shadow page tables: what the processor walks while a guest runs (design section 4). Two roots for
// each guest address space, filled lazily, shared by key, kept coherent by watching the guest's
// tables. It knows how shadow entries follow from a walk; whether a fault means a fill is
// page_fault.hpp's business.
#pragma once

#include <array>
#include <cstdint>

#include "../processor.hpp"
#include "frame_pool.hpp"
#include "guest_memory.hpp"
#include "guest_walk.hpp"
#include "reverse_map.hpp"

namespace undercroft {

// What a shadow table stands for. The frame in its key is, in this order: the guest's page table;
// the first frame of a 4 MB page whose D bit is clear, or set; the first frame of 4 MB of linear
// space without paging; the guest's page directory.
enum class ShadowKind : std::uint8_t { table, large_clean, large_dirty, identity, directory };

struct ShadowKey {
  std::uint32_t frame = 0;  // guest-physical page number
  ShadowKind kind = ShadowKind::table;
  View view = View::kernel;
  bool write_protect = false;  // CR0.WP
  constexpr bool operator==(const ShadowKey&) const = default;
  // Built from guest memory that must be watched.
  constexpr bool from_guest_table() const {
    return kind == ShadowKind::table || kind == ShadowKind::directory;
  }
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

class ShadowPaging final : public WriteWatcher {
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

  // The address space that the guest has switched to.
  void use(const Paging&, bool write_protect);
  // The machine's page directory for it, with the window in it.
  HostPhysical root(View);

  // Lets the guest reach the page of `linear` in the view. The walk must permit that access, with
  // the A bits set; dirty: the D bit as it is by now. False if the frame is not in memory.
  bool fill(GuestLinear linear, const Walk&, View, bool dirty);
  // Whether the entries in memory allow the access already.
  bool allows(GuestLinear, View, bool write);

  // A watcher has come to the frame: nobody writes it unseen any more.
  void write_protect(GuestPhysical frame);
  // The frame with this number is watched like a table with a shadow, instead of the one of the
  // last call; ~0: none.
  void watch_also(std::uint32_t frame);
  // Drops every table made from the guest's table in this frame; nobody watches it for them then.
  void forget_tables(GuestPhysical frame);
  // Takes the frame from every address space.
  void unmap(GuestPhysical frame);
  // A guest's page table or directory has been written.
  void written(GuestPhysical, unsigned bytes) override;

  // Makes the processor use the root of the view; flushes its TLB.
  void load(View);
  // Entries were taken away since that the TLB may still hold: load is due again.
  bool flush_due() const { return flush_due_; }

  // The window gets a new place: first its entry appears there in every root, then, when the
  // processor has moved, it goes from the old place.
  void map_window_at(HostLinear base);
  void unmap_window_at(HostLinear base);

  const Counts& counts() const { return counts_; }

 private:
  struct Table {
    ShadowKey key;
    bool used = false;
    bool has_code = false;
    std::uint8_t foreign_writes = 0;  // to a directory that is not in use
    std::uint16_t next_in_bucket = 0;
    std::uint32_t parents = 0;  // ShadowEntryId of the first directory entry that points here
    std::uint32_t last_use = 0;
    ShadowFrames frames{};
  };

  // Lists below `table_lists` are guest frames, the others shadow tables.
  static constexpr std::uint32_t table_lists = 0x100000;
  struct ListStorage {
    ShadowPaging& shadow;
    const ShadowFrames& frames(unsigned table) const { return shadow.tables_[table].frames; }
    ShadowEntryId head(std::uint32_t list) const;
    void set_head(std::uint32_t list, ShadowEntryId);
  };

  static constexpr unsigned bucket_count = 1024;
  static unsigned bucket(std::uint32_t frame) { return frame % bucket_count; }

  unsigned find(const ShadowKey&) const;
  unsigned find_or_make(const ShadowKey&);
  unsigned unused_table();
  bool give_frames(Table&);
  void recycle_one();
  void release(unsigned table);
  void unwatch_unless_needed(std::uint32_t frame);
  void detach_from_parents(unsigned table);
  // Also the root that the monitor itself runs on must stay.
  bool in_use(unsigned table) const {
    return table == current_[0] || table == current_[1] || table == loaded_;
  }
  void carry_write(unsigned table, unsigned first, unsigned last);
  bool still_stands(ShadowEntryId);
  ShadowKey child_key(GuestLinear, const Walk&, View, bool dirty) const;
  void link(unsigned directory, unsigned index, unsigned child, std::uint32_t rights);
  void clear(ShadowEntryId);
  void clear_leaf(ShadowEntryId, std::uint32_t entry);
  void unlink_child(ShadowEntryId);
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
  bool flush_due_ = false;
  std::uint32_t also_watched_ = ~0u;
  std::array<unsigned, 2> current_{};  // root by view; 0: not looked up yet
  unsigned loaded_ = 0;
  std::uint32_t tick_ = 0;
  unsigned budget_ = 64;
  Counts counts_{};
  std::array<std::uint16_t, bucket_count> buckets_{};
  std::array<Table, most_tables + 1> tables_{};  // number 0 stands for none
};

}  // namespace undercroft
