// A guest exception on its way to delivery: vector, error code, and CR2 for page faults.
// SDM volume 3, 6.3 to 6.15. How it is delivered is interrupts.hpp's business.
#pragma once

#include <cstdint>

#include "address.hpp"
#include "result.hpp"

namespace undercroft {

enum class Vector : std::uint8_t {
  divide_error = 0,
  debug = 1,
  nonmaskable_interrupt = 2,
  breakpoint = 3,
  overflow = 4,
  bound_range = 5,
  invalid_opcode = 6,
  device_not_available = 7,
  double_fault = 8,
  coprocessor_overrun = 9,
  invalid_tss = 10,
  segment_not_present = 11,
  stack_fault = 12,
  general_protection = 13,
  page_fault = 14,
  fpu_error = 16,
  alignment_check = 17,
  machine_check = 18,
  simd_error = 19,
};

struct Exception {
  Vector vector = Vector::divide_error;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
  GuestLinear fault_address{};  // #PF: what CR2 is to hold

  static constexpr Exception without_code(Vector vector) { return {vector, false, 0, {}}; }
  static constexpr Exception with_code(Vector vector, std::uint32_t code) {
    return {vector, true, code, {}};
  }
  static constexpr Exception invalid_opcode() { return without_code(Vector::invalid_opcode); }
  static constexpr Exception general_protection(std::uint32_t code = 0) {
    return with_code(Vector::general_protection, code);
  }
  static constexpr Exception stack_fault(std::uint32_t code = 0) {
    return with_code(Vector::stack_fault, code);
  }
  static constexpr Exception alignment_check() { return with_code(Vector::alignment_check, 0); }
  static constexpr Exception page_fault(GuestLinear address, std::uint32_t code) {
    return {Vector::page_fault, true, code, address};
  }
  constexpr bool operator==(const Exception&) const = default;
};

// What guest-visible operations return: a value or the guest's exception.
template <class T>
using Guarded = Result<T, Exception>;

}  // namespace undercroft
