#include "trace_writer.hpp"

namespace undercroft {
namespace {

// Room that the longest sequence of one instruction needs, with its share of the exits behind the
// trace.
constexpr unsigned sequence_room = 320;
constexpr unsigned sequence_points = 16;
constexpr unsigned sequence_exits = 5;
constexpr unsigned exit_room = 24;
// The same for the guards of its operands.
constexpr unsigned guards_room = 104;
constexpr unsigned guards_points = 6;

}  // namespace

void TraceWriter::advance(unsigned length) {
  offset_ += length;
  ++trace_.instruction_count;
}

bool TraceWriter::full(unsigned wanted) const {
  const unsigned room = sequence_room + (targets_.guarded ? guards_room : 0);
  const unsigned points = sequence_points + (targets_.guarded ? guards_points : 0);
  return trace_.assembler.size() + exit_count_ * exit_room + wanted * room > trace_.code_capacity ||
         trace_.point_count + wanted * points > trace_.point_capacity ||
         trace_.block_count == trace_.block_capacity ||
         exit_count_ + wanted * sequence_exits > exits_.size();
}

void TraceWriter::begin_block() {
  BlockRecord& made = trace_.blocks[trace_.block_count++];
  made = {};
  made.eip = here();
  made.code_start = static_cast<std::uint16_t>(out().size());
  made.first_point = static_cast<std::uint16_t>(trace_.point_count);
  made.landing = no_landing;
  run_continues_ = false;
}

void TraceWriter::end_block() {
  BlockRecord& made = block();
  made.guest_size = static_cast<std::uint8_t>(here() - made.eip);
  const std::uint32_t size = out().size() - made.code_start;
  if (size < moved_exit_size) pad(moved_exit_size - size);
  made.code_size = static_cast<std::uint16_t>(out().size() - made.code_start);
  made.point_count = static_cast<std::uint16_t>(trace_.point_count - made.first_point);
}

void TraceWriter::next_block() {
  end_block();
  begin_block();
}

void TraceWriter::next_block_with_landing() {
  end_block();
  const auto landing = static_cast<std::uint16_t>(out().size());
  emit_landing(out(), here(), targets_, known_.next_landing(here()));
  begin_block();
  block().landing = landing;
}

// One instruction of 1 to 6 bytes that does nothing.
void TraceWriter::pad(std::uint32_t size) {
  static constexpr std::uint8_t fillers[6][6] = {
      {0x90},                          // nop
      {0x89, 0xf6},                    // mov esi, esi
      {0x8d, 0x76, 0x00},              // lea esi, [esi + 0]
      {0x8d, 0x74, 0x26, 0x00},        // the same with SIB,
      {0x3e, 0x8d, 0x74, 0x26, 0x00},  // and with a prefix
      {0x8d, 0xb6, 0, 0, 0, 0},        // the same with a 32-bit displacement
  };
  point(PointState::boundary);
  out().bytes({fillers[size - 1], size});
}

void TraceWriter::point(PointState state) {
  trace_.points[trace_.point_count++] = {
      static_cast<std::uint16_t>(out().size() - block().code_start),
      static_cast<std::uint8_t>(block_size()), state};
}

// A block that a branch can go to at once: of this trace, or in the cache.
std::optional<std::uint32_t> TraceWriter::known_target(std::uint32_t target) const {
  const auto& code = trace_.assembler;
  for (unsigned n = 0; n < trace_.block_count; ++n) {
    if (trace_.blocks[n].eip == target) {
      return code.here() - code.size() + trace_.blocks[n].code_start;
    }
  }
  return known_.find(target);
}

void TraceWriter::jump_to(std::uint32_t target) {
  const auto known = known_target(target);
  const std::uint32_t place = out().jump(known.value_or(0));
  if (!known) exit_later(place, ExitKind::branch, target);
}

void TraceWriter::jump_if(unsigned condition, std::uint32_t target) {
  const auto known = known_target(target);
  const std::uint32_t place = out().jump_if(condition, known.value_or(0));
  if (!known) exit_later(place, ExitKind::branch, target);
}

void TraceWriter::exit(ExitKind kind, std::uint32_t eip) {
  out().byte(0x0f);
  out().byte(0x0b);
  out().byte(static_cast<std::uint32_t>(kind));
  out().word(eip);
}

void TraceWriter::exit_to_port(std::uint32_t eip, PortAccess access) {
  exit(ExitKind::port, eip);
  out().word(access.encode());
}

void TraceWriter::exit_to_segment(std::uint32_t eip, SegmentLoad load) {
  exit(ExitKind::segment, eip);
  out().word(load.encode());
}

void TraceWriter::emit_exits() {
  for (unsigned n = 0; n < exit_count_; ++n) {
    const Exit& e = exits_[n];
    if (e.kind == ExitKind::branch) {
      if (const auto known = known_target(e.eip)) {
        out().land_at(e.place, *known);
        continue;
      }
    }
    out().land_at(e.place, out().here());
    if (e.kind == ExitKind::interpret) {
      out().load_from_page(Register::ecx, cpu_page_offset::saved_ecx);
    }
    exit(e.kind, e.eip);
    if (e.kind == ExitKind::branch) out().word(e.place);
  }
}

}  // namespace undercroft
