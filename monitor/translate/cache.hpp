// The translation cache: translated blocks by guest address and by guest frame, chained to one
// another. The window shows it read-only, to the monitor too, so all writes go through the mapping
// slots; reads go straight. Code fills it from the front, the directory of blocks from the back;
// when they meet, everything is dropped. It knows where blocks are, not what is in them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "../address.hpp"
#include "../memory/mapping_slots.hpp"
#include "../window_layout.hpp"
#include "trace.hpp"

namespace undercroft {

// What stands at a cache address, told by the map of its block.
struct CachePoint {
  std::uint32_t eip = 0;  // the guest instruction it belongs to
  PointState state = PointState::boundary;
};

// What an exit's bytes say; see ExitKind.
struct CacheExit {
  ExitKind kind = ExitKind::interpret;
  std::uint32_t eip = 0;
  std::uint32_t place = 0;  // of a branch
  PortAccess access{};      // of a port
  SegmentLoad load{};       // of a segment
};

// Where guest code is now.
class CodeLocations {
 public:
  // The page of linear space still shows the guest page with this number, to code of the level.
  virtual bool shows(std::uint32_t linear_page, std::uint32_t frame, CodeLevel level) = 0;

 protected:
  ~CodeLocations() = default;
};

class TranslationCache final : private KnownBlocks {
 public:
  struct Counts {
    std::uint64_t blocks = 0, instructions = 0, chained = 0, landings = 0, dropped = 0, flushes = 0;
  };

  // window: where the window's offset 0 is readable (a null pointer on the machine).
  // image: the machine address of offset 0; the ranges lie in one run of frames.
  TranslationCache(const std::byte* window, HostPhysical image, MappingSlots& slots)
      : window_(window), image_(image), slots_(slots) {}

  // Forgets everything.
  void flush();
  // Whether code made from now on keeps its memory operands away from the window (guard.hpp).
  void set_guarded(bool guarded, bool stack_too = true) {
    guarded_ = guarded;
    guards_stack_ = stack_too;
  }
  // See TranslationTargets. To be changed while the cache is empty only.
  void set_flat_guard(std::uint8_t limit) { flat_guard_ = limit; }
  std::uint8_t flat_guard() const { return flat_guard_; }
  bool empty() const { return block_count_ == 0; }
  // User code may not even read what the kernel's was translated to.
  bool guarded() const { return guarded_ || level_ == CodeLevel::user; }
  // User code is to be translated as well; from a flush on.
  void hold_both_levels() { both_levels_ = true; }
  bool holds_both_levels() const { return both_levels_; }
  // What find, translate and make_landing are about.
  void set_level(CodeLevel level) { level_ = level; }
  // Changes whenever code that was in the cache may be gone.
  std::uint32_t generation() const { return generation_; }

  // Where the block for the guest address starts, as a window offset.
  std::optional<std::uint32_t> find(std::uint32_t eip) const override;
  // Translates and keeps; bytes and first_bytes as for translate_block, frame: the guest page
  // number of the first bytes. If the block reaches beyond them, add_second_frame must follow.
  struct Made {
    std::uint32_t start = 0;
    bool crosses = false;
  };
  Made translate(std::uint32_t eip, std::uint32_t frame, std::span<const std::uint8_t> bytes,
                 std::uint32_t first_bytes);
  // The last block made depends on the page with this number as well, from its first byte on.
  void add_second_frame(std::uint32_t frame);

  // Drops the blocks made from the bytes [first, last] of the frame; false: there were none.
  bool drop(std::uint32_t frame, std::uint32_t first, std::uint32_t last);
  bool has_blocks_of(std::uint32_t frame) const;
  // Drops the blocks with bytes in the 4 MB of linear space from `base` on whose code is no longer
  // where it was made from; false: none are left there.
  bool check_slot(std::uint32_t base, CodeLocations& locations);

  // Lets the branch whose displacement is at `place` go straight to `target`.
  void chain(std::uint32_t place, std::uint32_t target);
  // Lets indirect branches to the guest address find its block, which starts at `start`.
  void make_landing(std::uint32_t eip, std::uint32_t start);
  // Lets what still goes to a dropped block's start go on to its successor.
  void forward(std::uint32_t dropped_start, std::uint32_t target);

