// EFLAGS as a whole: LAHF SAHF, single flags, PUSHF and POPF, CLI and STI with their IOPL rules
// (SDM volume 2; volume 3, 20.2.7 for V86). The virtual interrupt extensions (VME, PVI) are not
// offered.
#include "execution.hpp"

namespace undercroft::execute {

namespace {

constexpr std::uint32_t low_byte_flags =
    eflags::carry | eflags::parity | eflags::adjust | eflags::zero | eflags::sign;

// V86 code below IOPL 3 must not touch IF: #GP(0).
Guarded<Done> check_v86(const Execution& x) {
  if (x.vcpu.virtual_8086() && x.vcpu.iopl() < 3) return Failure{Exception::general_protection()};
  return Done{};
}

// CLI and STI ask for CPL <= IOPL; V86 has CPL 3.
Guarded<Done> check_interrupt_flag(const Execution& x) {
  if (x.vcpu.protected_mode() && x.vcpu.cpl > x.vcpu.iopl()) {
    return Failure{Exception::general_protection()};
  }
  return Done{};
}

Guarded<Done> push_flags(Execution& x) {
  TRY(check_v86(x));
  const std::uint32_t image = x.vcpu.eflags & ~(eflags::virtual_8086 | eflags::resume);
  return x.push(image, x.instruction.operand_size);
}

// VM, VIF, VIP and the reserved bits stay; RF is cleared; IOPL changes at CPL 0 only, IF where CPL
// <= IOPL (in V86 with IOPL 3: always).
Guarded<Done> pop_flags(Execution& x) {
  TRY(check_v86(x));
  const unsigned size = x.instruction.operand_size;
  const std::uint32_t image = TRY(x.peek(0, size));
  const Vcpu& vcpu = x.vcpu;
  const bool real_mode = !vcpu.protected_mode();
  std::uint32_t which = eflags::arithmetic | eflags::trap | eflags::direction | eflags::nested_task;
  if (size == 4) which |= eflags::alignment_check | eflags::identification;
  if (real_mode || vcpu.cpl == 0) which |= eflags::iopl;
  if (real_mode || vcpu.cpl <= vcpu.iopl()) which |= eflags::interrupt;
  x.set_stack_pointer(x.stack_pointer() + size);
  x.set_flags(image, which);
  return Done{};
}

Guarded<Done> set_interrupt_flag(Execution& x) {
  TRY(check_interrupt_flag(x));
  // The shadow is cast only where IF was clear.
  if (!x.flag(eflags::interrupt)) x.shadow = InterruptShadow::sti;
  x.vcpu.eflags |= eflags::interrupt;
  return Done{};
}

}  // namespace

Guarded<Done> flags(Execution& x) {
  std::uint32_t& flags = x.vcpu.eflags;
  switch (x.instruction.operation) {
    case Operation::lahf:
      x.set_register(4, flags & 0xff, 1);
      return Done{};
    case Operation::sahf:
      x.set_flags(x.register_value(4, 1), low_byte_flags);
      return Done{};
    case Operation::clc:
      flags &= ~eflags::carry;
      return Done{};
    case Operation::stc:
      flags |= eflags::carry;
      return Done{};
    case Operation::cmc:
      flags ^= eflags::carry;
      return Done{};
    case Operation::cld:
      flags &= ~eflags::direction;
      return Done{};
    case Operation::std_:
      flags |= eflags::direction;
      return Done{};
    case Operation::pushf:
      return push_flags(x);
    case Operation::popf:
      return pop_flags(x);
    case Operation::sti:
      return set_interrupt_flag(x);
    case Operation::cli:
      TRY(check_interrupt_flag(x));
      flags &= ~eflags::interrupt;
      return Done{};
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
