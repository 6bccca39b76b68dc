// Shadow paging over a guest's memory and a fake processor. What the shadow allows is read as the
// processor would read it: from the machine's memory, starting at the root.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "monitor/memory/guest_linear_memory.hpp"
#include "monitor/memory/shadow.hpp"
#include "tests/unit/fakes/fake_processor.hpp"
#include "tests/unit/fakes/machine_memory.hpp"

namespace undercroft::test {

inline constexpr View views[] = {View::kernel, View::user};

// Entry bits, as kernels write them.
inline constexpr std::uint32_t P = page_bit::present, W = page_bit::writable, U = page_bit::user,
                               A = page_bit::accessed, D = page_bit::dirty, PS = page_bit::large;

struct CodeListener final : CodeMappings {
  void code_frame_remapped(GuestPhysical frame) override { frames.push_back(frame); }
  void code_slot_remapped(unsigned slot) override { slots.push_back(slot); }
  std::vector<GuestPhysical> frames;
  std::vector<unsigned> slots;
};

// What the shadow makes of one linear address.
struct Shown {
  bool present = false, writable = false;
  HostPhysical frame{};
  bool operator==(const Shown&) const = default;
};

class Shadow : public ::testing::Test {
 protected:
  static constexpr GuestPhysical directory{0x10000}, table{0x11000}, other_table{0x12000},
      other_directory{0x13000};
  static constexpr GuestLinear linear{0x00405000};  // directory entry 1, table entry 5
  static constexpr GuestPhysical page{0x20000};

  Shadow() {
    guest.memory.add_watcher(Watcher::page_table, shadow);
    use(directory);
  }

  void use(GuestPhysical root, bool write_protect = true) {
    paging = {PagingMode::two_level_large, root, {}};
    wp = write_protect;
    shadow.use(paging, wp);
  }
  Walk walk(GuestLinear at) { return walk_guest(paging, at, guest.memory); }
  void set_directory(unsigned index, std::uint32_t entry) {
    guest.memory.write(paging.root + index * 4, entry, 4);
  }
  void set_table(unsigned index, std::uint32_t entry, GuestPhysical of = table) {
    guest.memory.write(of + index * 4, entry, 4);
  }
  void map_page(std::uint32_t directory_bits = P | W | U, std::uint32_t page_bits = P | W | U) {
    set_directory(1, table.value() | directory_bits);
    set_table(5, page.value() | page_bits);
  }

  // An access of the guest that misses in the shadow, as the monitor handles it. False: it is a
  // fault of the guest's, or nothing that a fill can help.
  bool access(GuestLinear at, View view, bool write) {
    const Walk found = walk(at);
    const Privilege privilege = view == View::user ? Privilege::user : Privilege::supervisor;
    const PageAccess kind = write ? PageAccess::write : PageAccess::read;
    if (!found.mapped() || !permitted(found, kind, privilege, wp)) return false;
    const FrameEntry frame = guest.table.entry(found.address);
    if (!has_machine_frame(frame.kind) || (write && frame.watchers.any())) return false;
    if (write && frame.kind != FrameKind::ram) return false;
    set_accessed_dirty(guest.memory, found, write);
    return shadow.fill(at, found, view, found.dirty || write);
  }

  Shown shown(GuestLinear at, View view) {
    const std::uint32_t upper = word(shadow.root(view), at.value() >> 22);
    if (!(upper & P)) return {};
    const std::uint32_t lower = word(HostPhysical(upper & ~page_mask), at.value() >> 12 & 0x3ff);
    if (!(lower & P)) return {};
    EXPECT_TRUE(upper & lower & U) << "guests run at ring 3";
    EXPECT_TRUE(lower & D) << "the processor would write the shadow";
    EXPECT_TRUE(upper & lower & A);
    EXPECT_FALSE(upper & PS);
    return {true, (upper & lower & W) != 0, HostPhysical(lower & ~page_mask)};
  }
  std::uint32_t word(HostPhysical table_frame, unsigned index) {
    return guest.machine.word(table_frame + index * 4);
  }
  HostPhysical host(GuestPhysical at) { return *guest.table.host_frame(at); }
  bool table_watched(GuestPhysical at) {
    return guest.table.entry(at).watchers.has(Watcher::page_table);
  }

  // The invariant: whatever the root shows, the guest's tables and the frame table allow now.
  void check_root(View view) {
    const HostPhysical root = shadow.root(view);
    const unsigned window = processor.window.value() >> 22;
    for (unsigned upper = 0; upper < 1024; ++upper) {
      const std::uint32_t entry = word(root, upper);
      if (upper == window) {
        ASSERT_EQ(entry, FakeProcessor::window_entry_of(view));
        continue;
      }
      if (!(entry & P)) continue;
      for (unsigned lower = 0; lower < 1024; ++lower) {
        if (!(word(HostPhysical(entry & ~page_mask), lower) & P)) continue;
        check_entry(GuestLinear(upper << 22 | lower << 12), view);
        if (HasFatalFailure()) return;
      }
    }
  }
  void check_entry(GuestLinear at, View view) {
    const Shown entry = shown(at, view);
    const Walk found = walk(at);
    ASSERT_TRUE(found.mapped()) << std::hex << at.value();
    const FrameEntry frame = guest.table.entry(found.address);
    ASSERT_TRUE(has_machine_frame(frame.kind)) << std::hex << at.value();
    ASSERT_EQ(entry.frame, frame.frame.page()) << std::hex << at.value();
    ASSERT_TRUE(found.accessed) << std::hex << at.value();
    if (view == View::user) {
      ASSERT_TRUE(found.user) << std::hex << at.value();
    }
    if (!entry.writable) return;
    const bool any_write = view == View::kernel && !wp;
    ASSERT_TRUE(found.writable || any_write) << std::hex << at.value();
    ASSERT_TRUE(found.dirty) << std::hex << at.value();
    ASSERT_FALSE(frame.watchers.any()) << std::hex << at.value();
    ASSERT_EQ(frame.kind, FrameKind::ram) << std::hex << at.value();
  }

  GuestMachine guest;
  FakeProcessor processor;
  CodeListener code;
  std::unique_ptr<ShadowPaging> owner =
      std::make_unique<ShadowPaging>(guest.pool, guest.memory, processor, code);
  ShadowPaging& shadow = *owner;
  Paging paging;
  bool wp = true;
};

}  // namespace undercroft::test