  // The exit whose UD2 is at the address, if one is.
  std::optional<CacheExit> exit_at(std::uint32_t address) const;
  // What stands there, cut at the end of the cache.
  std::span<const std::uint8_t> bytes_at(std::uint32_t address, std::uint32_t count) const;
  // Empty: no live block has an instruction there.
  std::optional<CachePoint> point_at(std::uint32_t address) const;

  const Counts& counts() const { return counts_; }

 private:
  // One entry of the directory. Small, since its size decides how much code the cache can hold.
  struct Block {
    std::uint32_t eip;
    static constexpr std::uint32_t frame_mask = 0xfffff, start_mask = 0x3fffff,
                                   point_count_mask = 0x3ff, first_point_mask = 0x3ffff,
                                   code_size_mask = 0x3fff;
    std::uint32_t frame : 20;
    std::uint32_t guest_size : 8;
    std::uint32_t dropped : 1;
    // This entry and the one before name one block, by its two frames; this one is found by the
    // second frame only.
    std::uint32_t second : 1;
    std::uint32_t user : 1;
    std::uint32_t start : 22;  // window offset of its code
    std::uint32_t point_count : 10;
    std::uint32_t first_point : 18;  // its map: MapPoints from the start of the maps
    std::uint32_t code_size : 14;
    std::uint16_t next_by_eip;  // 1 + number; 0: none
    std::uint16_t next_by_frame;
  };
  static_assert(sizeof(Block) == 20);
  static_assert(TranslatedTrace::code_capacity <= Block::code_size_mask);
  static_assert(TranslatedTrace::point_capacity <= Block::point_count_mask);
  static constexpr unsigned bucket_count = 4096;
  static constexpr std::uint32_t most_blocks = 0xfffe;

  static unsigned bucket_of_eip(std::uint32_t eip) { return (eip ^ eip >> 12) % bucket_count; }
  static unsigned bucket_of_frame(std::uint32_t frame) { return frame % bucket_count; }
  std::uint32_t block_address(unsigned number) const;
  const Block& block(unsigned number) const {
    return *reinterpret_cast<const Block*>(window_ + block_address(number));
  }
  const MapPoint* points(const Block&) const;
  const std::uint8_t* code_at(std::uint32_t offset) const {
    return reinterpret_cast<const std::uint8_t*>(window_ + offset);
  }
  std::uint32_t next_landing(std::uint32_t eip) const override;
  TranslationTargets targets() const;
  std::uint32_t word_at(std::uint32_t offset) const;
  bool has_room() const;
  void write(std::uint32_t offset, std::span<const std::uint8_t> bytes);
  void write_code(std::uint32_t offset, std::span<const std::uint8_t> bytes);
  void write_word(std::uint32_t offset, std::uint32_t value);
  template <class T>
  void write_object(std::uint32_t offset, const T& object) {
    write(offset, {reinterpret_cast<const std::uint8_t*>(&object), sizeof object});
  }
  void make_common_code();
  void keep_block(const TranslatedTrace&, const BlockRecord&, std::uint32_t frame);
  void add_block(Block);
  void drop_block(unsigned number);
  const Block* block_containing(std::uint32_t address) const;

  const std::byte* window_;
  HostPhysical image_;
  MappingSlots& slots_;
  std::uint32_t next_code_ = 0;
  std::uint32_t next_map_ = 0;
  std::uint32_t indirect_miss_ = 0;
  bool guarded_ = false;
  bool guards_stack_ = true;
  bool both_levels_ = false;
  std::uint8_t flat_guard_ = 0;
  CodeLevel level_ = CodeLevel::kernel;
  unsigned block_count_ = 0;
  std::uint32_t generation_ = 0;
  Counts counts_{};
  std::array<std::uint16_t, bucket_count> by_eip_{};  // 1 + number of a block
  std::array<std::uint16_t, bucket_count> by_frame_{};
  // For check_slot: the frame and level that a page of the slot was found to show; 0: not asked.
  std::array<std::uint32_t, window::size / page_size> slot_pages_{};
};

}  // namespace undercroft
