// x87, MMX and SSE as far as they are the interpreter's: who may run them, and the memory operand
// around what the processor does.
#include <gtest/gtest.h>

#include "tests/unit/instruction/interpreter_machine.hpp"

namespace undercroft::test {
namespace {

using Bytes = std::span<std::uint8_t>;
constexpr std::uint32_t data = 0x6000;

// By CR0.EM MP TS and CR4.OSFXSR: SDM volume 3, tables 2-2, 12-1, 13-1.
TEST(InterpreterNative, AsksTheControlRegisters) {
  const std::initializer_list<int> fpu = {0xd9, 0xe8}, wait = {0x9b}, mmx = {0x0f, 0x77},
                                   sse = {0x0f, 0x28, 0xc1};
  for (unsigned bits = 0; bits < 16; ++bits) {
    const bool em = bits & 1, mp = bits & 2, ts = bits & 4, fxsr = bits & 8;
    const auto outcome_of = [&](const std::initializer_list<int>& bytes) {
      Machine machine;
      machine.vcpu.cr0 |= (em ? cr0::emulation : 0) | (mp ? cr0::monitor_coprocessor : 0) |
                          (ts ? cr0::task_switched : 0);
      machine.vcpu.cr4 = fxsr ? cr4::os_fxsr : 0;
      const StepOutcome outcome = machine.run(bytes);
      EXPECT_EQ(machine.environment.calls.size(), retired(outcome) ? 1u : 0u);
      if (retired(outcome)) return Vector::divide_error;  // none of the below
      EXPECT_EQ(machine.vcpu.eip, Machine::code);
      return outcome.exception.vector;
    };
    const Vector none = Vector::divide_error, nm = Vector::device_not_available,
                 ud = Vector::invalid_opcode;
    EXPECT_EQ(outcome_of(fpu), em || ts ? nm : none);
    EXPECT_EQ(outcome_of(wait), mp && ts ? nm : none);
    EXPECT_EQ(outcome_of(mmx), em ? ud : ts ? nm : none);
    EXPECT_EQ(outcome_of(sse), em || !fxsr ? ud : ts ? nm : none);
  }
}

TEST(InterpreterNative, LoadsTheOperand) {
  Machine machine;
  machine.memory.put(data, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  std::vector<std::uint8_t> seen;
  machine.environment.processor = [&](Vcpu&, Bytes bytes) {
    seen.assign(bytes.begin(), bytes.end());
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0xdb, 0x2d, 0, 0x60, 0, 0})));  // fldt
  EXPECT_EQ(seen, (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(machine.vcpu.eip, Machine::code + 6);
  EXPECT_EQ(machine.memory.get32(data), 0x04030201u);
}

TEST(InterpreterNative, StoresTheOperand) {
  Machine machine;
  machine.memory.put(data, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  machine.environment.processor = [](Vcpu&, Bytes bytes) {
    for (std::uint8_t& byte : bytes) byte = 0x77;
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0xdb, 0x3d, 0, 0x60, 0, 0})));  // fstpt
  EXPECT_EQ(machine.memory.get32(data + 8), 0x000b7777u);
  EXPECT_EQ(machine.memory.get32(data), 0x77777777u);
}

// SDM volume 1, 8.5.1 to 8.5.6: only an inexact result is stored although its error is unmasked.
TEST(InterpreterNative, StoresNoUnmaskedError) {
  for (unsigned error = 1; error <= 0x20; error <<= 1) {
    for (const bool masked : {false, true}) {
      Machine machine;
      machine.environment.processor = [&](Vcpu&, Bytes bytes) {
        for (std::uint8_t& byte : bytes) byte = 0x77;
        const auto control = static_cast<std::uint16_t>(masked ? 0x3f : 0x3f & ~error);
        return NativeResult{control, static_cast<std::uint16_t>(error)};
      };
      EXPECT_TRUE(retired(machine.run({0xd9, 0x1d, 0, 0x60, 0, 0})));  // fstps
      EXPECT_EQ(machine.memory.get32(data), masked || error == 0x20 ? 0x77777777u : 0u) << error;
    }
  }
}

// FNSTCW, FNSTSW and FNSTENV store whatever errors there are.
TEST(InterpreterNative, StoresControlAlways) {
  for (const auto& code : {std::initializer_list<int>{0xd9, 0x3d, 0, 0x60, 0, 0},
                           {0xdd, 0x3d, 0, 0x60, 0, 0},
                           {0xd9, 0x35, 0, 0x60, 0, 0}}) {
    Machine machine;
    machine.environment.processor = [](Vcpu&, Bytes bytes) {
      bytes[0] = 0x77;
      return NativeResult{0, 0x9f};
    };
    EXPECT_TRUE(retired(machine.run(code)));
    EXPECT_EQ(machine.memory.get8(data), 0x77u);
  }
}

TEST(InterpreterNative, FaultsBeforeAnythingHappens) {
  Machine machine;
  const GuestLinear page(data);
  machine.memory.page(data).present = false;
  for (const auto& code : {std::initializer_list<int>{0x0f, 0x11, 0x05, 0, 0x60, 0, 0},  // movups
                           {0x0f, 0xae, 0x05, 0, 0x60, 0, 0}}) {                         // fxsave
    machine.vcpu.cr4 = cr4::os_fxsr;
    EXPECT_EQ(fault(machine.run(code)), Exception::page_fault(page, 2));
    EXPECT_TRUE(machine.environment.calls.empty());
  }
}

