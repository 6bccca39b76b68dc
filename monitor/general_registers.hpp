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

}  // namespace undercroft
