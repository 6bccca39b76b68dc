// A processor that notes what it is told, for tests of what drives one.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "monitor/processor.hpp"

namespace undercroft::test {

class FakeProcessor final : public Processor {
 public:
  HostLinear window{0xffc00000};
  std::vector<HostLinear> window_moves{};
  std::vector<HostPhysical> roots_loaded{};
  unsigned full_flushes = 0;
  std::uint32_t debug_status = 0xffff0ff0;
  std::vector<std::uint64_t> alarms{};
  std::vector<HostLinear> pages_flushed{};

  // Unlike any entry of a shadow table: not for user access.
  static constexpr std::uint32_t window_entry_of(View view) {
    return view == View::kernel ? 0x00007003 : 0x00008003;
  }

  // What the guest does when it is entered: a trap.
  std::function<void(GuestContext&)> guest = [](GuestContext&) {};

  void enter(GuestContext& context) override { guest(context); }
  void load_root(HostPhysical root) override { roots_loaded.push_back(root); }
  HostPhysical monitor_root() const override { return HostPhysical(0x9000); }
  void flush_page(HostLinear page) override { pages_flushed.push_back(page); }
  void flush_all() override { ++full_flushes; }
  HostLinear window_base() const override { return window; }
  std::uint32_t window_entry(View view) const override { return window_entry_of(view); }
  void move_window(HostLinear base) override {
    window = base;
    window_moves.push_back(base);
  }
  void show_cache_to_user(bool) override {}
  std::span<std::uint64_t, 8192> gdt_image(View view) override {
    return image(static_cast<unsigned>(view));
  }
  std::span<std::uint64_t, 8192> ldt_image(View view) override {
    return image(2 + static_cast<unsigned>(view));
  }
  void set_ldt_entries(unsigned) override {}
  void set_guest_controls(std::uint32_t, std::uint32_t) override {}
  std::uint64_t time_stamp() override { return 0; }
  std::uint32_t take_debug_status() override { return debug_status; }
  // Leaves up to 2, all zero.
  CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t) override {
    return {leaf == 0 ? 2u : 0u, 0, 0, 0};
  }
  void acknowledge_interrupt(unsigned) override {}
  void wait_for_interrupt() override {}
  bool poll_interrupts() override { return false; }
  void set_alarm(std::uint64_t nanoseconds) override { alarms.push_back(nanoseconds); }

 private:
  std::span<std::uint64_t, 8192> image(unsigned number) {
    return std::span<std::uint64_t, 8192>(&images_[number * 8192], 8192);
  }
  std::vector<std::uint64_t> images_ = std::vector<std::uint64_t>(4 * 8192);
};

}  // namespace undercroft::test
