// Runs single instructions on the processor itself, in this 32-bit process: registers are loaded by
// returning from a signal, the trap flag ends the run after one instruction, and the signal that
// comes then has the registers, or the fault with its error code and address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "monitor/exception.hpp"

namespace undercroft::test {

struct NativeState {
  std::array<std::uint32_t, 8> general{};
  std::uint32_t eip = 0;
  std::uint32_t eflags = 0;
  std::uint16_t ds = 0, es = 0;
  bool code_is_16_bit = false;  // eip is then an offset in code_page
};

struct NativeOutcome {
  NativeState state{};
  std::optional<Exception> exception{};  // none: the instruction retired (#DB by the trap flag)
};

class NativeProcessor {
 public:
  // Where instructions are run: a page of this process.
  static constexpr std::uint32_t code_page = 0x20010000;

  NativeProcessor();

  // A 16-bit code segment in the LDT, from code_page on, 64 KB; 0 if the kernel gives none.
  std::uint16_t small_code() const { return small_code_; }

  // The selectors of this process.
  std::uint16_t cs() const { return cs_; }
  std::uint16_t ss() const { return ss_; }
  std::uint16_t ds() const { return ds_; }
  std::uint16_t fs() const { return fs_; }
  std::uint16_t gs() const { return gs_; }

  // state.eip says where in code_page the bytes are to stand. A whole address, or an offset.
  NativeOutcome run(const NativeState& state, std::span<const std::uint8_t> bytes);

 private:
  std::uint16_t small_code_ = 0;
  std::uint16_t cs_ = 0, ss_ = 0, ds_ = 0, fs_ = 0, gs_ = 0;
};

}  // namespace undercroft::test
