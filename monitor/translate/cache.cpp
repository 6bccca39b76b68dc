#include "cache.hpp"

#include <algorithm>
#include <cstring>

namespace undercroft {
namespace {

constexpr std::uint32_t table_entries = 0x10000;  // by the low half of the guest's EIP
static_assert(window::jump_table + table_entries * 4 <= window::cache);

// Apart from the code, so that pages with code are written as seldom as possible: a processor, and
// TCG more so, looks for changed code there.
// Three fifths hold as much code as the rest holds maps and directory entries for it.
constexpr std::uint32_t code_end = window::cache + 0x140000;
static_assert(code_end < window::cache_end);

constexpr std::uint32_t landing_size = 56;
constexpr unsigned most_instructions = 32;  // of a trace

constexpr std::uint32_t code_alignment = 16;

// Eight bytes by one store; nobody else writes there.
void store_at_once(std::byte* to, const std::uint8_t* from) {
  auto* const place = reinterpret_cast<std::uint64_t*>(to);
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  __sync_bool_compare_and_swap(place, *place, value);
}

}  // namespace

void TranslationCache::flush() {
  next_code_ = window::cache;
  next_map_ = code_end;
  block_count_ = 0;
  by_eip_.fill(0);
  by_frame_.fill(0);
  ++generation_;
  ++counts_.flushes;
  make_common_code();
  for (std::uint32_t page = 0; page < table_entries * 4; page += page_size) {
    const auto frame = slots_.map(image_ + window::jump_table + page);
    for (unsigned i = 0; i < page_size / 4; ++i) frame.words()[i] = indirect_miss_;
  }
}

void TranslationCache::make_common_code() {
  Assembler<8> code(next_code_);
  code.byte(0x0f);
  code.byte(0x0b);
  code.byte(static_cast<std::uint32_t>(ExitKind::indirect));
  indirect_miss_ = next_code_;
  write(next_code_, code.code());
  next_code_ += 16;
}

std::optional<std::uint32_t> TranslationCache::find(std::uint32_t eip) const {
  for (unsigned n = by_eip_[bucket_of_eip(eip)]; n != 0; n = block(n - 1).next_by_eip) {
    const Block& b = block(n - 1);
    if (b.eip == eip && !b.dropped && b.user == (level_ == CodeLevel::user)) return b.start;
  }
  return std::nullopt;
}

// Kernels have more targets than the table has room for without some that share a place: landings
// of one place are a list, the newest first. One for the same address is left out, unless it may be
// of the other level.
std::uint32_t TranslationCache::next_landing(std::uint32_t eip) const {
  const std::uint32_t first = word_at(window::jump_table + (eip & 0xffff) * 4);
  if (first == indirect_miss_ || both_levels_) return first;
  if (word_at(first + landing_address_place) != 0u - eip) return first;
  const std::uint32_t place = first + landing_next_place;
  return place + 4 + word_at(place);
}

TranslationTargets TranslationCache::targets() const {
  return {window::jump_table, indirect_miss_,
          guarded(),          level_,
          both_levels_,       guards_stack_ || level_ == CodeLevel::user,
          flat_guard_};
}

TranslationCache::Made TranslationCache::translate(std::uint32_t eip, std::uint32_t frame,
                                                   std::span<const std::uint8_t> bytes,
                                                   std::uint32_t first_bytes) {
  if (!has_room()) flush();

  TranslatedTrace made(next_code_, level_);
  translate_trace(made, bytes, first_bytes, eip, targets(), *this, most_instructions);
  const std::uint32_t start = next_code_;
  write_code(start, made.assembler.code());
  for (unsigned n = 0; n < made.block_count; ++n) keep_block(made, made.blocks[n], frame);
  next_code_ = (start + made.assembler.size() + code_alignment - 1) & ~(code_alignment - 1);
  counts_.blocks += made.block_count;
  counts_.instructions += made.instruction_count;
  return {start, made.guest_size > first_bytes};
}

void TranslationCache::keep_block(const TranslatedTrace& trace, const BlockRecord& record,
                                  std::uint32_t frame) {
  const std::uint32_t map_size = record.point_count * std::uint32_t{sizeof(MapPoint)};
  write(next_map_,
        {reinterpret_cast<const std::uint8_t*>(&trace.points[record.first_point]), map_size});
  Block entry{};
  entry.eip = record.eip;
  entry.frame = frame & Block::frame_mask;
  entry.start = (next_code_ + record.code_start) & Block::start_mask;
  entry.first_point = (next_map_ - code_end) / sizeof(MapPoint) & Block::first_point_mask;
  entry.code_size = record.code_size & Block::code_size_mask;
  entry.point_count = record.point_count & Block::point_count_mask;
  entry.guest_size = record.guest_size;
  entry.user = level_ == CodeLevel::user;
  add_block(entry);
  next_map_ += map_size;
  if (record.landing != no_landing) {
    write_word(window::jump_table + (record.eip & 0xffff) * 4, next_code_ + record.landing);
    ++counts_.landings;
  }
}

void TranslationCache::add_second_frame(std::uint32_t frame) {
  Block entry = block(block_count_ - 1);
  entry.frame = frame & Block::frame_mask;
  entry.second = true;
  add_block(entry);
}

void TranslationCache::add_block(Block entry) {
  std::uint16_t& frame_head = by_frame_[bucket_of_frame(entry.frame)];
  entry.next_by_frame = frame_head;
  frame_head = static_cast<std::uint16_t>(block_count_ + 1);
  if (!entry.second) {
    std::uint16_t& eip_head = by_eip_[bucket_of_eip(entry.eip)];
    entry.next_by_eip = eip_head;
    eip_head = frame_head;
  }
  ++block_count_;
  write_object(block_address(block_count_ - 1), entry);
}

bool TranslationCache::drop(std::uint32_t frame, std::uint32_t first, std::uint32_t last) {
  bool any = false;
  for (unsigned n = by_frame_[bucket_of_frame(frame)]; n != 0; n = block(n - 1).next_by_frame) {
    const Block& b = block(n - 1);
    if (b.frame != frame || b.dropped) continue;
    // The second entry of a block is about its bytes from the start of the frame.
    const std::uint32_t from = b.second ? 0 : b.eip & page_mask;
    const std::uint32_t end =
        b.second ? (b.eip & page_mask) + b.guest_size - page_size : from + b.guest_size;
    if (from > last || end <= first) continue;
    drop_block(n - 1);
    any = true;
  }
  if (any) ++generation_;
  return any;
}

// `locations` is asked once for each page: a kernel has tens of blocks on it.
bool TranslationCache::check_slot(std::uint32_t base, CodeLocations& locations) {
  constexpr std::uint32_t slot_size = window::size;
  slot_pages_.fill(0);
  const auto shows = [&](std::uint32_t page, std::uint32_t frame, CodeLevel level) {
    if (page - base >= slot_size) return locations.shows(page, frame, level);
    const std::uint32_t here = (frame << 1 | static_cast<std::uint32_t>(level)) + 1;
    std::uint32_t& known = slot_pages_[(page - base) / page_size];
    if (known == here) return true;
    const bool shown = locations.shows(page, frame, level);
    if (shown) known = here;
    return shown;
  };
  bool any = false, any_left = false;
  for (unsigned n = 0; n < block_count_; ++n) {
    const Block& b = block(n);
    if (b.second || b.dropped) continue;
    const std::uint32_t page = b.eip & ~page_mask;
    const bool crosses = n + 1 < block_count_ && block(n + 1).second;
    const bool here = page - base < slot_size;
    const bool next_here = crosses && page + page_size - base < slot_size;
    if (!here && !next_here) continue;
    const CodeLevel level = b.user ? CodeLevel::user : CodeLevel::kernel;
    if (shows(page, b.frame, level) &&
        (!crosses || shows(page + page_size, block(n + 1).frame, level))) {
      any_left = true;
      continue;
    }
    drop_block(n);
    any = true;
  }
  if (any) ++generation_;
  return any_left;
}

// A dropped block's start becomes an exit; the rest of it is never reached again, since the monitor
// resumes by guest address once the generation has changed.
void TranslationCache::drop_block(unsigned number) {
  if (block(number).second) --number;
  const bool pair = number + 1 < block_count_ && block(number + 1).second;
  for (unsigned n = number; n <= number + pair; ++n) {
    Block b = block(n);
    b.dropped = true;
    write_object(block_address(n), b);
  }
  const Block& b = block(number);
  Assembler<8> exit(b.start);
  exit.byte(0x0f);
  exit.byte(0x0b);
  exit.byte(static_cast<std::uint32_t>(ExitKind::moved));
  exit.word(b.eip);
  write(b.start, exit.code());
  ++counts_.dropped;
}

bool TranslationCache::has_blocks_of(std::uint32_t frame) const {
  for (unsigned n = by_frame_[bucket_of_frame(frame)]; n != 0; n = block(n - 1).next_by_frame) {
    if (block(n - 1).frame == frame && !block(n - 1).dropped) return true;
  }
  return false;
}

void TranslationCache::chain(std::uint32_t place, std::uint32_t target) {
  write_word(place, target - (place + 4));
  ++counts_.chained;
}

void TranslationCache::make_landing(std::uint32_t eip, std::uint32_t start) {
  if (!has_room()) return;
  Assembler<landing_size> code(next_code_, page_segment(level_));
  emit_landing(code, eip, targets(), next_landing(eip));
  code.jump(start);
  write_code(next_code_, code.code());
  write_word(window::jump_table + (eip & 0xffff) * 4, next_code_);
  next_code_ = (next_code_ + code.size() + code_alignment - 1) & ~(code_alignment - 1);
  ++counts_.landings;
}

void TranslationCache::forward(std::uint32_t dropped_start, std::uint32_t target) {
  Assembler<8> code(dropped_start);
  code.jump(target);
  write(dropped_start, code.code());
}

std::optional<CacheExit> TranslationCache::exit_at(std::uint32_t address) const {
  if (address < window::cache || address + exit_head_size + 8 > window::cache_end)
    return std::nullopt;
  const std::uint8_t* code = code_at(address);
  if (code[0] != 0x0f || code[1] != 0x0b) return std::nullopt;
  CacheExit exit{static_cast<ExitKind>(code[2])};
  switch (exit.kind) {
    case ExitKind::branch:
      exit.place = word_at(address + exit_head_size + 4);
      [[fallthrough]];
    case ExitKind::interpret:
    case ExitKind::moved:
      exit.eip = word_at(address + exit_head_size);
      return exit;
    case ExitKind::port:
      exit.eip = word_at(address + exit_head_size);
      exit.access = PortAccess::decode(word_at(address + exit_head_size + 4));
      return exit;
    case ExitKind::segment:
      exit.eip = word_at(address + exit_head_size);
      exit.load = SegmentLoad::decode(word_at(address + exit_head_size + 4));
      return exit;
    case ExitKind::indirect:
      return exit;
  }
  return std::nullopt;
}

std::span<const std::uint8_t> TranslationCache::bytes_at(std::uint32_t address,
                                                         std::uint32_t count) const {
  return {code_at(address), std::min(count, window::cache_end - address)};
}

std::optional<CachePoint> TranslationCache::point_at(std::uint32_t address) const {
  const Block* b = block_containing(address);
  if (!b || b->dropped) return std::nullopt;
  const std::uint32_t offset = address - b->start;
  const MapPoint* const map = points(*b);
  unsigned n = b->point_count;
  while (n != 0 && map[n - 1].code_offset > offset) --n;
  if (n == 0) return std::nullopt;
  const MapPoint& point = map[n - 1];
  std::uint32_t eip = b->eip + point.guest_offset;
  if (point.state == PointState::boundary) eip += offset - point.code_offset;
  return CachePoint{eip, point.state};
}

const MapPoint* TranslationCache::points(const Block& b) const {
  return reinterpret_cast<const MapPoint*>(window_ + code_end) + b.first_point;
}

// The directory is sorted by start, since code only grows.
const TranslationCache::Block* TranslationCache::block_containing(std::uint32_t address) const {
  unsigned low = 0, high = block_count_;
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    if (block(middle).start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return nullptr;
  const Block& b = block(low - 1);
  return address - b.start < std::uint32_t{b.code_size} ? &b : nullptr;
}

std::uint32_t TranslationCache::block_address(unsigned number) const {
  return window::cache_end - (number + 1) * static_cast<std::uint32_t>(sizeof(Block));
}

// For one more trace.
bool TranslationCache::has_room() const {
  constexpr std::uint32_t most_map = TranslatedTrace::point_capacity * sizeof(MapPoint);
  return next_code_ + TranslatedTrace::code_capacity + landing_size <= code_end &&
         block_count_ + TranslatedTrace::block_capacity + 1 < most_blocks &&
         next_map_ + most_map <= block_address(block_count_ + TranslatedTrace::block_capacity);
}

std::uint32_t TranslationCache::word_at(std::uint32_t offset) const {
  std::uint32_t value;
  std::memcpy(&value, window_ + offset, sizeof value);
  return value;
}

// New code, from an aligned place on. It stands among code that has run: a processor looks at each
// store there, and an emulator that translates at all that the page has, so they are few.
void TranslationCache::write_code(std::uint32_t offset, std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t piece = sizeof(std::uint64_t);
  static_assert(code_alignment % piece == 0);
  while (bytes.size() >= piece) {
    const auto frame = slots_.map(image_ + offset);
    do {
      store_at_once(frame.bytes() + (offset & page_mask), bytes.data());
      offset += piece;
      bytes = bytes.subspan(piece);
    } while (bytes.size() >= piece && (offset & page_mask) != 0);
  }
  write(offset, bytes);
}

void TranslationCache::write(std::uint32_t offset, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::uint32_t in_page = page_size - (offset & page_mask);
    const std::uint32_t part =
        bytes.size() < in_page ? static_cast<std::uint32_t>(bytes.size()) : in_page;
    const auto frame = slots_.map(image_ + offset);
    std::memcpy(frame.bytes() + (offset & page_mask), bytes.data(), part);
    offset += part;
    bytes = bytes.subspan(part);
  }
}

void TranslationCache::write_word(std::uint32_t offset, std::uint32_t value) {
  write_object(offset, value);
}

}  // namespace undercroft
