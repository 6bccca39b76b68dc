// The processor that a guest is told it has: the host's, with the features taken out that the
// monitor does not give (design section 7), and its model-specific registers. SDM volume 2, CPUID;
// volume 4.
#pragma once

#include <cstdint>

#include "environment.hpp"

namespace undercroft {

// What the guest gets for a leaf, given what the host's processor says.
CpuidLeaf filter_cpuid(std::uint32_t leaf, std::uint32_t subleaf, const CpuidLeaf& host);
// The leaf to ask the host for: beyond the last one, processors answer as for the last basic leaf.
std::uint32_t clamp_cpuid_leaf(std::uint32_t leaf, std::uint32_t host_last_basic_leaf);

inline constexpr std::uint32_t guest_cr4_bits =
    cr4::time_stamp_disable | cr4::page_size_extensions | cr4::physical_address_extension |
    cr4::page_global_enable | cr4::os_fxsr | cr4::os_simd_exceptions |
    cr4::performance_counter_enable | cr4::debugging_extensions;

// A local APIC: leaf 1, EDX, and its base register, which are the machine's.
inline constexpr std::uint32_t cpuid_apic = 1u << 9;
inline constexpr std::uint32_t msr_apic_base = 0x1b;

Guarded<std::uint64_t> read_guest_msr(const Vcpu&, std::uint32_t index, std::uint64_t time_stamp);
Guarded<Done> write_guest_msr(Vcpu&, std::uint32_t index, std::uint64_t value);

}  // namespace undercroft
