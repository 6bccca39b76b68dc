// Compares Undercroft's decoder with Zydis for one encoding. What it knows: how each fact of an
// Instruction is called in Zydis. Which differences are justified is in decoder_differences.hpp.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "monitor/instruction/decoder.hpp"

namespace undercroft::differential {

struct ZydisAnswer {
  bool valid = false;
  ZyanStatus status = 0;
  ZydisDecodedInstruction instruction{};
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT]{};
};

class Oracle {
 public:
  explicit Oracle(bool code_is_32_bit);

  // Counts a mismatch, if there is one. Returns the length that Zydis sees, or 0.
  unsigned compare(std::span<const std::uint8_t> bytes);

  struct Mismatch {
    std::uint64_t count = 0;
    std::string example;
  };
  std::uint64_t compared() const { return compared_; }
  std::uint64_t valid() const { return valid_; }
  const std::map<std::string, Mismatch>& mismatches() const { return mismatches_; }
  // Mismatches, one line per kind; empty if there are none.
  std::string report() const;
  // How often each justified difference was met, by its reason's index.
  const std::map<unsigned, std::uint64_t>& justified() const { return justified_; }

 private:
  bool justify(const ZydisAnswer&);
  const char* check_bounds(std::span<const std::uint8_t> bytes, const Instruction&);
  void note(std::span<const std::uint8_t> bytes, const std::string& kind);

  bool code_is_32_bit_;
  ZydisDecoder decoder_;
  std::uint64_t compared_ = 0;
  std::uint64_t valid_ = 0;
  std::map<std::string, Mismatch> mismatches_;
  std::map<unsigned, std::uint64_t> justified_;
};

// The class that the manual gives an instruction, from Zydis' mnemonic and operands: a second
// telling of the opcode tables' classes, made without looking at opcodes.
InstructionClass class_of(const ZydisAnswer&);

// The name that monitor/instruction/operation_names.hpp must give.
std::string operation_name_of(const ZydisAnswer&);

}  // namespace undercroft::differential
