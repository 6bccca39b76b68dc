// A guest for the interpreter's tests: a Vcpu in a mode of choice over flat memory, with an
// Environment that writes down what it is told.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "monitor/instruction/interpreter.hpp"
#include "tests/unit/fakes/flat_memory.hpp"

namespace undercroft::test {

class RecordingEnvironment final : public Environment {
 public:
  std::vector<std::string> calls;
  std::uint32_t port_value = 0x11223344;
  std::uint64_t time = 0x123456789a;
  std::uint32_t allowed_cr4 = 0x6ff;
  std::optional<std::array<std::uint64_t, 4>> pointers{};  // none: a reserved bit
  std::uint32_t pointers_of = 0;                           // the CR3 last asked for

  std::uint32_t port_read(std::uint16_t port, unsigned size) override {
    note("in", port, size);
    return size == 4 ? port_value : port_value & ((1u << 8 * size) - 1);
  }
  void port_write(std::uint16_t port, std::uint32_t value, unsigned size) override {
    note("out", port, size, value);
  }
  CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) override {
    return {leaf + 1, subleaf + 2, 3, 4};
  }
  std::uint64_t time_stamp() override { return time; }
  Guarded<std::uint64_t> read_msr(const Vcpu&, std::uint32_t index) override {
    if (index == 0xbad) return Failure{Exception::general_protection()};
    return std::uint64_t{index} << 32 | 7;
  }
  Guarded<Done> write_msr(Vcpu&, std::uint32_t index, std::uint64_t value) override {
    if (index == 0xbad) return Failure{Exception::general_protection()};
    note("wrmsr", index, static_cast<std::uint32_t>(value >> 32),
         static_cast<std::uint32_t>(value));
    return Done{};
  }
  // What the processor does with x87, MMX and SSE.
  std::function<Guarded<NativeResult>(Vcpu&, std::span<std::uint8_t>)> processor =
      [](Vcpu&, std::span<std::uint8_t>) { return NativeResult{}; };
  Guarded<NativeResult> run_native(Vcpu& vcpu, const Instruction& instruction,
                                   std::span<std::uint8_t> memory) override {
    note("native", instruction.opcode, memory.size());
    return processor(vcpu, memory);
  }
  std::uint32_t cr4_allowed() const override { return allowed_cr4; }
  void paging_changed(const Vcpu&) override { calls.push_back("paging"); }
  void page_root_loaded(const Vcpu&) override { calls.push_back("root"); }
  std::optional<std::array<std::uint64_t, 4>> page_pointers(std::uint32_t cr3) override {
    pointers_of = cr3;
    return pointers;
  }
  void page_invalidated(GuestLinear address) override { note("invlpg", address.value()); }
  void descriptor_tables_changed(const Vcpu&) override { calls.push_back("tables"); }
  void fpu_control_changed(const Vcpu&) override { calls.push_back("fpu"); }
  void debug_registers_changed(const Vcpu&) override { calls.push_back("debug"); }

 private:
  template <class... T>
  void note(std::string text, T... values) {
    char buffer[16];
    ((std::snprintf(buffer, sizeof buffer, " %x", unsigned(values)), text += buffer), ...);
    calls.push_back(text);
  }
};

enum class Mode { real, protected_16, protected_32, virtual_8086 };

struct Machine {
  static constexpr std::uint32_t code = 0x1000;
  static constexpr std::uint32_t stack = 0x8000;

  FlatMemory memory{0x40000};
  RecordingEnvironment environment;
  Interpreter interpreter{memory, environment};
  Vcpu vcpu;

  explicit Machine(Mode mode = Mode::protected_32, unsigned cpl = 0, unsigned iopl = 0) {
    const bool is_protected = mode != Mode::real;
    const bool v86 = mode == Mode::virtual_8086;
    if (v86) cpl = 3;
    if (is_protected) vcpu.cr0 |= cr0::protection_enable;
    vcpu.cpl = static_cast<std::uint8_t>(cpl);
    vcpu.eflags |= iopl << eflags::iopl_shift | (v86 ? eflags::virtual_8086 : 0);
    const bool big = mode == Mode::protected_32;
    const bool small_limit = mode == Mode::real || v86;
    for (unsigned i = 0; i < 6; ++i) {
      const bool is_code = i == static_cast<unsigned>(Segment::cs) && !small_limit;
      DescriptorCache& cache = vcpu.segments[i];
      cache.selector = static_cast<std::uint16_t>(small_limit ? 0 : (is_code ? 8 : 16) | cpl);
      cache.attributes =
          static_cast<std::uint16_t>((is_code ? 0x9b : 0x93) | cpl << 5 | (big ? 0xc000 : 0));
      cache.limit = big ? 0xffffffff : 0xffff;
      cache.usable = true;
    }
    vcpu.eip = code;
    vcpu[Register::esp] = stack;
  }

  void put_code(std::initializer_list<int> bytes) { memory.put(vcpu.eip, bytes); }
  StepOutcome step() { return interpreter.step(vcpu); }
  StepOutcome run(std::initializer_list<int> bytes) {
    put_code(bytes);
    return step();
  }
  std::uint32_t& operator[](Register r) { return vcpu[r]; }
  std::uint32_t flag(std::uint32_t bit) const { return vcpu.eflags & bit; }
};

// The exception that a step raised, if it did.
inline std::optional<Exception> fault(const StepOutcome& outcome) {
  if (outcome.kind != StepOutcome::Kind::exception) return std::nullopt;
  return outcome.exception;
}
inline bool retired(const StepOutcome& outcome) {
  return outcome.kind == StepOutcome::Kind::retired;
}
inline const std::optional<Exception> general_protection = Exception::general_protection();
inline const std::optional<Exception> invalid_opcode = Exception::invalid_opcode();

}  // namespace undercroft::test
