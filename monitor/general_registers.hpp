// The general registers between the guest's virtual CPU and the context that the nexus loads: the
// same in both views.
#pragma once

#include "processor.hpp"
#include "vcpu.hpp"

namespace undercroft {

inline void load_general_registers(GuestContext& context, const Vcpu& vcpu) {
  context.eax = vcpu[Register::eax];
  context.ecx = vcpu[Register::ecx];
  context.edx = vcpu[Register::edx];
  context.ebx = vcpu[Register::ebx];
  context.esp = vcpu[Register::esp];
  context.ebp = vcpu[Register::ebp];
  context.esi = vcpu[Register::esi];
  context.edi = vcpu[Register::edi];
}

inline void save_general_registers(const GuestContext& context, Vcpu& vcpu) {
  vcpu[Register::eax] = context.eax;
  vcpu[Register::ecx] = context.ecx;
  vcpu[Register::edx] = context.edx;
  vcpu[Register::ebx] = context.ebx;
  vcpu[Register::esp] = context.esp;
  vcpu[Register::ebp] = context.ebp;
  vcpu[Register::esi] = context.esi;
  vcpu[Register::edi] = context.edi;
}

inline std::uint32_t register_of(const GuestContext& context, Register which) {
  switch (which) {
    case Register::eax:
      return context.eax;
    case Register::ecx:
      return context.ecx;
    case Register::edx:
      return context.edx;
    case Register::ebx:
      return context.ebx;
    case Register::esp:
      return context.esp;
    case Register::ebp:
      return context.ebp;
    case Register::esi:
      return context.esi;
    case Register::edi:
      return context.edi;
  }
  return 0;
}

}  // namespace undercroft