// An error that is pending comes before the fault of the operand; FNSTSW does not look for one.
TEST(InterpreterNative, PendingErrorComesFirst) {
  Machine machine;
  machine.memory.page(data).present = false;
  const Exception pending = Exception::without_code(Vector::fpu_error);
  machine.environment.processor = [&](Vcpu&, Bytes) -> Guarded<NativeResult> {
    return Failure{pending};
  };
  EXPECT_EQ(fault(machine.run({0xd9, 0x05, 0, 0x60, 0, 0})), pending);  // flds
  EXPECT_EQ(machine.environment.calls, std::vector<std::string>{"native 9b 0"});
  EXPECT_EQ(fault(machine.run({0xdd, 0x3d, 0, 0x60, 0, 0})),  // fnstsw
            Exception::page_fault(GuestLinear(data), 2));
}

TEST(InterpreterNative, Alignment) {
  struct {
    std::vector<int> code;  // with the address behind
    bool aligned;
  } const rows[] = {
      {{0x0f, 0x28, 0x05}, true},         // movaps
      {{0x0f, 0x10, 0x05}, false},        // movups
      {{0x0f, 0x58, 0x05}, true},         // addps
      {{0xf3, 0x0f, 0x58, 0x05}, false},  // addss
      {{0xf3, 0x0f, 0x6f, 0x05}, false},  // movdqu
      {{0x66, 0x0f, 0x6f, 0x05}, true},   // movdqa
      {{0x0f, 0xae, 0x05}, true},         // fxsave
      {{0x0f, 0xae, 0x0d}, true},         // fxrstor
  };
  for (const auto& row : rows) {
    Machine machine;
    machine.vcpu.cr4 = cr4::os_fxsr;
    std::uint32_t at = Machine::code;
    for (int byte : row.code) machine.memory.put(at++, {byte});
    machine.memory.put(at, {8, 0x60, 0, 0});
    EXPECT_EQ(fault(machine.step()), row.aligned ? general_protection : std::nullopt);
  }
}

// 16-bit and V86 code: the segment is applied, and its limit.
TEST(InterpreterNative, SegmentsAndLimits) {
  Machine machine(Mode::virtual_8086);
  machine.vcpu[Segment::ds].base = 0x2000;
  machine.memory.put(0x2000 + data, {0x11, 0x22, 0x33, 0x44});
  std::uint32_t seen = 0;
  machine.environment.processor = [&](Vcpu&, Bytes bytes) {
    if (bytes.size() == 4) std::memcpy(&seen, bytes.data(), 4);  // else FWAIT before a fault
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0xd9, 0x06, 0, 0x60})));  // flds
  EXPECT_EQ(seen, 0x44332211u);
  EXPECT_EQ(fault(machine.run({0xd9, 0x06, 0xfd, 0xff})), general_protection);
  EXPECT_EQ(fault(machine.run({0x36, 0xd9, 0x06, 0xfd, 0xff})),
            std::optional(Exception::stack_fault()));
}

// The processor shows which bytes it writes by leaving the others as they were.
TEST(InterpreterNative, MaskedMove) {
  Machine machine;
  machine[Register::edi] = data + 3;
  machine.memory.put(data, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  machine.environment.processor = [](Vcpu&, Bytes bytes) {
    for (unsigned i = 0; i < 8; i += 2) bytes[i] = static_cast<std::uint8_t>(0x80 + i);
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0x0f, 0xf7, 0xc1})));
  EXPECT_EQ(machine.memory.get32(data), 0x80030201u);
  EXPECT_EQ(machine.memory.get32(data + 4), 0x84078205u);
  EXPECT_EQ(machine.memory.get32(data + 8), 0x0c0b8609u);
}

TEST(InterpreterNative, RegistersAreTheProcessors) {
  Machine machine;
  machine.environment.processor = [](Vcpu& vcpu, Bytes bytes) {
    EXPECT_TRUE(bytes.empty());
    vcpu[Register::eax] = 0x3800;
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0xdf, 0xe0})));  // fnstsw ax
  EXPECT_EQ(machine[Register::eax], 0x3800u);
}

TEST(InterpreterNative, FxsaveKeepsTheRestOfItsArea) {
  Machine machine;
  machine.memory.put(data + 460, {1, 2, 3, 4, 5, 6, 7, 8});
  machine.environment.processor = [](Vcpu&, Bytes bytes) {
    EXPECT_EQ(bytes.size(), 512u);
    EXPECT_EQ(bytes[460], 1);
    for (std::uint8_t& byte : bytes) byte = 0x77;
    return NativeResult{};
  };
  EXPECT_TRUE(retired(machine.run({0x0f, 0xae, 0x05, 0, 0x60, 0, 0})));
  EXPECT_EQ(machine.memory.get32(data), 0x77777777u);
  EXPECT_EQ(machine.memory.get32(data + 460), 0x77777777u);
  EXPECT_EQ(machine.memory.get32(data + 464), 0x08070605u);
}

}  // namespace
}  // namespace undercroft::test
