// What an instruction asks of the processor itself: identification, MSRs, time, caches, HLT.
#include "execution.hpp"

namespace undercroft::execute {

namespace {

Guarded<Done> read_time_stamp(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  if (vcpu.cpl != 0 && (vcpu.cr4 & cr4::time_stamp_disable)) {
    return Failure{Exception::general_protection()};
  }
  const std::uint64_t value = x.environment.time_stamp();
  vcpu[Register::eax] = static_cast<std::uint32_t>(value);
  vcpu[Register::edx] = static_cast<std::uint32_t>(value >> 32);
  return Done{};
}

Guarded<Done> access_msr(Execution& x) {
  TRY(x.require_cpl0());
  Vcpu& vcpu = x.vcpu;
  const std::uint32_t index = vcpu[Register::ecx];
  if (x.instruction.operation == Operation::rdmsr) {
    const std::uint64_t value = TRY(x.environment.read_msr(vcpu, index));
    vcpu[Register::eax] = static_cast<std::uint32_t>(value);
    vcpu[Register::edx] = static_cast<std::uint32_t>(value >> 32);
    return Done{};
  }
  const std::uint64_t value = std::uint64_t{vcpu[Register::edx]} << 32 | vcpu[Register::eax];
  return x.environment.write_msr(vcpu, index, value);
}

Guarded<Done> identify(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  const CpuidLeaf leaf = x.environment.cpuid(vcpu[Register::eax], vcpu[Register::ecx]);
  vcpu[Register::eax] = leaf.eax;
  vcpu[Register::ebx] = leaf.ebx;
  vcpu[Register::ecx] = leaf.ecx;
  vcpu[Register::edx] = leaf.edx;
  return Done{};
}

// INVLPG takes an address without checking its segment (SDM volume 2).
Guarded<Done> invalidate_page(Execution& x) {
  TRY(x.require_cpl0());
  const std::uint32_t base = x.vcpu[x.instruction.segment].base;
  x.environment.page_invalidated(GuestLinear(base + x.memory_offset()));
  return Done{};
}

}  // namespace

Guarded<Done> processor(Execution& x) {
  switch (x.instruction.operation) {
    case Operation::cpuid:
      return identify(x);
    case Operation::rdtsc:
      return read_time_stamp(x);
    case Operation::rdmsr:
    case Operation::wrmsr:
      return access_msr(x);
    case Operation::invlpg:
      return invalidate_page(x);
    case Operation::invd:
    case Operation::wbinvd:
      return x.require_cpl0();  // the caches are coherent: nothing to do
    case Operation::hlt:
      TRY(x.require_cpl0());
      x.halts = true;
      return Done{};
    // No performance counter is offered.
    case Operation::rdpmc:
      return Failure{Exception::general_protection()};
    // Not in the CPU model: CPUID does not offer them, nor does CR4 allow them.
    case Operation::rdtscp:
    case Operation::rsm:
    case Operation::monitor:
    case Operation::mwait:
    case Operation::xgetbv:
    case Operation::xsetbv:
    case Operation::undefined:
    case Operation::invalid:
      return Failure{Exception::invalid_opcode()};
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
