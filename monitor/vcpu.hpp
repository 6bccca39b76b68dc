// The virtual CPU: every architectural register that a guest can see or sense, as one
// copyable value (design section 10). It knows no behaviour beyond naming its bits; the
// interpreter, segment/ and interrupts change it. FPU and SSE registers are not here: with one
// virtual CPU they stay in the processor, guarded by CR0.TS.
#pragma once

#include <array>
#include <cstdint>

#include "address.hpp"

namespace undercroft {

// General registers, numbered as in ModRM (SDM volume 2, 2.1.5).
enum class Register : std::uint8_t { eax, ecx, edx, ebx, esp, ebp, esi, edi };

// Segment registers, numbered as in ModRM.reg of MOV Sreg.
enum class Segment : std::uint8_t { es, cs, ss, ds, fs, gs };

// EFLAGS bits (SDM volume 1, 3.4.3).
namespace eflags {
inline constexpr std::uint32_t carry = 1u << 0;
inline constexpr std::uint32_t always_one = 1u << 1;
inline constexpr std::uint32_t parity = 1u << 2;
inline constexpr std::uint32_t adjust = 1u << 4;
inline constexpr std::uint32_t zero = 1u << 6;
inline constexpr std::uint32_t sign = 1u << 7;
inline constexpr std::uint32_t trap = 1u << 8;
inline constexpr std::uint32_t interrupt = 1u << 9;
inline constexpr std::uint32_t direction = 1u << 10;
inline constexpr std::uint32_t overflow = 1u << 11;
inline constexpr std::uint32_t iopl = 3u << 12;
inline constexpr unsigned iopl_shift = 12;
inline constexpr std::uint32_t nested_task = 1u << 14;
inline constexpr std::uint32_t resume = 1u << 16;
inline constexpr std::uint32_t virtual_8086 = 1u << 17;
inline constexpr std::uint32_t alignment_check = 1u << 18;
inline constexpr std::uint32_t virtual_interrupt = 1u << 19;
inline constexpr std::uint32_t virtual_interrupt_pending = 1u << 20;
inline constexpr std::uint32_t identification = 1u << 21;
inline constexpr std::uint32_t arithmetic = carry | parity | adjust | zero | sign | overflow;
}  // namespace eflags

// CR0 and CR4 bits (SDM volume 3, 2.5).
namespace cr0 {
inline constexpr std::uint32_t protection_enable = 1u << 0;
inline constexpr std::uint32_t monitor_coprocessor = 1u << 1;
inline constexpr std::uint32_t emulation = 1u << 2;
inline constexpr std::uint32_t task_switched = 1u << 3;
inline constexpr std::uint32_t extension_type = 1u << 4;
inline constexpr std::uint32_t numeric_error = 1u << 5;
inline constexpr std::uint32_t write_protect = 1u << 16;
inline constexpr std::uint32_t alignment_mask = 1u << 18;
inline constexpr std::uint32_t not_write_through = 1u << 29;
inline constexpr std::uint32_t cache_disable = 1u << 30;
inline constexpr std::uint32_t paging = 1u << 31;
}  // namespace cr0

namespace cr4 {
inline constexpr std::uint32_t v86_extensions = 1u << 0;
inline constexpr std::uint32_t protected_virtual_interrupts = 1u << 1;
inline constexpr std::uint32_t time_stamp_disable = 1u << 2;
inline constexpr std::uint32_t debugging_extensions = 1u << 3;
inline constexpr std::uint32_t page_size_extensions = 1u << 4;
inline constexpr std::uint32_t physical_address_extension = 1u << 5;
inline constexpr std::uint32_t machine_check_enable = 1u << 6;
inline constexpr std::uint32_t page_global_enable = 1u << 7;
inline constexpr std::uint32_t performance_counter_enable = 1u << 8;
inline constexpr std::uint32_t os_fxsr = 1u << 9;
inline constexpr std::uint32_t os_simd_exceptions = 1u << 10;
inline constexpr std::uint32_t user_mode_instruction_prevention = 1u << 11;
}  // namespace cr4

// The hidden part of a segment register (SDM volume 3, 3.4.3), also used for LDTR and TR. It keeps
// its value when the table entry it came from changes.
struct DescriptorCache {
  std::uint16_t selector = 0;
  // Descriptor bits 40..47 in 0..7 (type, S, DPL, P) and bits 52..55 in 12..15 (AVL, L, D/B, G),
  // the layout that LAR shows shifted right by 8.
  std::uint16_t attributes = 0;
  std::uint32_t base = 0;
  std::uint32_t limit = 0;  // last byte, granularity already applied
  bool usable = false;      // false: loaded with a null selector; any access is #GP (#SS for SS)

