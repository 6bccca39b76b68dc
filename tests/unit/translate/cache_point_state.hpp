// What a trap at a cache address means for the guest's registers, as PointState's comments have it:
// the tests' own reading of the contract between translated code and the monitor.
#pragma once

#include "monitor/translate/cache.hpp"
#include "monitor/translate/cpu_page.hpp"
#include "monitor/vcpu.hpp"

namespace undercroft::test {

// Gives back what a sequence has borrowed at the point.
inline void restore_registers(Vcpu& vcpu, PointState state, const VirtualCpuPage& page) {
  switch (state) {
    case PointState::boundary:
    case PointState::shadowed:
    case PointState::atomic:
      return;
    case PointState::borrowed_ecx:
      vcpu[Register::ecx] = page.saved_ecx;
      return;
    case PointState::borrowed_eax_ecx:
      vcpu[Register::eax] = page.saved_eax;
      vcpu[Register::ecx] = page.saved_ecx;
      return;
    case PointState::borrowed_ecx_edx:
      vcpu[Register::ecx] = page.saved_ecx;
      vcpu[Register::edx] = page.saved_edx;
      return;
    case PointState::guarding_with_eax:
      vcpu[Register::eax] = page.saved_eax;
      return;
    case PointState::guarding_with_ecx:
      vcpu[Register::ecx] = page.saved_ecx;
      return;
    case PointState::guarding_with_edx:
      vcpu[Register::edx] = page.saved_edx;
      return;
    case PointState::pushed:
      vcpu[Register::esp] += 4;
      return;
    case PointState::pushed_borrowed_ecx_edx:
      vcpu[Register::esp] += 4;
      vcpu[Register::ecx] = page.saved_ecx;
      vcpu[Register::edx] = page.saved_edx;
      return;
  }
}

inline bool is_instruction_start(PointState state) {
  return state == PointState::boundary || state == PointState::shadowed;
}

}  // namespace undercroft::test
