// Random guest kernel programs for the translator: a few dozen instructions that jump among
// themselves and mostly stay within the memory they are given.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace undercroft::test {

// Linear addresses of the guest: two pages of code; two writable pages of data and a read-only one,
// with nothing around them; and a GDT that only segment loads reach.
namespace guest_map {
inline constexpr std::uint32_t data_hole = 0x20000000;
inline constexpr std::uint32_t data = data_hole + 0x1000;
inline constexpr std::uint32_t data_read_only = data_hole + 0x3000;
inline constexpr std::uint32_t data_end = data_hole + 0x4000;
inline constexpr std::uint32_t data_hole_end = data_hole + 0x5000;
inline constexpr std::uint32_t code = 0x20100000, code_size = 0x2000;
inline constexpr std::uint32_t gdt = 0x30000000, gdt_entries = 8;
inline constexpr std::uint32_t code_selector = 0x10, data_selector = 0x18, other_selector = 0x20;
}  // namespace guest_map

struct Program {
  std::vector<std::uint8_t> code;      // of both pages
  std::vector<std::uint32_t> entries;  // addresses of instructions; the first is the program's
};

class ProgramMaker {
 public:
  explicit ProgramMaker(unsigned seed) : random_(seed) {}
  Program make();
  // An address where data is, or just outside; a value with some meaning.
  std::uint32_t data_address();
  std::uint32_t value();
  std::uint32_t random(std::uint32_t below) {
    return static_cast<std::uint32_t>(random_() % below);
  }

 private:
  enum class Label : std::uint8_t { none, relative_8, relative_32, absolute };
  struct Item {
    std::vector<std::uint8_t> bytes;
    Label label = Label::none;  // the last bytes are to name another item
  };
  bool one_in(std::uint32_t n) { return random(n) == 0; }
  unsigned any_register();
  void add(std::vector<std::uint8_t> bytes, Label label = Label::none) {
    items_.push_back({std::move(bytes), label});
  }
  void add_memory_operand(std::vector<std::uint8_t>& bytes, unsigned reg);
  void add_arithmetic();
  void add_memory_access();
  void add_stack_access();
  void add_string();
  void add_flags();
  void add_segment();
  void add_direct_branch();
  void add_indirect_branch();
  void add_emulated();

  std::mt19937 random_;
  std::vector<Item> items_;
};

}  // namespace undercroft::test
