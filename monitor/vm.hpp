// One guest's machine without its processor: memory and devices (design section 10). What runs on
// it is the monitor's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/pc.hpp"
#include "display/framebuffer.hpp"
#include "memory/frame_pool.hpp"
#include "memory/frame_table.hpp"
#include "memory/guest_memory.hpp"
#include "memory/mapping_slots.hpp"
#include "memory/withdrawal.hpp"
#include "video_frames.hpp"

namespace undercroft {

// Hands accesses to device memory on to the PC.
class PcMemory final : public PhysicalDevices {
 public:
  explicit PcMemory(Pc& pc) : pc_(pc) {}
  std::uint32_t read(GuestPhysical address, unsigned size) override {
    return pc_.memory_read(address, size);
  }
  void write(GuestPhysical address, std::uint32_t value, unsigned size) override {
    pc_.memory_write(address, value, size);
  }

 private:
  Pc& pc_;
};

// The memory that the PC's devices reach by themselves: RAM and ROM images.
class PcDma final : public DmaMemory {
 public:
  explicit PcDma(GuestMemory& memory) : memory_(memory) {}
  bool read(GuestPhysical, std::span<std::byte> out) override;
  bool write(GuestPhysical, std::span<const std::byte>) override;

 private:
  GuestMemory& memory_;
};

class Vm {
 public:
  Vm(MappingSlots& slots, FramePool& frames, Pc& machine)
      : pool(frames),
        pc(machine),
        table(slots, frames),
        pc_memory(machine),
        withdrawal(slots, frames, table),
        memory(slots, table, pc_memory, withdrawal),
        dma(memory),
        video(slots, frames, table) {
    pc.connect(dma);
    pc.set_video_memory(video);
  }

  // Lays out guest-physical memory as on a PC: RAM but for the 384 KB below 1 MB, where device
  // memory and a blank ROM area are. eager: every page gets its machine frame now. False: too few
  // frames.
  bool lay_out(std::uint64_t ram_bytes, bool eager);
  std::uint64_t ram_end() const { return ram_end_; }
  // Lets the PC answer at a page where no memory stands. False: no frame for the frame table.
  bool give_device(GuestPhysical page);

  // After a change of the local APIC's base register: the page becomes the device's, and what it
  // covered before is back. apic_page: the one that it covers now, or did last.
  void place_apic();
  GuestPhysical apic_page() const { return covered_.page; }

  // Shows the host's framebuffer to the guest, where it is; the guest's RAM must end below it.
  // False: too few frames.
  bool show_framebuffer(const Framebuffer&);

  FramePool& pool;
  Pc& pc;
  FrameTable table;
  PcMemory pc_memory;
  Withdrawal withdrawal;
  GuestMemory memory;
  PcDma dma;
  VideoFrames video;

 private:
  std::uint64_t ram_end_ = 0;
  // What stands, or stood, under the local APIC.
  struct Covered {
    GuestPhysical page{};
    FrameKind kind = FrameKind::absent;
    HostPhysical frame{};
  };
  void cover(GuestPhysical page);

  Covered covered_{};
};

}  // namespace undercroft
