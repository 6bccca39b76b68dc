// A small protected-mode machine for the tests of segment/ and interrupts: tables, a TSS with inner
// stacks, flat segments of every privilege level, and an environment that counts what it is told.
#pragma once

#include <cstdint>
#include <ostream>

#include "monitor/environment.hpp"
#include "monitor/segment/descriptor.hpp"
#include "monitor/vcpu.hpp"
#include "tests/unit/fakes/flat_memory.hpp"

namespace undercroft {

inline void PrintTo(const Exception& e, std::ostream* out) {
  *out << "vector " << static_cast<unsigned>(e.vector) << " code " << std::hex << e.error_code
       << " address " << e.fault_address.value() << std::dec;
}

}  // namespace undercroft

namespace undercroft::test {

class CountingEnvironment final : public Environment {
 public:
  std::uint32_t port_read(std::uint16_t, unsigned) override { return ~0u; }
  void port_write(std::uint16_t, std::uint32_t, unsigned) override {}
  CpuidLeaf cpuid(std::uint32_t, std::uint32_t) override { return {}; }
  std::uint64_t time_stamp() override { return 0; }
  Guarded<std::uint64_t> read_msr(const Vcpu&, std::uint32_t) override { return 0; }
  Guarded<Done> write_msr(Vcpu&, std::uint32_t, std::uint64_t) override { return Done{}; }
  Guarded<NativeResult> run_native(Vcpu&, const Instruction&, std::span<std::uint8_t>) override {
    return Failure{Exception::invalid_opcode()};
  }
  std::uint32_t cr4_allowed() const override { return 0; }
  void paging_changed(const Vcpu&) override {}
  void page_root_loaded(const Vcpu& vcpu) override { root = vcpu.cr3, ++roots; }
  std::optional<std::array<std::uint64_t, 4>> page_pointers(std::uint32_t) override {
    return pointers;
  }
  void page_invalidated(GuestLinear) override {}
  void descriptor_tables_changed(const Vcpu&) override { ++tables; }
  void fpu_control_changed(const Vcpu&) override { ++fpu_controls; }
  void debug_registers_changed(const Vcpu&) override { ++debug_changes; }

  std::uint32_t root = 0;
  std::optional<std::array<std::uint64_t, 4>> pointers{};  // none: a reserved bit
  unsigned roots = 0, tables = 0, fpu_controls = 0, debug_changes = 0;
};

// Access bytes without DPL: P and S set, accessed.
namespace access {
inline constexpr std::uint16_t data = 0x4093, read_only = 0x4091, code = 0x409b,
                               execute_only = 0x4099, conforming = 0x409f, expand_down = 0x4097;
constexpr std::uint16_t dpl(std::uint16_t attributes, unsigned level) {
  return static_cast<std::uint16_t>(attributes | level << 5);
}
constexpr std::uint16_t absent(std::uint16_t attributes) { return attributes & ~0x80; }
constexpr std::uint16_t untouched(std::uint16_t attributes) { return attributes & ~1; }
}  // namespace access

constexpr Descriptor flat(std::uint16_t attributes) {
  return Descriptor::segment(0, 0xffffffff, attributes);
}

// Every architectural register that segment/ may touch.
inline bool same(const Vcpu& a, const Vcpu& b) {
  return a.general == b.general && a.eip == b.eip && a.eflags == b.eflags &&
         a.segments == b.segments && a.ldtr == b.ldtr && a.tr == b.tr && a.cpl == b.cpl &&
         a.cr0 == b.cr0 && a.cr3 == b.cr3 && a.dr7 == b.dr7;
}

struct Machine {
  static constexpr std::uint32_t gdt = 0x1000, idt = 0x2000, ldt = 0x3000, tss = 0x4000;
  static constexpr std::uint32_t kernel_stack = 0x8000, user_stack = 0x9000, stack_1 = 0xa000;
  // Selectors, RPL = DPL.
  static constexpr std::uint16_t code_0 = 0x08, data_0 = 0x10, code_3 = 0x1b, data_3 = 0x23,
                                 tss_selector = 0x28, conforming_0 = 0x30, ldt_selector = 0x38,
                                 code_1 = 0x41, data_1 = 0x49, scratch = 0x50, scratch_2 = 0x58;

