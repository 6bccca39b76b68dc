// See interrupts.hpp.
#include "interrupts.hpp"

#include "segment/code_segment.hpp"
#include "segment/linear_address.hpp"
#include "segment/stack.hpp"
#include "segment/task_switch.hpp"

namespace undercroft {

namespace {

constexpr std::uint32_t error_ext = 1, error_idt = 2;

using Kind = Event::Kind;

bool is_software(const Event& event) {
  return event.kind == Kind::software_interrupt || event.kind == Kind::software_exception;
}

std::uint32_t saved_eip(const Vcpu& vcpu, const Event& event) {
  return is_software(event) || event.kind == Kind::icebp ? event.return_eip : vcpu.eip;
}

// RF in the saved flags: set for faults, so that an instruction breakpoint does not strike twice
// (SDM volume 3, 17.3.1.1). Traps, aborts and #DB leave it as it is, but for the general-detect
// fault, which is the #DB that brings no bits of DR6 along.
std::uint32_t saved_resume_flag(const Event& event) {
  if (event.kind != Kind::exception) return 0;
  switch (event.exception.vector) {
    case Vector::debug:
      return event.debug_status == 0 ? eflags::resume : 0;
    case Vector::nonmaskable_interrupt:
    case Vector::breakpoint:
    case Vector::overflow:
    case Vector::double_fault:
    case Vector::machine_check:
      return 0;
    case Vector::divide_error:
    case Vector::bound_range:
    case Vector::invalid_opcode:
    case Vector::device_not_available:
    case Vector::coprocessor_overrun:
    case Vector::invalid_tss:
    case Vector::segment_not_present:
    case Vector::stack_fault:
    case Vector::general_protection:
    case Vector::page_fault:
    case Vector::fpu_error:
    case Vector::alignment_check:
    case Vector::simd_error:
      return eflags::resume;
  }
  return 0;
}

bool pushes_error_code(const Event& event) {
  return event.kind == Kind::exception && event.exception.has_error_code;
}

Failure<Exception> refuse_vector(std::uint8_t vector, Vector with = Vector::general_protection) {
  return Failure{Exception::with_code(with, vector * 8u + error_idt)};
}

// SDM volume 3, 20.1.4: four bytes of CS:IP for each vector, no error codes.
Guarded<Transfer> deliver_real(Vcpu& vcpu, LinearMemory& memory, const Event& event) {
  const std::uint32_t slot = event.vector * 4u;
  if (slot + 3 > vcpu.idtr.limit) return refuse_vector(event.vector);
  const std::uint32_t entry = TRY(memory.read(vcpu.idtr.base + slot, 4, Privilege::supervisor));
  PushFrame frame(vcpu[Segment::ss], vcpu[Register::esp], 2, Privilege::supervisor, 0);
  frame.push(vcpu.eflags);
  frame.push(vcpu[Segment::cs].selector);
  frame.push(saved_eip(vcpu, event));
  const DescriptorCache cs =
      real_mode_segment(vcpu[Segment::cs], static_cast<std::uint16_t>(entry >> 16));
  TRY(require_offset(entry & 0xffff, cs.limit));
  vcpu[Register::esp] = TRY(frame.write(memory));
  vcpu.eflags &= ~(eflags::interrupt | eflags::trap | eflags::resume | eflags::alignment_check);
  vcpu[Segment::cs] = cs;
  vcpu.eip = entry & 0xffff;
  return Transfer{};
}

// The IDT entry, with the checks that come before its type matters (SDM volume 2, INT n).
Guarded<Descriptor> find_gate(const Vcpu& vcpu, LinearMemory& memory, const Event& event) {
  const std::uint32_t slot = event.vector * 8u;
  if (slot + 7 > vcpu.idtr.limit) return refuse_vector(event.vector);
  const GuestLinear address = vcpu.idtr.base + slot;
  const std::uint32_t low = TRY(memory.read(address, 4, Privilege::supervisor));
  const std::uint32_t high = TRY(memory.read(address + 4, 4, Privilege::supervisor));
  const Descriptor gate(low, high);
  if (!gate.is_interrupt_gate() && !gate.is_trap_gate() && !gate.is_task_gate()) {
    return refuse_vector(event.vector);
  }
  if (is_software(event) && gate.dpl() < vcpu.cpl) return refuse_vector(event.vector);
  if (!gate.present()) return refuse_vector(event.vector, Vector::segment_not_present);
  return gate;
}

Guarded<Transfer> deliver_to_task(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                                  const Event& event, Descriptor gate) {
  TaskSwitchEvent details;
  details.saved_flags = saved_resume_flag(event);
  if (pushes_error_code(event)) details.error_code = event.exception.error_code;
  return task_switch(vcpu, memory, environment, gate.gate_selector(), TaskSwitchKind::interrupt,
                     saved_eip(vcpu, event), details);
}

void push_return(PushFrame& frame, const Vcpu& vcpu, const Event& event) {
  frame.push(vcpu.eflags | saved_resume_flag(event));
  frame.push(vcpu[Segment::cs].selector);
  frame.push(saved_eip(vcpu, event));
  if (pushes_error_code(event)) frame.push(event.exception.error_code);
}

// CS:EIP and the flags at the handler's first instruction (SDM volume 3, 6.12.1.2).
void enter_handler(Vcpu& vcpu, Descriptor gate, Descriptor code, unsigned cpl) {
  vcpu.cpl = static_cast<std::uint8_t>(cpl);
  vcpu[Segment::cs] = code.cache(selector::with_rpl(gate.gate_selector(), cpl));
  vcpu.eip = gate.gate_offset();
  vcpu.eflags &= ~(eflags::trap | eflags::nested_task | eflags::resume | eflags::virtual_8086);
  if (gate.is_interrupt_gate()) vcpu.eflags &= ~eflags::interrupt;
}

Guarded<Transfer> deliver_same_level(Vcpu& vcpu, LinearMemory& memory, const Event& event,
                                     Descriptor gate, const TableEntry& code) {
  PushFrame frame(vcpu, gate.gate_size());
  push_return(frame, vcpu, event);
  TRY(frame.probe(memory));
  TRY(require_offset(gate.gate_offset(), code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Register::esp] = TRY(frame.write(memory));
  enter_handler(vcpu, gate, marked, vcpu.cpl);
  return Transfer{};
}

// To an inner level: the stack comes from the TSS. From V86 mode the data segments are pushed too,
// and nulled (SDM volume 3, 20.3.1).
Guarded<Transfer> deliver_inner_level(Vcpu& vcpu, LinearMemory& memory, const Event& event,
                                      Descriptor gate, const TableEntry& code) {
  constexpr std::array data_segments{Segment::gs, Segment::fs, Segment::ds, Segment::es};
  const unsigned cpl = code.descriptor.dpl();
  const StackPointer stack = TRY(inner_stack(vcpu, memory, cpl));
  const DescriptorCache ss =
      TRY(stack_segment_for(vcpu, memory, stack.ss, cpl, Vector::invalid_tss));
  PushFrame frame(ss, merged_esp(ss, vcpu[Register::esp], stack.esp), gate.gate_size(),
                  Privilege::supervisor, selector::error_code(stack.ss));
  if (vcpu.virtual_8086()) {
    for (const Segment segment : data_segments) frame.push(vcpu[segment].selector);
  }
  frame.push(vcpu[Segment::ss].selector);
  frame.push(vcpu[Register::esp]);
  push_return(frame, vcpu, event);
  TRY(frame.probe(memory));
  TRY(require_offset(gate.gate_offset(), code.descriptor.limit()));
  const Descriptor marked = TRY(mark_accessed(memory, code));
  vcpu[Register::esp] = TRY(frame.write(memory));
  vcpu[Segment::ss] = ss;
  if (vcpu.virtual_8086()) {
    for (const Segment segment : data_segments) vcpu[segment] = null_cache(0);
  }
  enter_handler(vcpu, gate, marked, cpl);
  return Transfer{};
}

Guarded<Transfer> deliver_protected(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                                    const Event& event) {
  if (event.kind == Kind::software_interrupt && vcpu.virtual_8086() && vcpu.iopl() != 3) {
    return Failure{Exception::general_protection()};
  }
  const Descriptor gate = TRY(find_gate(vcpu, memory, event));
  if (gate.is_task_gate()) return deliver_to_task(vcpu, memory, environment, event, gate);
  const std::uint16_t target = gate.gate_selector();
  const TableEntry code = TRY(lookup_code(vcpu, memory, target));
  const unsigned dpl = code.descriptor.dpl();
  if (dpl > vcpu.cpl) return refuse_selector(Vector::general_protection, target);
  TRY(require_present(code.descriptor, target));
  const bool inner = !code.descriptor.is_conforming() && dpl < vcpu.cpl;
  if (vcpu.virtual_8086() && (!inner || dpl != 0)) {
    return refuse_selector(Vector::general_protection, target);
  }
  if (inner) return deliver_inner_level(vcpu, memory, event, gate, code);
  return deliver_same_level(vcpu, memory, event, gate, code);
}

// EXT: the fault happened while something was delivered that the program did not ask for by INT n,
// INT3 or INTO (SDM volume 3, 6.13; #AC: 6.15). Page faults and double faults have no such bit.
Exception with_external_bit(Exception fault, const Event& event) {
  const bool selector_code =
      fault.vector == Vector::invalid_tss || fault.vector == Vector::segment_not_present ||
      fault.vector == Vector::stack_fault || fault.vector == Vector::general_protection ||
      fault.vector == Vector::alignment_check;
  if (selector_code && !is_software(event)) fault.error_code |= error_ext;
  return fault;
}

// CR2 belongs to the fault, not to its delivery: it is set also if the fault becomes a double
// fault.
void note_fault_address(Vcpu& vcpu, const Exception& fault) {
  if (fault.vector == Vector::page_fault) vcpu.cr2 = fault.fault_address.value();
}

// The registers that tell the handler more: CR2, DR6 (SDM volume 3, 6.15 and 17.2.4).
void note_cause(Vcpu& vcpu, Environment& environment, const Event& event) {
  constexpr std::uint32_t general_detect = 1u << 13;
  if (event.kind != Kind::exception) return;
  note_fault_address(vcpu, event.exception);
  if (event.exception.vector == Vector::debug) {
    vcpu.dr6 |= event.debug_status;
    vcpu.dr7 &= ~general_detect;
    environment.debug_registers_changed(vcpu);
  }
}

// What is to be delivered after `fault` was met while delivering `event`; nothing: triple fault.
std::optional<Event> next_event(const Event& event, const Exception& fault) {
  const FaultClass first =
      event.kind == Kind::exception ? fault_class(event.exception.vector) : FaultClass::benign;
  switch (combine(first, fault_class(fault.vector))) {
    case Combination::serial:
      return Event::of(fault);
    case Combination::double_fault:
      return Event::of(Exception::with_code(Vector::double_fault, 0));
    case Combination::triple_fault:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Delivery deliver(Vcpu& vcpu, LinearMemory& memory, Environment& environment, Event event) {
  Delivery delivery;
  vcpu.halted = false;
  vcpu.nmi_blocked |= event.kind == Kind::nonmaskable;
  vcpu.interrupt_shadow = InterruptShadow::none;
  // An instruction that asks for its own interrupt has begun, which clears RF.
  if (is_software(event) || event.kind == Kind::icebp) vcpu.eflags &= ~eflags::resume;
  while (delivery.faults < Delivery::max_faults) {
    note_cause(vcpu, environment, event);
    const Guarded<Transfer> entered = vcpu.protected_mode()
                                          ? deliver_protected(vcpu, memory, environment, event)
                                          : deliver_real(vcpu, memory, event);
    if (entered.ok()) {
      delivery.task_trap = entered.value().task_trap;
      return delivery;
    }
    const Exception fault = with_external_bit(entered.error(), event);
    delivery.chain[delivery.faults++] = fault;
    note_fault_address(vcpu, fault);
    const std::optional<Event> next = next_event(event, fault);
    if (!next) break;
    event = *next;
  }
  delivery.outcome = Delivery::Outcome::triple_fault;
  return delivery;
}

}  // namespace undercroft