  constexpr unsigned type() const { return attributes & 0xf; }
  constexpr bool is_code_or_data() const { return attributes & 0x10; }  // descriptor bit S
  constexpr bool is_code() const { return (attributes & 0x18) == 0x18; }
  constexpr bool is_writable_data() const { return (attributes & 0x1a) == 0x12; }
  constexpr bool is_readable() const { return !is_code() || (attributes & 2); }
  constexpr bool is_conforming() const { return is_code() && (attributes & 4); }
  constexpr bool expands_down() const { return !is_code() && (attributes & 4); }
  constexpr unsigned dpl() const { return (attributes >> 5) & 3; }
  constexpr bool present() const { return attributes & 0x80; }
  constexpr bool is_32_bit() const { return attributes & 0x4000; }  // D or B
  constexpr bool operator==(const DescriptorCache&) const = default;
};

// GDTR or IDTR.
struct TableRegister {
  GuestLinear base{};
  std::uint16_t limit = 0xffff;  // last byte
  constexpr bool operator==(const TableRegister&) const = default;
};

// What the next instruction boundary is held back by (SDM volume 3, 6.8.3).
enum class InterruptShadow : std::uint8_t { none, sti, mov_ss };

struct Vcpu {
  std::array<std::uint32_t, 8> general{};  // indexed by Register
  std::uint32_t eip = 0;
  std::uint32_t eflags = eflags::always_one;  // the guest's: IF, IOPL and the rest as it set them
  std::array<DescriptorCache, 6> segments{};  // indexed by Segment
  DescriptorCache ldtr{};
  DescriptorCache tr{};
  TableRegister gdtr{};
  TableRegister idtr{};
  std::uint8_t cpl = 0;

  std::uint32_t cr0 = cr0::extension_type;
  std::uint32_t cr2 = 0;
  std::uint32_t cr3 = 0;
  std::uint32_t cr4 = 0;
  std::array<std::uint64_t, 4> pdptes{};       // PAE, latched at CR3 load
  std::array<std::uint32_t, 4> breakpoints{};  // DR0 to DR3
  std::uint32_t dr6 = 0xffff0ff0;
  std::uint32_t dr7 = 0x400;
  std::uint32_t sysenter_cs = 0;
  std::uint32_t sysenter_esp = 0;
  std::uint32_t sysenter_eip = 0;
  std::uint64_t page_attributes = 0x0007040600070406;  // IA32_PAT, without effect

  InterruptShadow interrupt_shadow = InterruptShadow::none;
  bool nmi_blocked = false;  // from the delivery of an NMI to the next IRET
  bool halted = false;       // after HLT, until an interrupt is delivered
  // The A20M# pin: bit 20 of every physical address is 0 (SDM volume 3, 8.7.13.4).
  bool a20_masked = false;

  constexpr std::uint32_t& operator[](Register r) { return general[static_cast<unsigned>(r)]; }
  constexpr std::uint32_t operator[](Register r) const { return general[static_cast<unsigned>(r)]; }
  constexpr DescriptorCache& operator[](Segment s) { return segments[static_cast<unsigned>(s)]; }
  constexpr const DescriptorCache& operator[](Segment s) const {
    return segments[static_cast<unsigned>(s)];
  }

  constexpr bool protected_mode() const { return cr0 & cr0::protection_enable; }
  constexpr bool virtual_8086() const { return eflags & eflags::virtual_8086; }
  constexpr bool paging() const { return cr0 & cr0::paging; }
  constexpr unsigned iopl() const { return (eflags & eflags::iopl) >> eflags::iopl_shift; }
  constexpr bool interrupts_enabled() const { return eflags & eflags::interrupt; }
  // SDM volume 3, 6.15, interrupt 17: CR0.AM, EFLAGS.AC and CPL 3.
  constexpr bool checks_alignment() const {
    return cpl == 3 && (eflags & eflags::alignment_check) && (cr0 & cr0::alignment_mask);
  }
};

}  // namespace undercroft