  FlatMemory memory;
  CountingEnvironment environment;
  Vcpu vcpu;

  explicit Machine(std::uint32_t bytes = 0x12000) : memory(bytes) {
    vcpu.cr0 |= cr0::protection_enable;
    vcpu.gdtr = {GuestLinear(gdt), 0xff};
    vcpu.idtr = {GuestLinear(idt), 0x7ff};
    set(code_0, flat(access::code));
    set(data_0, flat(access::data));
    set(code_3, flat(access::dpl(access::code, 3)));
    set(data_3, flat(access::dpl(access::data, 3)));
    set(tss_selector, Descriptor::segment(tss, 0x67, 0x8b));
    set(conforming_0, flat(access::conforming));
    set(ldt_selector, Descriptor::segment(ldt, 0x3f, 0x82));
    set(code_1, flat(access::dpl(access::code, 1)));
    set(data_1, flat(access::dpl(access::data, 1)));
    vcpu.tr = get(tss_selector).cache(tss_selector);
    vcpu.ldtr = get(ldt_selector).cache(ldt_selector);
    set_inner_stack(0, data_0, kernel_stack);
    set_inner_stack(1, data_1, stack_1);
    set_inner_stack(2, 0, 0);
    at_level(0);
  }

  std::uint32_t entry(std::uint16_t selector) const {
    return (selector & 4 ? ldt : gdt) + (selector & ~7u);
  }
  void set(std::uint16_t selector, Descriptor d) { memory.put64(entry(selector), d.raw()); }
  Descriptor get(std::uint16_t selector) const { return Descriptor(memory.get64(entry(selector))); }
  void set_gate(unsigned vector, Descriptor gate) { memory.put64(idt + vector * 8, gate.raw()); }
  void set_inner_stack(unsigned level, std::uint16_t ss, std::uint32_t esp) {
    memory.put32(tss + 4 + level * 8, esp);
    memory.put32(tss + 8 + level * 8, ss);
  }

  // Flat code, stack and data of the level, EIP 0x5000.
  void at_level(unsigned cpl) {
    constexpr std::uint16_t code[] = {code_0, code_1, 0, code_3};
    constexpr std::uint16_t data[] = {data_0, data_1, 0, data_3};
    constexpr std::uint32_t stack[] = {kernel_stack, stack_1, 0, user_stack};
    vcpu.cpl = static_cast<std::uint8_t>(cpl);
    for (unsigned s = 0; s < 6; ++s) vcpu.segments[s] = get(data[cpl]).cache(data[cpl]);
    vcpu[Segment::cs] = get(code[cpl]).cache(code[cpl]);
    vcpu[Register::esp] = stack[cpl];
    vcpu.eip = 0x5000;
  }

  void in_real_mode() {
    vcpu.cr0 &= ~cr0::protection_enable;
    vcpu.cpl = 0;
    for (DescriptorCache& cache : vcpu.segments) {
      cache = {0, attribute::real_mode_data, 0, 0xffff, true};
    }
    vcpu.idtr = {GuestLinear(0), 0x3ff};
  }

  void in_virtual_8086(unsigned iopl) {
    vcpu.cpl = 3;
    vcpu.eflags = eflags::always_one | eflags::virtual_8086 | iopl << eflags::iopl_shift;
    for (DescriptorCache& cache : vcpu.segments) {
      cache = {0, attribute::virtual_8086_segment, 0, 0xffff, true};
    }
  }

  // The word `index` places above the stack pointer.
  std::uint32_t stacked(unsigned index) const {
    return memory.get32(vcpu[Segment::ss].base + vcpu[Register::esp] + index * 4);
  }
  void push(std::initializer_list<std::uint32_t> words) {
    for (std::uint32_t word : words) {
      vcpu[Register::esp] -= 4;
      memory.put32(vcpu[Segment::ss].base + vcpu[Register::esp], word);
    }
  }
};

}  // namespace undercroft::test
