// IRET in all its forms (SDM volume 2, IRET; volume 3, 20.2), SYSENTER and SYSEXIT: see
// far_transfer.hpp.
#include "code_segment.hpp"
#include "far_transfer.hpp"
#include "stack.hpp"
#include "task_switch.hpp"

namespace undercroft {

namespace {

struct ReturnFrame {
  std::uint32_t eip;
  std::uint16_t cs;
  std::uint32_t flags;
};

Guarded<ReturnFrame> read_frame(const Vcpu& vcpu, LinearMemory& memory, unsigned size) {
  ReturnFrame frame;
  frame.eip = TRY(peek_stack(vcpu, memory, 0, size));
  frame.cs = static_cast<std::uint16_t>(TRY(peek_stack(vcpu, memory, size, size)));
  frame.flags = TRY(peek_stack(vcpu, memory, 2 * size, size));
  return frame;
}

constexpr std::uint32_t user_low =
    eflags::arithmetic | eflags::trap | eflags::direction | eflags::nested_task;
constexpr std::uint32_t user_high =
    eflags::resume | eflags::alignment_check | eflags::identification;

// The flags that IRET may change. Protected mode: by CPL and IOPL before the return. VIF and VIP
// are reserved bits, since the CPU model has no virtual interrupts (VME).
std::uint32_t writable_flags(const Vcpu& vcpu, unsigned size) {
  std::uint32_t mask = user_low | (size == 4 ? user_high : 0);
  if (!vcpu.protected_mode()) return mask | eflags::interrupt | eflags::iopl;
  if (vcpu.virtual_8086()) return mask | eflags::interrupt;  // IOPL is 3 here
  if (vcpu.cpl <= vcpu.iopl()) mask |= eflags::interrupt;
  if (vcpu.cpl == 0) mask |= eflags::iopl;
  return mask;
}

std::uint32_t returned_flags(const Vcpu& vcpu, std::uint32_t popped, unsigned size) {
  const std::uint32_t mask = writable_flags(vcpu, size);
  return (vcpu.eflags & ~mask) | (popped & mask) | eflags::always_one;
}

// Real mode, and V86 mode with IOPL 3.
Guarded<Transfer> return_unprotected(Vcpu& vcpu, LinearMemory& memory, unsigned size) {
  const ReturnFrame frame = TRY(read_frame(vcpu, memory, size));
  const DescriptorCache cs = vcpu.virtual_8086() ? virtual_8086_segment(frame.cs)
                                                 : real_mode_segment(vcpu[Segment::cs], frame.cs);
  TRY(require_offset(frame.eip, cs.limit));
  vcpu.eflags = returned_flags(vcpu, frame.flags, size);
  vcpu[Segment::cs] = cs;
  vcpu[Register::esp] =
      merged_esp(vcpu[Segment::ss], vcpu[Register::esp], vcpu[Register::esp] + 3 * size);
  vcpu.eip = frame.eip;
  return Transfer{};
}

// From CPL 0 with VM set in the popped flags: nine words, ESP, SS, ES, DS, FS, GS above the three.
Guarded<Transfer> return_to_virtual_8086(Vcpu& vcpu, LinearMemory& memory,
                                         const ReturnFrame& frame) {
  std::array<std::uint32_t, 6> words;
  for (unsigned i = 0; i < words.size(); ++i) {
    words[i] = TRY(peek_stack(vcpu, memory, 12 + 4 * i, 4));
  }
  TRY(require_offset(frame.eip, 0xffff));
  constexpr std::array order{Segment::ss, Segment::es, Segment::ds, Segment::fs, Segment::gs};
  for (unsigned i = 0; i < order.size(); ++i) {
    vcpu[order[i]] = virtual_8086_segment(static_cast<std::uint16_t>(words[i + 1]));
  }
  vcpu[Segment::cs] = virtual_8086_segment(frame.cs);
  constexpr std::uint32_t all =
      user_low | user_high | eflags::virtual_8086 | eflags::interrupt | eflags::iopl;
  vcpu.eflags = (frame.flags & all) | eflags::always_one;
  vcpu[Register::esp] = words[0];
  vcpu.eip = frame.eip;
  vcpu.cpl = 3;
  return Transfer{};
}

Guarded<Transfer> return_to_outer_level(Vcpu& vcpu, LinearMemory& memory, const TableEntry& code,
                                        const ReturnFrame& frame, unsigned size) {
  const unsigned cpl = selector::rpl(frame.cs);
  const std::uint32_t esp = TRY(peek_stack(vcpu, memory, 3 * size, size));
  const auto selector = static_cast<std::uint16_t>(TRY(peek_stack(vcpu, memory, 4 * size, size)));
  const DescriptorCache ss = TRY(stack_segment_for(vcpu, memory, selector, cpl));
  TRY(require_offset(frame.eip, code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu.eflags = returned_flags(vcpu, frame.flags, size);
  vcpu[Segment::cs] = marked.cache(frame.cs);
  vcpu[Segment::ss] = ss;
  vcpu[Register::esp] = merged_esp(ss, vcpu[Register::esp], esp);
  vcpu.eip = frame.eip;
  vcpu.cpl = static_cast<std::uint8_t>(cpl);
  drop_inner_segments(vcpu);
  return Transfer{};
}

Guarded<Transfer> return_protected(Vcpu& vcpu, LinearMemory& memory, const ReturnFrame& frame,
                                   unsigned size) {
  const TableEntry code = TRY(lookup_code(vcpu, memory, frame.cs));
  const unsigned rpl = selector::rpl(frame.cs);
  if (rpl < vcpu.cpl || !may_return(code.descriptor, frame.cs)) {
    return refuse_selector(Vector::general_protection, frame.cs);
  }
  TRY(require_present(code.descriptor, frame.cs));
  if (rpl > vcpu.cpl) return return_to_outer_level(vcpu, memory, code, frame, size);
  TRY(require_offset(frame.eip, code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu.eflags = returned_flags(vcpu, frame.flags, size);
  vcpu[Segment::cs] = marked.cache(frame.cs);
  vcpu[Register::esp] =
      merged_esp(vcpu[Segment::ss], vcpu[Register::esp], vcpu[Register::esp] + 3 * size);
  vcpu.eip = frame.eip;
  return Transfer{};
}

// The back link of the current TSS names the task to return to.
Guarded<Transfer> return_to_previous_task(Vcpu& vcpu, LinearMemory& memory,
                                          Environment& environment, std::uint32_t next_eip) {
  const std::uint32_t link = TRY(memory.read(GuestLinear(vcpu.tr.base), 2, Privilege::supervisor));
  return task_switch(vcpu, memory, environment, static_cast<std::uint16_t>(link),
                     TaskSwitchKind::interrupt_return, next_eip);
}

// The flat segments that SYSENTER and SYSEXIT load without looking at any table (SDM volume 2).
DescriptorCache flat_segment(std::uint32_t selector, bool code, unsigned dpl) {
  const unsigned attributes = attribute::granular | attribute::size_32 | attribute::present |
                              attribute::code_or_data | attribute::writable_or_readable |
                              attribute::accessed | (code ? attribute::code : 0) |
                              dpl << attribute::dpl_shift;
  return {static_cast<std::uint16_t>(selector), static_cast<std::uint16_t>(attributes), 0,
          0xffffffff, true};
}

bool fast_call_allowed(const Vcpu& vcpu) {
  return vcpu.protected_mode() && (vcpu.sysenter_cs & 0xfffc) != 0;
}

void enter_flat(Vcpu& vcpu, std::uint32_t cs, unsigned cpl, std::uint32_t eip, std::uint32_t esp) {
  vcpu[Segment::cs] = flat_segment(cs, true, cpl);
  vcpu[Segment::ss] = flat_segment(cs + 8, false, cpl);
  vcpu.cpl = static_cast<std::uint8_t>(cpl);
  vcpu.eip = eip;
  vcpu[Register::esp] = esp;
}

}  // namespace

Guarded<Transfer> interrupt_return(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                                   unsigned operand_size, std::uint32_t next_eip) {
  if (!vcpu.protected_mode()) return return_unprotected(vcpu, memory, operand_size);
  if (vcpu.virtual_8086()) {
    if (vcpu.iopl() != 3) return Failure{Exception::general_protection()};
    return return_unprotected(vcpu, memory, operand_size);
  }
  if (vcpu.eflags & eflags::nested_task) {
    return return_to_previous_task(vcpu, memory, environment, next_eip);
  }
  const ReturnFrame frame = TRY(read_frame(vcpu, memory, operand_size));
  // At an outer level the popped VM bit is ignored.
  if (operand_size == 4 && (frame.flags & eflags::virtual_8086) && vcpu.cpl == 0) {
    return return_to_virtual_8086(vcpu, memory, frame);
  }
  return return_protected(vcpu, memory, frame, operand_size);
}

Guarded<Done> system_enter(Vcpu& vcpu) {
  if (!fast_call_allowed(vcpu)) return Failure{Exception::general_protection()};
  vcpu.eflags &= ~(eflags::virtual_8086 | eflags::interrupt);
  enter_flat(vcpu, vcpu.sysenter_cs & 0xfffc, 0, vcpu.sysenter_eip, vcpu.sysenter_esp);
  return Done{};
}

Guarded<Done> system_exit(Vcpu& vcpu) {
  if (!fast_call_allowed(vcpu) || vcpu.cpl != 0) return Failure{Exception::general_protection()};
  enter_flat(vcpu, ((vcpu.sysenter_cs & 0xfffc) + 16) | 3, 3, vcpu[Register::edx],
             vcpu[Register::ecx]);
  return Done{};
}

}  // namespace undercroft
