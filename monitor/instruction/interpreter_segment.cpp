// The instructions on segment registers, far transfers and system segments: operands and modes
// here, their rules in segment/.
#include "../segment/far_transfer.hpp"
#include "../segment/load.hpp"
#include "../segment/verify.hpp"
#include "execution.hpp"

namespace undercroft::execute {

namespace {

namespace math = undercroft::arithmetic;

// MOV SS and POP SS hold back interrupts and debug traps, but the second of two in a row does not
// (SDM volume 3, 6.8.3); LSS does not need to.
void cast_shadow(Execution& x, Segment segment) {
  const bool shadowed = x.vcpu.interrupt_shadow == InterruptShadow::mov_ss;
  if (segment == Segment::ss && !shadowed) x.shadow = InterruptShadow::mov_ss;
}

Guarded<Done> move_to_segment(Execution& x) {
  const std::uint32_t selector = TRY(x.read(x.operand(1))) & 0xffff;
  const Segment segment = x.instruction.segment_register;
  if (segment == Segment::cs) return Failure{Exception::invalid_opcode()};
  TRY(load_segment(x.vcpu, x.memory, segment, static_cast<std::uint16_t>(selector)));
  cast_shadow(x, segment);
  return Done{};
}

// A selector stored to a register is zero-extended to the operand size; to memory it is 16 bits.
Guarded<Done> store_selector(Execution& x, std::uint32_t value) {
  if (x.instruction.has_memory) return x.store(x.instruction.segment, x.memory_offset(), value, 2);
  x.set_register(x.instruction.rm(), value, x.instruction.operand_size);
  return Done{};
}

// The manual leaves open whether a 32-bit push writes the upper half of its slot: it does here,
// with zeros, as on AMD's processors (Intel's newer ones write 16 bits).
Guarded<Done> push_segment(Execution& x) {
  return x.push(x.vcpu[x.instruction.segment_register].selector, x.instruction.operand_size);
}

Guarded<Done> pop_segment(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const Segment segment = x.instruction.segment_register;
  const auto selector = static_cast<std::uint16_t>(TRY(x.peek(0, size)));
  // The width of the stack is the old SS's, also for POP SS.
  const std::uint32_t mask = x.stack_mask();
  const std::uint32_t raised = (x.stack_pointer() + size) & mask;
  TRY(load_segment(x.vcpu, x.memory, segment, selector));
  x.vcpu[Register::esp] = (x.vcpu[Register::esp] & ~mask) | raised;
  cast_shadow(x, segment);
  return Done{};
}

Guarded<FarPointer> read_far_pointer(const Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const Segment segment = x.instruction.segment;
  const std::uint32_t offset = TRY(x.load(segment, x.memory_offset(), size));
  const std::uint32_t selector = TRY(x.load(segment, x.memory_offset(size), 2));
  return FarPointer{static_cast<std::uint16_t>(selector), offset};
}

Guarded<Done> load_far_pointer(Execution& x) {
  const FarPointer pointer = TRY(read_far_pointer(x));
  TRY(load_segment(x.vcpu, x.memory, x.instruction.segment_register, pointer.selector));
  x.set_register(x.instruction.reg(), pointer.offset, x.instruction.operand_size);
  return Done{};
}

Guarded<FarPointer> far_target(const Execution& x) {
  if (x.operand(0).kind != OperandKind::far_pointer) return read_far_pointer(x);
  return FarPointer{x.instruction.second_immediate, x.instruction.immediate};
}

// After a task switch RF is the new task's (SDM volume 3, 17.3.1.1).
Guarded<Done> finish(Execution& x, const Transfer& transfer, std::uint16_t old_task) {
  x.transferred = true;
  x.task_trap = transfer.task_trap;
  if (x.vcpu.tr.selector != old_task) x.keep_resume = true;
  return Done{};
}

Guarded<Done> transfer(Execution& x) {
  const unsigned size = x.instruction.operand_size;
  const std::uint16_t old_task = x.vcpu.tr.selector;
  switch (x.instruction.operation) {
    case Operation::jmp_far: {
      const FarPointer target = TRY(far_target(x));
      const auto done = TRY(far_jump(x.vcpu, x.memory, x.environment, target, size, x.next_eip));
      return finish(x, done, old_task);
    }
    case Operation::call_far: {
      const FarPointer target = TRY(far_target(x));
      const auto done = TRY(far_call(x.vcpu, x.memory, x.environment, target, size, x.next_eip));
      return finish(x, done, old_task);
    }
    case Operation::ret_far: {
      const bool releases = x.operand(0).kind == OperandKind::immediate;
      TRY(far_return(x.vcpu, x.memory, size, releases ? x.instruction.immediate & 0xffff : 0));
      break;
    }
    case Operation::iret: {
      x.vcpu.nmi_blocked = false;  // also if it faults (SDM volume 3, 6.7.1)
      const auto done = TRY(interrupt_return(x.vcpu, x.memory, x.environment, size, x.next_eip));
      x.keep_resume = true;  // RF is the image's
      return finish(x, done, old_task);
    }
    case Operation::sysenter:
      TRY(system_enter(x.vcpu));
      break;
    case Operation::sysexit:
      TRY(system_exit(x.vcpu));
      break;
    default:
      return x.unknown();
  }
  x.transferred = true;
  return Done{};
}

// INT n, INT3, INTO, INT1: what they do is interrupts.hpp's, whose caller the interpreter's is.
Guarded<Done> software_interrupt(Execution& x) {
  const auto raise = [&x](Event::Kind kind, std::uint32_t vector) {
    x.software_event = true;
    x.event_kind = kind;
    x.event_vector = static_cast<std::uint8_t>(vector);
    return Done{};
  };
  switch (x.instruction.operation) {
    case Operation::int_:
      return raise(Event::Kind::software_interrupt, x.instruction.immediate);
    case Operation::int3:
      return raise(Event::Kind::software_exception, 3);
    case Operation::int1:
      return raise(Event::Kind::icebp, 1);
    case Operation::into:
      if (!x.flag(eflags::overflow)) return Done{};
      return raise(Event::Kind::software_exception, 4);
    default:
      return x.unknown();
  }
}

// LAR, LSL, VERR, VERW: ZF tells whether the selector may be asked about.
Guarded<Done> verify(Execution& x) {
  TRY(x.require_protected_mode());
  const Operation operation = x.instruction.operation;
  const bool loads = operation == Operation::lar || operation == Operation::lsl;
  Operand operand = x.operand(loads ? 1 : 0);
  operand.width = 2;  // a selector, whatever the operand size
  const auto selector = static_cast<std::uint16_t>(TRY(x.read(operand)));
  bool accessible = false;
  if (loads) {
    const auto value = operation == Operation::lar ? TRY(access_rights(x.vcpu, x.memory, selector))
                                                   : TRY(segment_limit(x.vcpu, x.memory, selector));
    accessible = value.has_value();
    if (accessible) TRY(x.write(x.operand(0), *value));
  } else {
    accessible = operation == Operation::verr ? TRY(verify_read(x.vcpu, x.memory, selector))
                                              : TRY(verify_write(x.vcpu, x.memory, selector));
  }
  x.set_flags(math::flag(accessible, eflags::zero), eflags::zero);
  return Done{};
}

Guarded<Done> adjust_rpl(Execution& x) {
  TRY(x.require_protected_mode());
  const auto source = static_cast<std::uint16_t>(TRY(x.read(x.operand(1))));
  const auto opened = TRY(x.open(x.operand(0)));  // a destination that cannot be written faults
  const auto adjusted = adjusted_rpl(static_cast<std::uint16_t>(opened.value), source);
  if (adjusted) TRY(x.close(x.operand(0), opened, *adjusted));
  x.set_flags(math::flag(adjusted.has_value(), eflags::zero), eflags::zero);
  return Done{};
}

// SLDT STR LLDT LTR.
Guarded<Done> system_segment(Execution& x) {
  TRY(x.require_protected_mode());
  Vcpu& vcpu = x.vcpu;
  const Operation operation = x.instruction.operation;
  if (operation == Operation::sldt || operation == Operation::str) {
    if (vcpu.cpl != 0 && (vcpu.cr4 & cr4::user_mode_instruction_prevention)) {
      return Failure{Exception::general_protection()};
    }
    return store_selector(x, operation == Operation::sldt ? vcpu.ldtr.selector : vcpu.tr.selector);
  }
  TRY(x.require_cpl0());
  Operand operand = x.operand(0);
  operand.width = 2;
  const auto selector = static_cast<std::uint16_t>(TRY(x.read(operand)));
  if (operation == Operation::ltr) return load_tr(vcpu, x.memory, selector);
  TRY(load_ldtr(vcpu, x.memory, selector));
  x.environment.descriptor_tables_changed(vcpu);
  return Done{};
}

}  // namespace

Guarded<Done> segment(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::mov_from_segment:
      return store_selector(x, x.vcpu[x.instruction.segment_register].selector);
    case Operation::mov_to_segment:
      return move_to_segment(x);
    case Operation::push_segment:
      return push_segment(x);
    case Operation::pop_segment:
      return pop_segment(x);
    case Operation::load_far_pointer:
      return load_far_pointer(x);
    case Operation::jmp_far:
    case Operation::call_far:
    case Operation::ret_far:
    case Operation::iret:
    case Operation::sysenter:
    case Operation::sysexit:
      return transfer(x);
    case Operation::int_:
    case Operation::int3:
    case Operation::int1:
    case Operation::into:
      return software_interrupt(x);
    case Operation::lar:
    case Operation::lsl:
    case Operation::verr:
    case Operation::verw:
      return verify(x);
    case Operation::arpl:
      return adjust_rpl(x);
    case Operation::sldt:
    case Operation::str:
    case Operation::lldt:
    case Operation::ltr:
      return system_segment(x);
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
