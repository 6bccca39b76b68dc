// x87, MMX and SSE instructions that the interpreter meets, run by the processor: at ring 3, in the
// kernel view, with nothing of the guest but its registers and a copy of the memory operand.
#include <algorithm>

#include "general_registers.hpp"
#include "monitor.hpp"
#include "window_layout.hpp"

namespace undercroft {
namespace {

// What the processor can raise where neither memory nor CR0 and CR4 can be the cause.
constexpr bool belongs_to_guest(std::uint32_t vector) {
  return vector == static_cast<unsigned>(Vector::invalid_opcode) ||
         vector == static_cast<unsigned>(Vector::general_protection) ||
         vector == static_cast<unsigned>(Vector::fpu_error) ||
         vector == static_cast<unsigned>(Vector::simd_error);
}

}  // namespace

// Host interrupts wait: EFLAGS.IF is clear for these few instructions.
Guarded<NativeResult> Monitor::run_native(Vcpu& vcpu, const Instruction& instruction,
                                          std::span<std::uint8_t> memory) {
  ++statistics_.native;
  const NativeCode::Place code = native_code_.place(instruction);
  std::copy(memory.begin(), memory.end(), cpu_page_.native_operand.begin());
  load_native_context(vcpu, code.start);
  const bool masked_move = !memory.empty() && !instruction.has_memory;
  if (masked_move) context_.edi = cpu_page_offset::native_operand;
  enter_view(View::kernel);
  processor_.enter(context_);
  const bool finished =
      context_.vector == static_cast<unsigned>(Vector::invalid_opcode) && context_.eip == code.end;
  if (!finished) {
    if (!belongs_to_guest(context_.vector)) {
      end_run(RunEnd::Kind::stopped, "an x87 or SSE instruction that ended in an unknown way");
    }
    return Failure{hardware_exception()};
  }
  if (masked_move) context_.edi = vcpu[Register::edi];
  save_native_context(vcpu);
  std::copy_n(cpu_page_.native_operand.begin(), memory.size(), memory.begin());
  return NativeResult{cpu_page_.native_control, cpu_page_.native_status};
}

void Monitor::load_native_context(const Vcpu& vcpu, std::uint32_t address) {
  load_general_registers(context_, vcpu);
  context_.eip = address;
  context_.eflags = (vcpu.eflags & eflags::arithmetic) | eflags::always_one;
  context_.cs = host_gdt::selector(host_gdt::cache_code, 3);
  context_.ss = context_.gs = host_gdt::selector(host_gdt::cpu_page, 3);
  context_.ds = context_.es = context_.fs = 0;
}

void Monitor::save_native_context(Vcpu& vcpu) const {
  save_general_registers(context_, vcpu);
  vcpu.eflags = (vcpu.eflags & ~eflags::arithmetic) | (context_.eflags & eflags::arithmetic);
}

}  // namespace undercroft
