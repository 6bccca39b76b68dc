#include "monitor/cpu_model.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

constexpr CpuidLeaf everything{~0u, ~0u, ~0u, ~0u};

// Leaf 1 by bit, as the manual names them (SDM volume 2, CPUID): what a guest may never be told,
// since the monitor does not do it.
TEST(CpuModel, HidesWhatTheMonitorDoesNotGive) {
  const CpuidLeaf leaf = filter_cpuid(1, 0, everything);
  const struct {
    unsigned bit;
    const char* name;
  } hidden_edx[] = {{1, "VME"}, {7, "MCE"},   {9, "APIC"}, {12, "MTRR"}, {14, "MCA"}, {17, "PSE36"},
                    {21, "DS"}, {22, "ACPI"}, {28, "HTT"}, {29, "TM"},   {31, "PBE"}},
    hidden_ecx[] = {{2, "DTES64"},        {3, "MONITOR"},    {5, "VMX"},      {6, "SMX"},
                    {12, "FMA"},          {15, "PDCM"},      {17, "PCID"},    {21, "x2APIC"},
                    {24, "TSC deadline"}, {26, "XSAVE"},     {27, "OSXSAVE"}, {28, "AVX"},
                    {30, "RDRAND"},       {31, "hypervisor"}};
  for (const auto& row : hidden_edx) EXPECT_FALSE(leaf.edx >> row.bit & 1) << row.name;
  for (const auto& row : hidden_ecx) {
    if (row.bit != 30) {
      EXPECT_FALSE(leaf.ecx >> row.bit & 1) << row.name;
    }
  }
}

TEST(CpuModel, KeepsWhatAKernelNeeds) {
  const CpuidLeaf leaf = filter_cpuid(1, 0, everything);
  // FPU, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, FXSR, SSE, SSE2
  for (const unsigned bit : {0u, 3u, 4u, 5u, 6u, 8u, 11u, 13u, 15u, 16u, 24u, 25u, 26u}) {
    EXPECT_TRUE(leaf.edx >> bit & 1) << bit;
  }
}

TEST(CpuModel, PromisesNothingThatTheHostHasNot) {
  for (const std::uint32_t number : {0u, 1u, 2u, 0x80000000u, 0x80000001u, 0x80000004u}) {
    const CpuidLeaf none = filter_cpuid(number, 0, {});
    EXPECT_EQ(none.ecx | none.edx, 0u) << number;
    for (unsigned bit = 0; bit < 32; ++bit) {
      const std::uint32_t one = 1u << bit;
      const CpuidLeaf leaf = filter_cpuid(number, 0, {one, one, one, one});
      EXPECT_EQ(leaf.ecx & ~one, 0u);
      EXPECT_EQ(leaf.edx & ~one, 0u);
    }
  }
}

TEST(CpuModel, TellsOfOneProcessor) {
  const CpuidLeaf leaf = filter_cpuid(1, 0, everything);
  EXPECT_EQ(leaf.ebx >> 24, 0u) << "initial APIC ID";
  EXPECT_LE(leaf.ebx >> 16 & 0xff, 1u) << "logical processors";
  EXPECT_EQ(leaf.ebx & 0xffff, 0xffffu) << "brand index and CLFLUSH size are the host's";
}

TEST(CpuModel, HasNoLongModeNorExecuteDisable) {
  const CpuidLeaf leaf = filter_cpuid(0x80000001, 0, everything);
  EXPECT_FALSE(leaf.edx >> 29 & 1);  // LM
  EXPECT_FALSE(leaf.edx >> 20 & 1);  // NX
  EXPECT_FALSE(leaf.edx >> 11 & 1);  // SYSCALL
  EXPECT_FALSE(leaf.ecx >> 2 & 1);   // SVM
}

TEST(CpuModel, LeavesEndWhereItSays) {
  const std::uint32_t last = filter_cpuid(0, 0, everything).eax;
  const std::uint32_t last_extended = filter_cpuid(0x80000000, 0, everything).eax;
  // No leaf that is not filtered may be asked for: 7 has SMEP, UMIP and the like.
  EXPECT_LT(last, 7u);
  for (const std::uint32_t leaf :
       {last + 1, 7u, 0xbu, 0xdu, 0x40000000u, last_extended + 1, 0x80000008u, 0xffffffffu}) {
    EXPECT_EQ(clamp_cpuid_leaf(leaf, 0x20), last) << std::hex << leaf;
  }
  for (const std::uint32_t leaf : {0u, 1u, last, 0x80000000u, 0x80000001u, last_extended}) {
    EXPECT_EQ(clamp_cpuid_leaf(leaf, 0x20), leaf) << std::hex << leaf;
  }
  EXPECT_EQ(clamp_cpuid_leaf(2, 1), 1u) << "a host that ends earlier";
  EXPECT_EQ(filter_cpuid(0, 0, {1, 0, 0, 0}).eax, 1u);
}

