// The virtual CPU page: what translated code reads and writes without leaving the cache. It is
// reached through GS, reserved for it in the kernel view. A guest kernel can write it (design
// section 2), so the monitor takes nothing from it on trust: every value it reads back is one that
// the guest could have given itself by an instruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../vcpu.hpp"

namespace undercroft {

struct VirtualCpuPage {
  std::uint32_t interrupt_flag;     // eflags::interrupt or 0: the guest's IF
  std::uint32_t interrupt_pending;  // eflags::interrupt or 0: an interrupt waits for IF to rise
  std::uint32_t saved_eax;          // registers that a sequence has borrowed
  std::uint32_t saved_ecx;
  std::uint32_t saved_edx;
  std::array<std::uint32_t, 6> selectors;  // the guest's segment registers, indexed by Segment
  // What IRET to the same code segment compares, as negatives: added to what they are compared with
  // they give 0 if it is the same, without a flag. CS's selector, or not_returnable; where its
  // descriptor stands in the guest's table, and the descriptor that CS was loaded from.
  std::uint32_t minus_code_selector;
  std::uint32_t code_descriptor;
  std::uint32_t minus_code_low;
  std::uint32_t minus_code_high;
  // The bases of the guest's segments, counted from the window's.
  std::array<std::uint32_t, 6> guard_bases;
  std::uint32_t page_invalidated;  // not 0: INVLPG has been run
  std::uint32_t io_privilege;      // the guest's IOPL, where EFLAGS has it
  // For native_code.hpp: the memory operand, then x87's registers.
  alignas(16) std::array<std::uint8_t, 512> native_operand;
  std::uint16_t native_control;
  std::uint16_t native_status;
};

// A minus_code_selector that no selector equals.
inline constexpr std::uint32_t not_returnable = 0x40000000;

// The layout that the emitted code uses.
namespace cpu_page_offset {
inline constexpr std::uint32_t interrupt_flag = offsetof(VirtualCpuPage, interrupt_flag);
inline constexpr std::uint32_t interrupt_pending = offsetof(VirtualCpuPage, interrupt_pending);
inline constexpr std::uint32_t saved_eax = offsetof(VirtualCpuPage, saved_eax);
inline constexpr std::uint32_t saved_ecx = offsetof(VirtualCpuPage, saved_ecx);
inline constexpr std::uint32_t saved_edx = offsetof(VirtualCpuPage, saved_edx);
inline constexpr std::uint32_t page_invalidated = offsetof(VirtualCpuPage, page_invalidated);
inline constexpr std::uint32_t io_privilege = offsetof(VirtualCpuPage, io_privilege);
inline constexpr std::uint32_t native_operand = offsetof(VirtualCpuPage, native_operand);
inline constexpr std::uint32_t native_control = offsetof(VirtualCpuPage, native_control);
inline constexpr std::uint32_t native_status = offsetof(VirtualCpuPage, native_status);
constexpr std::uint32_t selector(Segment s) {
  return offsetof(VirtualCpuPage, selectors) + 4 * static_cast<std::uint32_t>(s);
}
inline constexpr std::uint32_t minus_code_selector = offsetof(VirtualCpuPage, minus_code_selector);
inline constexpr std::uint32_t code_descriptor = offsetof(VirtualCpuPage, code_descriptor);
inline constexpr std::uint32_t minus_code_low = offsetof(VirtualCpuPage, minus_code_low);
inline constexpr std::uint32_t minus_code_high = offsetof(VirtualCpuPage, minus_code_high);
constexpr std::uint32_t guard_base(Segment s) {
  return offsetof(VirtualCpuPage, guard_bases) + 4 * static_cast<std::uint32_t>(s);
}
}  // namespace cpu_page_offset

}  // namespace undercroft
