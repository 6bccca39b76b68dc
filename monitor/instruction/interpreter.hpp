// Executes exactly one guest instruction on a Vcpu: fetch, decode, execute, for every mode and
// privilege level. What it knows: the instructions of volume 2 of the SDM, but of x87, MMX and SSE
// only the memory operands. It leaves segment loads and far transfers to segment/, delivery of
// exceptions and interrupts to interrupts.hpp, pages to LinearMemory, and ports, MSRs, CPUID, time
// and the arithmetic of x87, MMX and SSE to the Environment.
#pragma once

#include <array>
#include <cstdint>

#include "../environment.hpp"
#include "../exception.hpp"
#include "../interrupts.hpp"
#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "instruction.hpp"

namespace undercroft {

// What became of one instruction.
struct StepOutcome {
  enum class Kind : std::uint8_t {
    retired,     // done; EIP is at the next instruction
    unfinished,  // a repeated string instruction has made progress; EIP is still at it, RF is set
    halted,      // HLT retired; vcpu.halted is set, EIP is behind it
    exception,   // the Vcpu is unchanged but for finished iterations of a string instruction
    software_event,  // INT n, INT3, INTO or INT1: the caller delivers `event`; nothing has changed
    unsupported,     // the interpreter does not know it; nothing has changed
  };
  Kind kind = Kind::retired;
  // retired, unfinished or halted: the instruction began with TF = 1, the caller raises #DB with
  // DR6.BS. Not set after MOV SS and POP SS, which hold the trap back (SDM volume 3, 6.8.3).
  bool single_step = false;
  // retired: a task switch loaded a TSS whose T bit is set, the caller raises #DB with DR6.BT.
  bool task_trap = false;
  // The instruction; null if an exception came before it was decoded. Valid until the next call.
  const Instruction* instruction = nullptr;
  // Not initialised for other kinds: this is on the path of every instruction.
  union {
    Exception exception;  // kind exception: to be delivered at the EIP of the Vcpu
    Event event;          // kind software_event
  };

  constexpr StepOutcome() {}
};

class Interpreter {
 public:
  Interpreter(LinearMemory& memory, Environment& environment)
      : memory_(memory), environment_(environment) {}

  // Fetches at CS:EIP, decodes and executes. Does not look for interrupts or breakpoints, does not
  // look at vcpu.halted, and ends the interrupt shadow of the instruction before.
  StepOutcome step(Vcpu&);

  // The same for an instruction that the caller has decoded from CS:EIP.
  StepOutcome execute(Vcpu&, const Instruction&);

 private:
  // 15 bytes are the most that an instruction can have (SDM volume 2, 2.3.11).
  static constexpr unsigned longest_instruction = 15;
  // Instructions decoded before, by the low bits of their address. Their bytes are compared each
  // time, so that nobody has to say when code changes.
  static constexpr unsigned cached_instructions = 1024;

  struct Decoded {
    std::array<std::uint8_t, longest_instruction> code{};
    bool is_32_bit = false;
    Instruction instruction{};  // length 0: empty
  };

  // Null: `failure_` says why.
  const Instruction* fetch_and_decode(const Vcpu&);
  const Instruction* fail(const Exception& exception) {
    failure_ = exception;
    return nullptr;
  }

  LinearMemory& memory_;
  Environment& environment_;
  Exception failure_{};
  std::array<Decoded, cached_instructions> cache_{};
};

}  // namespace undercroft
