// See far_transfer.hpp. IRET and the fast system calls are in interrupt_return.cpp.
#include "far_transfer.hpp"

#include "code_segment.hpp"
#include "linear_address.hpp"
#include "stack.hpp"
#include "task_switch.hpp"

namespace undercroft {

namespace {

std::uint32_t truncated(std::uint32_t offset, unsigned operand_size) {
  return operand_size == 2 ? offset & 0xffff : offset;
}

// CS as real and V86 mode load it: no descriptor, the limit checked as it stands.
Guarded<DescriptorCache> unprotected_code(const Vcpu& vcpu, FarPointer target) {
  const DescriptorCache cs = vcpu.virtual_8086()
                                 ? virtual_8086_segment(target.selector)
                                 : real_mode_segment(vcpu[Segment::cs], target.selector);
  TRY(require_offset(target.offset, cs.limit));
  return cs;
}

bool unprotected(const Vcpu& vcpu) { return !vcpu.protected_mode() || vcpu.virtual_8086(); }

// JMP or CALL through a task gate or to a TSS: both demand DPL >= CPL and RPL.
Guarded<Transfer> switch_task(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                              std::uint16_t selector, Descriptor descriptor, TaskSwitchKind kind,
                              std::uint32_t next_eip) {
  if (descriptor.dpl() < vcpu.cpl || descriptor.dpl() < selector::rpl(selector)) {
    return refuse_selector(Vector::general_protection, selector);
  }
  if (!descriptor.is_task_gate()) {
    return task_switch(vcpu, memory, environment, selector, kind, next_eip);
  }
  TRY(require_present(descriptor, selector));
  return task_switch(vcpu, memory, environment, descriptor.gate_selector(), kind, next_eip);
}

// A call gate's own checks, then the code segment behind it: present, and DPL <= CPL.
Guarded<TableEntry> through_call_gate(const Vcpu& vcpu, LinearMemory& memory,
                                      std::uint16_t selector, Descriptor gate) {
  if (gate.dpl() < vcpu.cpl || gate.dpl() < selector::rpl(selector)) {
    return refuse_selector(Vector::general_protection, selector);
  }
  TRY(require_present(gate, selector));
  const std::uint16_t target = gate.gate_selector();
  const TableEntry code = TRY(lookup_code(vcpu, memory, target));
  if (code.descriptor.dpl() > vcpu.cpl) return refuse_selector(Vector::general_protection, target);
  return code;
}

void enter_code(Vcpu& vcpu, Descriptor code, std::uint16_t selector, unsigned cpl,
                std::uint32_t offset) {
  vcpu[Segment::cs] = code.cache(selector::with_rpl(selector, cpl));
  vcpu.cpl = static_cast<std::uint8_t>(cpl);
  vcpu.eip = offset;
}

Guarded<Transfer> jump_through_gate(Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector,
                                    Descriptor gate) {
  const TableEntry code = TRY(through_call_gate(vcpu, memory, selector, gate));
  const std::uint16_t target = gate.gate_selector();
  if (!code.descriptor.is_conforming() && code.descriptor.dpl() != vcpu.cpl) {
    return refuse_selector(Vector::general_protection, target);
  }
  TRY(require_present(code.descriptor, target));
  TRY(require_offset(gate.gate_offset(), code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  enter_code(vcpu, marked, target, vcpu.cpl, gate.gate_offset());
  return Transfer{};
}

// CALL at an unchanged privilege level: direct, or through a gate.
Guarded<Transfer> call_same_level(Vcpu& vcpu, LinearMemory& memory, const TableEntry& code,
                                  FarPointer target, unsigned size, std::uint32_t next_eip) {
  PushFrame frame(vcpu, size);
  frame.push(vcpu[Segment::cs].selector);
  frame.push(next_eip);
  TRY(frame.probe(memory));
  TRY(require_offset(target.offset, code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Register::esp] = TRY(frame.write(memory));
  enter_code(vcpu, marked, target.selector, vcpu.cpl, target.offset);
  return Transfer{};
}

// CALL through a gate to an inner level: the stack comes from the TSS, parameters are copied.
Guarded<Transfer> call_inner_level(Vcpu& vcpu, LinearMemory& memory, const TableEntry& code,
                                   Descriptor gate, std::uint32_t next_eip) {
  const unsigned cpl = code.descriptor.dpl();
  const unsigned size = gate.gate_size();
  const StackPointer stack = TRY(inner_stack(vcpu, memory, cpl));
  const DescriptorCache ss =
      TRY(stack_segment_for(vcpu, memory, stack.ss, cpl, Vector::invalid_tss));
  PushFrame frame(ss, merged_esp(ss, vcpu[Register::esp], stack.esp), size, Privilege::supervisor,
                  selector::error_code(stack.ss));
  frame.push(vcpu[Segment::ss].selector);
  frame.push(vcpu[Register::esp]);
  TRY(frame.probe(memory));  // before the parameters are read
  for (unsigned i = gate.gate_parameters(); i-- > 0;) {
    const Guarded<std::uint32_t> parameter = peek_stack(vcpu, memory, i * size, size);
    if (!parameter.ok()) {
      TRY(frame.write(memory));  // the words before it are pushed by then
      return Failure{parameter.error()};
    }
    frame.push(parameter.value());
  }
  frame.push(vcpu[Segment::cs].selector);
  frame.push(next_eip);
  TRY(frame.probe(memory));
  TRY(require_offset(gate.gate_offset(), code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Register::esp] = TRY(frame.write(memory));
  vcpu[Segment::ss] = ss;
  enter_code(vcpu, marked, gate.gate_selector(), cpl, gate.gate_offset());
  return Transfer{};
}

Guarded<Transfer> call_through_gate(Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector,
                                    Descriptor gate, std::uint32_t next_eip) {
  const TableEntry code = TRY(through_call_gate(vcpu, memory, selector, gate));
  TRY(require_present(code.descriptor, gate.gate_selector()));
  if (!code.descriptor.is_conforming() && code.descriptor.dpl() < vcpu.cpl) {
    return call_inner_level(vcpu, memory, code, gate, next_eip);
  }
  const FarPointer target{gate.gate_selector(), gate.gate_offset()};
  return call_same_level(vcpu, memory, code, target, gate.gate_size(), next_eip);
}

Guarded<Transfer> unprotected_call(Vcpu& vcpu, LinearMemory& memory, FarPointer target,
                                   unsigned operand_size, std::uint32_t next_eip) {
  PushFrame frame(vcpu, operand_size);
  frame.push(vcpu[Segment::cs].selector);
  frame.push(next_eip);
  TRY(frame.probe(memory));
  const DescriptorCache cs = TRY(unprotected_code(vcpu, target));
  vcpu[Register::esp] = TRY(frame.write(memory));
  vcpu[Segment::cs] = cs;
  vcpu.eip = target.offset;
  return Transfer{};
}

// RET to an outer level: the old stack's SS:ESP lie above the parameters.
Guarded<Done> return_outer(Vcpu& vcpu, LinearMemory& memory, const TableEntry& code,
                           FarPointer target, unsigned size, unsigned pop_bytes) {
  const unsigned cpl = selector::rpl(target.selector);
  const std::uint32_t above = 2 * size + pop_bytes;
  const std::uint32_t esp = TRY(peek_stack(vcpu, memory, above, size));
  const auto ss_selector =
      static_cast<std::uint16_t>(TRY(peek_stack(vcpu, memory, above + size, size)));
  const DescriptorCache ss = TRY(stack_segment_for(vcpu, memory, ss_selector, cpl));
  TRY(require_offset(target.offset, code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Segment::ss] = ss;
  vcpu[Register::esp] = merged_esp(ss, vcpu[Register::esp], esp + pop_bytes);
  enter_code(vcpu, marked, target.selector, cpl, target.offset);
  drop_inner_segments(vcpu);
  return Done{};
}

}  // namespace

Guarded<Transfer> far_jump(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                           FarPointer target, unsigned operand_size, std::uint32_t next_eip) {
  target.offset = truncated(target.offset, operand_size);
  if (unprotected(vcpu)) {
    vcpu[Segment::cs] = TRY(unprotected_code(vcpu, target));
    vcpu.eip = target.offset;
    return Transfer{};
  }
  const std::uint16_t selector = target.selector;
  if (selector::is_null(selector)) return refuse_selector(Vector::general_protection, 0);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector));
  const Descriptor& descriptor = entry.descriptor;
  if (descriptor.is_call_gate()) return jump_through_gate(vcpu, memory, selector, descriptor);
  if (descriptor.is_task_gate() || descriptor.is_tss()) {
    return switch_task(vcpu, memory, environment, selector, descriptor, TaskSwitchKind::jump,
                       next_eip);
  }
  if (!descriptor.is_code() || !may_jump(descriptor, selector, vcpu.cpl)) {
    return refuse_selector(Vector::general_protection, selector);
  }
  TRY(require_present(descriptor, selector));
  TRY(require_offset(target.offset, descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, entry));
  enter_code(vcpu, marked, selector, vcpu.cpl, target.offset);
  return Transfer{};
}

Guarded<Transfer> far_call(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                           FarPointer target, unsigned operand_size, std::uint32_t next_eip) {
  target.offset = truncated(target.offset, operand_size);
  if (unprotected(vcpu)) return unprotected_call(vcpu, memory, target, operand_size, next_eip);
  const std::uint16_t selector = target.selector;
  if (selector::is_null(selector)) return refuse_selector(Vector::general_protection, 0);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector));
  const Descriptor& descriptor = entry.descriptor;
  if (descriptor.is_call_gate()) {
    return call_through_gate(vcpu, memory, selector, descriptor, next_eip);
  }
  if (descriptor.is_task_gate() || descriptor.is_tss()) {
    return switch_task(vcpu, memory, environment, selector, descriptor, TaskSwitchKind::call,
                       next_eip);
  }
  if (!descriptor.is_code() || !may_jump(descriptor, selector, vcpu.cpl)) {
    return refuse_selector(Vector::general_protection, selector);
  }
  TRY(require_present(descriptor, selector));
  return call_same_level(vcpu, memory, entry, target, operand_size, next_eip);
}

Guarded<Done> far_return(Vcpu& vcpu, LinearMemory& memory, unsigned operand_size,
                         unsigned pop_bytes) {
  FarPointer target;
  target.offset = TRY(peek_stack(vcpu, memory, 0, operand_size));
  target.selector =
      static_cast<std::uint16_t>(TRY(peek_stack(vcpu, memory, operand_size, operand_size)));
  const std::uint32_t esp = merged_esp(vcpu[Segment::ss], vcpu[Register::esp],
                                       vcpu[Register::esp] + 2 * operand_size + pop_bytes);
  if (unprotected(vcpu)) {
    vcpu[Segment::cs] = TRY(unprotected_code(vcpu, target));
    vcpu[Register::esp] = esp;
    vcpu.eip = target.offset;
    return Done{};
  }
  const TableEntry code = TRY(lookup_code(vcpu, memory, target.selector));
  const unsigned rpl = selector::rpl(target.selector);
  if (rpl < vcpu.cpl || !may_return(code.descriptor, target.selector)) {
    return refuse_selector(Vector::general_protection, target.selector);
  }
  TRY(require_present(code.descriptor, target.selector));
  if (rpl > vcpu.cpl) return return_outer(vcpu, memory, code, target, operand_size, pop_bytes);
  TRY(require_offset(target.offset, code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Register::esp] = esp;
  enter_code(vcpu, marked, target.selector, rpl, target.offset);
  return Done{};
}

}  // namespace undercroft
