// Blocks of translated code: each is run by the interpreter at CPL 3 and must leave the guest where
// interpreting the original instructions leaves it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "translated_guest.hpp"

namespace undercroft::test {

class Block : public ::testing::Test {
 protected:
  // Runs the block at the guest's EIP; the guest must come out as the interpreter leaves it after
  // the same instructions.
  TranslatedGuest::End run_as_interpreted() {
    const Vcpu before = guest.vcpu;
    const std::vector<std::uint8_t> memory(guest.ram_at(TranslatedGuest::ram),
                                           guest.ram_at(TranslatedGuest::ram) + ram_bytes);
    const auto end = guest.run();
    EXPECT_TRUE(end.exit.has_value());
    const Vcpu translated = guest.vcpu;
    const std::vector<std::uint8_t> after(guest.ram_at(TranslatedGuest::ram),
                                          guest.ram_at(TranslatedGuest::ram) + ram_bytes);
    std::copy(memory.begin(), memory.end(), guest.ram_at(TranslatedGuest::ram));
    guest.vcpu = before;
    if (translated.eip != before.eip) guest.interpret_to(translated.eip);
    EXPECT_EQ(guest.vcpu.general, translated.general);
    EXPECT_EQ(guest.vcpu.eip, translated.eip);
    EXPECT_EQ(guest.vcpu.eflags, translated.eflags);
    EXPECT_TRUE(std::equal(after.begin(), after.end(), guest.ram_at(TranslatedGuest::ram)));
    return end;
  }
  // A branch has left the trace, or has fallen through to HLT at `behind`, which is of the same.
  void expect_branch_or_halt(const TranslatedGuest::End& end, std::uint32_t behind) {
    ASSERT_TRUE(end.exit.has_value());
    const bool halts = guest.vcpu.eip == behind;
    EXPECT_EQ(end.exit->kind, halts ? ExitKind::interpret : ExitKind::branch);
  }
  // The block must leave the instruction at its first byte to the interpreter, nothing changed.
  void expect_left_to_interpreter(std::uint32_t eip) {
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    EXPECT_EQ(end.exit->kind, ExitKind::interpret);
    EXPECT_EQ(end.exit->eip, eip);
    if (eip == before.eip) {
      EXPECT_EQ(guest.vcpu.general, before.general);
      EXPECT_EQ(guest.vcpu.eflags, before.eflags);
    }
  }
  // A fault in the block must leave the guest at `eip` with the registers it began with.
  void expect_fault_at(std::uint32_t eip) {
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exception.has_value());
    EXPECT_EQ(end.exception->vector, Vector::page_fault);
    EXPECT_EQ(guest.vcpu.eip, eip);
    EXPECT_EQ(guest.vcpu.general, before.general);
    EXPECT_EQ(guest.vcpu.eflags, before.eflags);
  }
  void set_registers() {
    for (unsigned i = 0; i < 8; ++i) guest.vcpu.general[i] = 0x11111111 * (i + 1);
    guest.vcpu[Register::esp] = TranslatedGuest::stack;
  }

  static constexpr std::uint32_t ram_bytes = TranslatedGuest::ram_bytes;
  std::unique_ptr<TranslatedGuest> owner = std::make_unique<TranslatedGuest>();
  TranslatedGuest& guest = *owner;
};

}  // namespace undercroft::test