TEST(CpuModel, NamesTheHostsVendor) {
  const CpuidLeaf leaf = filter_cpuid(0, 0, {20, 0x756e6547, 0x6c65746e, 0x49656e69});
  EXPECT_EQ(leaf.ebx, 0x756e6547u);
  EXPECT_EQ(leaf.ecx, 0x6c65746eu);
  EXPECT_EQ(leaf.edx, 0x49656e69u);
}

// CR4 may hold only what CPUID tells of.
TEST(CpuModel, Cr4MatchesCpuid) {
  const CpuidLeaf leaf = filter_cpuid(1, 0, everything);
  const struct {
    std::uint32_t cr4, edx;
  } rows[] = {{cr4::v86_extensions, 1u << 1},
              {cr4::protected_virtual_interrupts, 1u << 1},
              {cr4::time_stamp_disable, 1u << 4},
              {cr4::debugging_extensions, 1u << 2},
              {cr4::page_size_extensions, 1u << 3},
              {cr4::physical_address_extension, 1u << 6},
              {cr4::machine_check_enable, 1u << 7},
              {cr4::page_global_enable, 1u << 13},
              {cr4::os_fxsr, 1u << 24},
              {cr4::os_simd_exceptions, 1u << 25}};
  for (const auto& row : rows) {
    EXPECT_EQ((guest_cr4_bits & row.cr4) != 0, (leaf.edx & row.edx) != 0) << row.cr4;
  }
  EXPECT_FALSE(guest_cr4_bits & cr4::user_mode_instruction_prevention);
}

TEST(CpuModel, SysenterRegistersKeepWhatIsWritten) {
  Vcpu vcpu;
  const std::uint32_t registers[] = {0x174, 0x175, 0x176};
  for (const std::uint32_t index : registers) {
    EXPECT_TRUE(write_guest_msr(vcpu, index, 0x1000u + index).ok());
  }
  EXPECT_EQ(vcpu.sysenter_cs, 0x1174u);
  EXPECT_EQ(vcpu.sysenter_esp, 0x1175u);
  EXPECT_EQ(vcpu.sysenter_eip, 0x1176u);
  for (const std::uint32_t index : registers) {
    EXPECT_EQ(read_guest_msr(vcpu, index, 0).value(), 0x1000u + index);
  }
}

TEST(CpuModel, TheTimeStampIsReadWhole) {
  EXPECT_EQ(read_guest_msr({}, 0x10, 0x123456789abcdefull).value(), 0x123456789abcdefull);
}

TEST(CpuModel, UnknownRegistersFault) {
  // APIC base, MTRR, EFER, syscall, FS base: all of features that are hidden.
  Vcpu vcpu;
  for (const std::uint32_t index :
       {0x1bu, 0xfeu, 0x2ffu, 0xc0000080u, 0xc0000081u, 0xc0000100u, 0x48u, 0xffffffffu}) {
    const auto read = read_guest_msr(vcpu, index, 0);
    ASSERT_FALSE(read.ok()) << std::hex << index;
    EXPECT_EQ(read.error(), Exception::general_protection());
    const auto written = write_guest_msr(vcpu, index, 0);
    ASSERT_FALSE(written.ok()) << std::hex << index;
    EXPECT_EQ(written.error(), Exception::general_protection());
  }
}

// Some kernels do not start without it, and set it up whatever they use of it.
TEST(CpuModel, PageAttributesKeepWhatIsWritten) {
  Vcpu vcpu;
  EXPECT_EQ(read_guest_msr(vcpu, 0x277, 0).value(), 0x0007040600070406u) << "as after reset";
  EXPECT_TRUE(write_guest_msr(vcpu, 0x277, 0x0706050401000706).ok());
  EXPECT_EQ(read_guest_msr(vcpu, 0x277, 0).value(), 0x0706050401000706u);
  for (const std::uint64_t type : {2u, 3u, 8u, 0x80u}) {
    for (unsigned entry = 0; entry < 8; ++entry) {
      EXPECT_FALSE(write_guest_msr(vcpu, 0x277, type << 8 * entry).ok()) << type << ' ' << entry;
    }
  }
  EXPECT_EQ(read_guest_msr(vcpu, 0x277, 0).value(), 0x0706050401000706u);
}

TEST(CpuModel, ConstantRegistersIgnoreWrites) {
  Vcpu vcpu;
  for (const std::uint32_t index :
       {0x17u, 0x8bu, 0xc1u, 0xc2u, 0xceu, 0x186u, 0x187u, 0x1a0u, 0x1a4u, 0x1d9u}) {
    const auto before = read_guest_msr(vcpu, index, 0);
    ASSERT_TRUE(before.ok());
    EXPECT_TRUE(write_guest_msr(vcpu, index, ~before.value()).ok());
    EXPECT_EQ(read_guest_msr(vcpu, index, 0).value(), before.value());
  }
}

}  // namespace
}  // namespace undercroft
