// The stack as far transfers and interrupt delivery use it: frames pushed, words read without
// popping. Honours SS.B and limits (SDM volume 3, 6.12.1; volume 1, 6.2.3). Instructions' own
// pushes and pops are the interpreter's.
#pragma once

#include <array>

#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "linear_address.hpp"

namespace undercroft {

constexpr std::uint32_t stack_mask(const DescriptorCache& ss) {
  return ss.is_32_bit() ? 0xffffffff : 0xffff;
}
// Replaces the part of ESP that the stack segment's B bit selects.
constexpr std::uint32_t merged_esp(const DescriptorCache& ss, std::uint32_t old_esp,
                                   std::uint32_t new_esp) {
  const std::uint32_t mask = stack_mask(ss);
  return (old_esp & ~mask) | (new_esp & mask);
}

// Reads the word `displacement` bytes above the current top of stack, as the current CPL.
Guarded<std::uint32_t> peek_stack(const Vcpu&, LinearMemory&, std::uint32_t displacement,
                                  unsigned size);

// A frame on its way to a stack: push() collects, probe() raises what writing would raise, write()
// writes and yields the new ESP. Where a page fault is raised, the words above it are written by
// then, as QEMU and Bochs do; the manual does not say. Violations of the stack segment raise
// #SS(error_code).
class PushFrame {
 public:
  PushFrame(const DescriptorCache& ss, std::uint32_t esp, unsigned size, Privilege privilege,
            std::uint32_t error_code)
      : ss_(ss), esp_(esp), size_(size), privilege_(privilege), error_code_(error_code) {}
  // On the stack in use, with the rights and the alignment checks of the current CPL.
  PushFrame(const Vcpu& vcpu, unsigned size)
      : PushFrame(vcpu[Segment::ss], vcpu[Register::esp], size, privilege_of(vcpu.cpl), 0) {
    checks_alignment_ = vcpu.checks_alignment();
  }

  void push(std::uint32_t value) { words_[count_++] = size_ == 2 ? value & 0xffff : value; }
  Guarded<Done> probe(LinearMemory&) const;
  Guarded<std::uint32_t> write(LinearMemory&) const;

 private:
  // A call gate's frame is the largest: SS, ESP, 31 parameters, CS, EIP.
  static constexpr unsigned capacity = 36;
  Guarded<Done> write_words(LinearMemory&, unsigned count) const;
  std::uint32_t offset(unsigned index) const {
    return (esp_ - size_ * (index + 1)) & stack_mask(ss_);
  }
  bool misaligned() const { return checks_alignment_ && (ss_.base + offset(0)) & (size_ - 1); }
  // Lowest and highest word stand where they would without wrapping at the end of the segment.
  bool contiguous() const { return offset(0) - offset(count_ - 1) == size_ * (count_ - 1); }

  DescriptorCache ss_;
  std::uint32_t esp_;
  unsigned size_;
  Privilege privilege_;
  std::uint32_t error_code_;
  bool checks_alignment_ = false;
  unsigned count_ = 0;
  std::array<std::uint32_t, capacity> words_;
};

}  // namespace undercroft
