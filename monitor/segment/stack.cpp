// See stack.hpp.
#include "stack.hpp"

namespace undercroft {

Guarded<std::uint32_t> peek_stack(const Vcpu& vcpu, LinearMemory& memory,
                                  std::uint32_t displacement, unsigned size) {
  const DescriptorCache& ss = vcpu[Segment::ss];
  const std::uint32_t offset = (vcpu[Register::esp] + displacement) & stack_mask(ss);
  const GuestLinear address = TRY(linear_address(vcpu, Segment::ss, offset, size, Access::read));
  if ((address.value() & (size - 1)) && vcpu.checks_alignment()) {
    return Failure{Exception::alignment_check()};
  }
  return memory.read(address, size, privilege_of(vcpu.cpl));
}

// What is raised is what the first word raises that cannot be pushed; the words go downwards. Those
// above a page fault are in memory then.
Guarded<Done> PushFrame::probe(LinearMemory& memory) const {
  const Exception no_room = Exception::stack_fault(error_code_);
  if (!ss_.usable) return Failure{no_room};
  const std::uint32_t lowest = offset(count_ - 1);
  if (contiguous() && !misaligned() && within_limit(ss_, lowest, size_ * count_) &&
      memory.probe_write(GuestLinear(ss_.base + lowest), size_ * count_, privilege_)) {
    return Done{};
  }
  for (unsigned i = 0; i < count_; ++i) {
    if (!within_limit(ss_, offset(i), size_)) return Failure{no_room};
    if (misaligned()) return Failure{Exception::alignment_check()};
    const Guarded<Done> room =
        memory.probe_write(GuestLinear(ss_.base + offset(i)), size_, privilege_);
    if (!room.ok()) {
      TRY(write_words(memory, i));
      return room;
    }
  }
  return Done{};
}

Guarded<Done> PushFrame::write_words(LinearMemory& memory, unsigned count) const {
  for (unsigned i = 0; i < count; ++i) {
    TRY(memory.write(GuestLinear(ss_.base + offset(i)), words_[i], size_, privilege_));
  }
  return Done{};
}

Guarded<std::uint32_t> PushFrame::write(LinearMemory& memory) const {
  TRY(probe(memory));
  TRY(write_words(memory, count_));
  return merged_esp(ss_, esp_, esp_ - size_ * count_);
}

}  // namespace undercroft
