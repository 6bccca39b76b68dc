// What stands at a guest-physical page, and who watches it: the vocabulary that the frame table and
// the page-fault classification share.
#pragma once

#include <cstdint>

namespace undercroft {

enum class FrameKind : std::uint8_t {
  absent,           // nothing answers: the bus floats
  ram,              // a machine frame
  device,           // memory-mapped registers
  read_only_image,  // a machine frame whose writes are dropped (ROM)
  withdrawn,        // RAM whose machine frame was taken back; its contents are kept elsewhere
  not_yet_given,    // RAM never touched: zero, without a machine frame
  device_memory,    // a device's memory: a machine frame that is never taken back
  framebuffer,      // the same, of the host's own device: drawn to, hardly ever read
};
inline constexpr unsigned frame_kind_count = 8;

// Memory, whether or not a machine frame stands behind it now.
constexpr bool is_memory(FrameKind kind) {
  return kind != FrameKind::absent && kind != FrameKind::device;
}
constexpr bool has_machine_frame(FrameKind kind) {
  return kind == FrameKind::ram || kind == FrameKind::read_only_image ||
         kind == FrameKind::device_memory || kind == FrameKind::framebuffer;
}
// Writes reach the machine frame.
constexpr bool is_writable(FrameKind kind) {
  return kind == FrameKind::ram || kind == FrameKind::device_memory ||
         kind == FrameKind::framebuffer;
}

enum class Watcher : std::uint8_t { page_table, descriptor_table, translated_code, debugger };
inline constexpr unsigned watcher_count = 4;

// A set of watchers; bit n is Watcher n.
class Watchers {
 public:
  constexpr Watchers() = default;
  constexpr explicit Watchers(unsigned bits) : bits_(static_cast<std::uint8_t>(bits)) {}
  constexpr bool any() const { return bits_; }
  constexpr bool has(Watcher watcher) const { return bits_ & bit(watcher); }
  constexpr Watchers with(Watcher watcher) const { return Watchers(bits_ | bit(watcher)); }
  constexpr Watchers without(Watcher watcher) const { return Watchers(bits_ & ~bit(watcher)); }
  constexpr unsigned bits() const { return bits_; }
  constexpr bool operator==(const Watchers&) const = default;

 private:
  static constexpr unsigned bit(Watcher watcher) { return 1u << static_cast<unsigned>(watcher); }
  std::uint8_t bits_ = 0;
};

}  // namespace undercroft
