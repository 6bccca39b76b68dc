// Delivery of exceptions, software interrupts and external interrupts to the guest: IVT in real
// mode, IDT with interrupt, trap and task gates otherwise, and what becomes of faults on the way:
// SDM volume 3, 6.11, 6.12, 6.15 (double fault), 20.1.4, 20.3; volume 2, INT n. When an event is
// due is left to the caller.
#pragma once

#include <array>
#include <cstdint>

#include "environment.hpp"
#include "exception.hpp"
#include "memory/linear_memory.hpp"
#include "vcpu.hpp"

namespace undercroft {

struct Event {
  enum class Kind : std::uint8_t {
    exception,           // raised by the processor: faults, #DB, #DF, #MC
    nonmaskable,         // NMI
    external,            // interrupt from a controller
    software_interrupt,  // INT n: IOPL-sensitive in V86 mode
    software_exception,  // INT3, INTO
    icebp,               // INT1: no DPL check
  };
  Kind kind = Kind::exception;
  Exception exception{};  // kind exception
  std::uint8_t vector = 0;
  std::uint32_t return_eip = 0;    // software events: address of the next instruction
  std::uint32_t debug_status = 0;  // #DB: bits to be set in DR6

  static constexpr Event of(Exception e) {
    return {Kind::exception, e, static_cast<std::uint8_t>(e.vector), 0, 0};
  }
  static constexpr Event debug(std::uint32_t dr6_bits) {
    Event event = of(Exception::without_code(Vector::debug));
    event.debug_status = dr6_bits;
    return event;
  }
  static constexpr Event external(std::uint8_t vector) {
    return {Kind::external, {}, vector, 0, 0};
  }
  static constexpr Event nonmaskable() { return {Kind::nonmaskable, {}, 2, 0, 0}; }
  static constexpr Event software_interrupt(std::uint8_t vector, std::uint32_t next_eip) {
    return {Kind::software_interrupt, {}, vector, next_eip, 0};
  }
  static constexpr Event breakpoint(std::uint32_t next_eip) {  // INT3
    return {Kind::software_exception, {}, 3, next_eip, 0};
  }
  static constexpr Event overflow(std::uint32_t next_eip) {  // INTO with OF set
    return {Kind::software_exception, {}, 4, next_eip, 0};
  }
  static constexpr Event icebp(std::uint32_t next_eip) { return {Kind::icebp, {}, 1, next_eip, 0}; }
};

// How two exceptions that meet combine: SDM volume 3, tables 6-4 and 6-5.
enum class FaultClass : std::uint8_t { benign, contributory, page_fault, double_fault };
constexpr FaultClass fault_class(Vector vector) {
  switch (vector) {
    case Vector::divide_error:
    case Vector::invalid_tss:
    case Vector::segment_not_present:
    case Vector::stack_fault:
    case Vector::general_protection:
      return FaultClass::contributory;
    case Vector::page_fault:
      return FaultClass::page_fault;
    case Vector::double_fault:
      return FaultClass::double_fault;
    case Vector::debug:
    case Vector::nonmaskable_interrupt:
    case Vector::breakpoint:
    case Vector::overflow:
    case Vector::bound_range:
    case Vector::invalid_opcode:
    case Vector::device_not_available:
    case Vector::coprocessor_overrun:
    case Vector::fpu_error:
    case Vector::alignment_check:
    case Vector::machine_check:
    case Vector::simd_error:
      return FaultClass::benign;
  }
  return FaultClass::benign;
}

enum class Combination : std::uint8_t { serial, double_fault, triple_fault };
constexpr Combination combine(FaultClass first, FaultClass second) {
  const bool serious = second != FaultClass::benign;
  switch (first) {
    case FaultClass::benign:
      return Combination::serial;
    case FaultClass::contributory:
      return second == FaultClass::contributory ? Combination::double_fault : Combination::serial;
    case FaultClass::page_fault:
      return serious ? Combination::double_fault : Combination::serial;
    case FaultClass::double_fault:
      return serious ? Combination::triple_fault : Combination::serial;
  }
  return Combination::serial;
}

struct Delivery {
  enum class Outcome : std::uint8_t { delivered, triple_fault };
  Outcome outcome = Outcome::delivered;
  bool task_trap = false;   // as in Transfer
  std::uint8_t faults = 0;  // exceptions met on the way, the first max_faults of them in chain
  static constexpr unsigned max_faults = 6;
  std::array<Exception, max_faults> chain{};
};

// Enters the handler: stack frame pushed, CS:EIP at its first instruction, flags as the gate says;
// halted and the interrupt shadow are cleared. vcpu.eip is the instruction that faulted or is to
// run next; for software events the instruction itself, so that a fault on the way returns to it.
// An exception met on the way is delivered instead, or combined with the first. CR2 is set for #PF,
// DR6 and DR7.GD for #DB. After a triple fault the Vcpu is as before but for CR2, DR6 and DR7.GD.
Delivery deliver(Vcpu&, LinearMemory&, Environment&, Event);

}  // namespace undercroft
