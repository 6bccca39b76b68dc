// What an instruction reaches besides registers and memory: ports, CPUID, MSRs, time, and the parts
// of the monitor that must hear of a change of mode, page tables or descriptor tables. The
// interpreter is written against it; the monitor implements it, tests fake it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "address.hpp"
#include "exception.hpp"
#include "vcpu.hpp"

namespace undercroft {

struct CpuidLeaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

struct Instruction;

struct NativeResult {
  static constexpr std::size_t most_bytes = 512;  // of a memory operand
  // x87's registers afterwards; only of an x87 instruction that stores.
  std::uint16_t fpu_control = 0, fpu_status = 0;
};

class Environment {
 public:
  // size is 1, 2 or 4; the result is zero-extended. The permission check has been made.
  virtual std::uint32_t port_read(std::uint16_t port, unsigned size) = 0;
  virtual void port_write(std::uint16_t port, std::uint32_t value, unsigned size) = 0;

  // As many accesses one after another as `bytes` has room for, as a repeated INS or OUTS makes
  // them.
  virtual void port_read_string(std::uint16_t port, unsigned size, std::span<std::uint8_t> bytes);
  virtual void port_write_string(std::uint16_t port, unsigned size,
                                 std::span<const std::uint8_t> bytes);

  virtual CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) = 0;
  virtual std::uint64_t time_stamp() = 0;
  // An unknown MSR, or a reserved bit, is #GP(0).
  virtual Guarded<std::uint64_t> read_msr(const Vcpu&, std::uint32_t index) = 0;
  virtual Guarded<Done> write_msr(Vcpu&, std::uint32_t index, std::uint64_t value) = 0;

  // Runs an x87, MMX or SSE instruction on the processor: with the Vcpu's general registers and
  // arithmetic flags, and with `memory` for its memory operand (as many bytes as it has; 8 or 16
  // for MASKMOVQ and MASKMOVDQU; at a multiple of 16). The error is what the processor raised; then
  // nothing has changed.
  virtual Guarded<NativeResult> run_native(Vcpu&, const Instruction&,
                                           std::span<std::uint8_t> memory) = 0;

  // The bits that this CPU model lets a guest set; others are #GP(0).
  virtual std::uint32_t cr4_allowed() const = 0;

  // The four PAE pointers that CR3 names, to be latched (SDM volume 3, 4.4.1); empty: one of them
  // has a reserved bit, which is #GP(0).
  virtual std::optional<std::array<std::uint64_t, 4>> page_pointers(std::uint32_t cr3) = 0;

  // Called after the register has been set in the Vcpu.
  virtual void paging_changed(const Vcpu&) = 0;             // CR0.PG/WP/PE, CR4.PSE/PAE/PGE
  virtual void page_root_loaded(const Vcpu&) = 0;           // CR3 written, also with the same value
  virtual void page_invalidated(GuestLinear) = 0;           // INVLPG
  virtual void descriptor_tables_changed(const Vcpu&) = 0;  // GDTR or LDTR loaded
  virtual void fpu_control_changed(const Vcpu&) = 0;        // CR0.TS/EM/MP/AM, CR4.OSFXSR...
  virtual void debug_registers_changed(const Vcpu&) = 0;    // DR0 to DR7 written

 protected:
  ~Environment() = default;
};

inline void Environment::port_read_string(std::uint16_t port, unsigned size,
                                          std::span<std::uint8_t> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    const std::uint32_t value = port_read(port, size);
    for (unsigned i = 0; i < size; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
  }
}

inline void Environment::port_write_string(std::uint16_t port, unsigned size,
                                           std::span<const std::uint8_t> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) value |= std::uint32_t{bytes[at + i]} << 8 * i;
    port_write(port, value, size);
  }
}

}  // namespace undercroft
