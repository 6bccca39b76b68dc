// Descriptors and the task state segment as the processor reads them (SDM volume 3, 3.4.5, 6.11 and
// 7.2): pure values. Where they stand and when they are loaded is host_tables' business.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

// Type bytes (P, DPL 0, S, type); a DPL is or-ed in at bit 5.
namespace descriptor_access {
inline constexpr std::uint32_t code_readable = 0x9b;  // accessed
inline constexpr std::uint32_t data_writable = 0x93;  // accessed
inline constexpr std::uint32_t local_table = 0x82;
inline constexpr std::uint32_t available_tss = 0x89;
inline constexpr std::uint32_t interrupt_gate = 0x8e;
inline constexpr std::uint32_t task_gate = 0x85;
inline constexpr std::uint32_t dpl_3 = 3u << 5;
}  // namespace descriptor_access

inline constexpr std::uint32_t flag_32_bit = 1u << 22;  // in the upper half
inline constexpr std::uint32_t flag_4k_units = 1u << 23;

// limit: the last byte. Above 1 MB it must end a page; granularity is chosen here.
constexpr std::uint64_t segment_descriptor(std::uint32_t base, std::uint32_t limit,
                                           std::uint32_t access, std::uint32_t flags) {
  const bool pages = limit > 0xfffff;
  const std::uint32_t units = pages ? limit >> 12 : limit;
  const std::uint32_t low = (base << 16) | (units & 0xffff);
  const std::uint32_t high = (base & 0xff000000) | flags | (pages ? flag_4k_units : 0) |
                             (units & 0xf0000) | (access << 8) | ((base >> 16) & 0xff);
  return std::uint64_t{high} << 32 | low;
}

constexpr std::uint64_t gate_descriptor(std::uint32_t selector, std::uint32_t offset,
                                        std::uint32_t access) {
  const std::uint32_t low = (selector << 16) | (offset & 0xffff);
  const std::uint32_t high = (offset & 0xffff0000) | (access << 8);
  return std::uint64_t{high} << 32 | low;
}

// 32-bit TSS. Each selector has a reserved upper half.
struct TaskState {
  std::uint32_t link;
  std::uint32_t esp0, ss0, esp1, ss1, esp2, ss2;
  std::uint32_t cr3, eip, eflags;
  std::uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
  std::uint32_t es, cs, ss, ds, fs, gs, ldt;
  std::uint16_t trap, io_map_base;
};
static_assert(sizeof(TaskState) == 104);

static_assert(segment_descriptor(0xff000000, 0x3fffff, descriptor_access::code_readable,
                                 flag_32_bit) == 0xffc09b00000003ff);
static_assert(segment_descriptor(0x12345678, 0x67, descriptor_access::available_tss, 0) ==
              0x1200893456780067);

}  // namespace undercroft::x86
