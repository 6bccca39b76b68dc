#include "cpu_model.hpp"

#include <array>

namespace undercroft {
namespace {

// Leaf 1, EDX: FPU DE PSE TSC MSR PAE CX8 SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2 SS. Not VME,
// MCE, APIC, MTRR, MCA, PSE-36, DS, ACPI, HTT.
constexpr std::uint32_t leaf_1_edx =
    1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 11 | 1u << 13 |
    1u << 15 | 1u << 16 | 1u << 19 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 27;
// Leaf 1, ECX: SSE3 SSSE3 CX16 SSE4.1 SSE4.2 MOVBE POPCNT. No XSAVE, so nothing that needs it.
constexpr std::uint32_t leaf_1_ecx =
    1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 23;

constexpr std::uint32_t last_basic_leaf = 2;
constexpr std::uint32_t last_extended_leaf = 0x80000004;

// Registers that read as a constant and ignore writes: present on the processors that CPUID claims,
// and used by kernels that go by family and model, but without effect here.
struct ConstantMsr {
  std::uint32_t index;
  std::uint64_t value;
};
constexpr std::array constant_msrs{
    ConstantMsr{0x17, 0},  // IA32_PLATFORM_ID
    ConstantMsr{0x2a, 0},  // EBL_CR_POWERON
    ConstantMsr{0x79, 0},  // IA32_BIOS_UPDT_TRIG
    ConstantMsr{0x8b, 0},  // IA32_BIOS_SIGN_ID
    ConstantMsr{0xc1, 0},  // IA32_PMC0 and 1, which never count
    ConstantMsr{0xc2, 0},
    ConstantMsr{0xce, 0},   // MSR_PLATFORM_INFO: a ratio of 0 says nothing of the clock
    ConstantMsr{0x186, 0},  // IA32_PERFEVTSEL0 and 1
    ConstantMsr{0x187, 0},
    ConstantMsr{0x1a0, 1},  // IA32_MISC_ENABLE: fast strings
    ConstantMsr{0x1a4, 0},  // MSR_MISC_FEATURE_CONTROL: prefetchers
    ConstantMsr{0x1d9, 0},  // IA32_DEBUGCTL
};

constexpr std::uint32_t msr_time_stamp = 0x10;
constexpr std::uint32_t msr_sysenter_cs = 0x174;
constexpr std::uint32_t msr_sysenter_esp = 0x175;
constexpr std::uint32_t msr_sysenter_eip = 0x176;
constexpr std::uint32_t msr_page_attributes = 0x277;

// Eight memory types: uncacheable, write-combining, write-through, write-protected, write-back,
// UC- (SDM volume 3, table 11-10).
constexpr bool are_memory_types(std::uint64_t value) {
  for (; value != 0; value >>= 8) {
    const std::uint64_t type = value & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

}  // namespace

std::uint32_t clamp_cpuid_leaf(std::uint32_t leaf, std::uint32_t host_last_basic_leaf) {
  const std::uint32_t last =
      host_last_basic_leaf < last_basic_leaf ? host_last_basic_leaf : last_basic_leaf;
  if (leaf <= last) return leaf;
  if (leaf >= 0x80000000 && leaf <= last_extended_leaf) return leaf;
  return last;
}

CpuidLeaf filter_cpuid(std::uint32_t leaf, std::uint32_t, const CpuidLeaf& host) {
  CpuidLeaf guest = host;
  switch (leaf) {
    case 0:
      if (guest.eax > last_basic_leaf) guest.eax = last_basic_leaf;
      return guest;
    case 1:
      guest.ebx &= 0x0000ffff;  // one processor, APIC ID 0; brand index and CLFLUSH size stay
      guest.ecx &= leaf_1_ecx;
      guest.edx &= leaf_1_edx;
      return guest;
    case 0x80000000:
      if (guest.eax > last_extended_leaf) guest.eax = last_extended_leaf;
      return guest;
    case 0x80000001:
      return {guest.eax, 0, 0, 0};
    default:
      return guest;
  }
}

Guarded<std::uint64_t> read_guest_msr(const Vcpu& vcpu, std::uint32_t index,
                                      std::uint64_t time_stamp) {
  switch (index) {
    case msr_time_stamp:
      return time_stamp;
    case msr_sysenter_cs:
      return std::uint64_t{vcpu.sysenter_cs};
    case msr_sysenter_esp:
      return std::uint64_t{vcpu.sysenter_esp};
    case msr_sysenter_eip:
      return std::uint64_t{vcpu.sysenter_eip};
    case msr_page_attributes:
      return vcpu.page_attributes;
    default:
      for (const ConstantMsr& msr : constant_msrs) {
        if (msr.index == index) return msr.value;
      }
      return Failure{Exception::general_protection()};
  }
}

Guarded<Done> write_guest_msr(Vcpu& vcpu, std::uint32_t index, std::uint64_t value) {
  const auto low = static_cast<std::uint32_t>(value);
  switch (index) {
    case msr_time_stamp:
      return Done{};  // the time stamp is the processor's own; see docs/equivalence.md
    case msr_sysenter_cs:
      vcpu.sysenter_cs = low;
      return Done{};
    case msr_sysenter_esp:
      vcpu.sysenter_esp = low;
      return Done{};
    case msr_sysenter_eip:
      vcpu.sysenter_eip = low;
      return Done{};
    case msr_page_attributes:
      if (!are_memory_types(value)) return Failure{Exception::general_protection()};
      vcpu.page_attributes = value;
      return Done{};
    default:
      for (const ConstantMsr& msr : constant_msrs) {
        if (msr.index == index) return Done{};
      }
      return Failure{Exception::general_protection()};
  }
}

}  // namespace undercroft
