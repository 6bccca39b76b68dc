// x87, MMX and SSE instructions that the interpreter hands to the processor: what it is entered
// with, and what its traps mean.
#include <gtest/gtest.h>

#include "tests/unit/fakes/small_guest.hpp"

namespace undercroft::test {
namespace {

constexpr unsigned undefined = 6, fpu_error = 16;

// The offset of the UD2 behind the code at the address.
std::uint32_t end_of(const SmallGuest& guest, std::uint32_t address) {
  while (guest.window_byte(address) != 0x0f || guest.window_byte(address + 1) != 0x0b) ++address;
  return address;
}

TEST(Native, RunsAloneWithTheGuestsRegisters) {
  SmallGuest guest;
  guest.put(SmallGuest::code, {0xd9, 0x06, 0, 0x60,  // fld dword [6000]
                               0xe6, 0xf4});         // out 0xf4, al
  guest.put(0x6000, {1, 2, 3, 4});
  guest.vcpu[Register::ecx] = 0x12345678;
  guest.vcpu.eflags |= eflags::interrupt | eflags::carry | eflags::direction;
  unsigned entries = 0;
  guest.processor.guest = [&](GuestContext& context) {
    ++entries;
    EXPECT_EQ(context.cs, host_gdt::selector(host_gdt::cache_code, 3));
    EXPECT_EQ(context.gs, host_gdt::selector(host_gdt::cpu_page, 3));
    EXPECT_EQ(context.eflags, eflags::carry | eflags::always_one);  // no host interrupts
    EXPECT_EQ(context.ecx, 0x12345678u);
    EXPECT_EQ(guest.window_byte(window::cpu_page + cpu_page_offset::native_operand + 3), 4u);
    context.vector = undefined;
    context.eip = end_of(guest, context.eip);
    context.eax = 0x99;
    context.eflags = eflags::zero;
  };
  const RunEnd end = guest.run();
  EXPECT_EQ(end.kind, RunEnd::Kind::exit);
  EXPECT_EQ(end.value, 0x99u);
  EXPECT_EQ(entries, 1u);
  EXPECT_EQ(guest.vcpu.eflags & (eflags::arithmetic | eflags::direction | eflags::interrupt),
            eflags::zero | eflags::direction | eflags::interrupt);
}

// What the processor raises at the instruction is the guest's, with nothing changed.
TEST(Native, ExceptionsAreTheGuests) {
  for (const unsigned vector : {undefined, fpu_error}) {
    SmallGuest guest;
    guest.vcpu.cr0 |= cr0::numeric_error;
    guest.put(SmallGuest::code, {0xd9, 0x1e, 0, 0x60});  // fstp dword [6000]
    guest.put(vector * 4, {0, 0x20, 0, 0});              // 0:2000
    guest.put(0x2000, {0x58, 0xe6, 0xf4});               // pop ax; out 0xf4, al
    guest.put(0x6000, {7});
    guest.processor.guest = [&](GuestContext& context) {
      context.vector = vector;
      context.eax = 0x99;
    };
    const RunEnd end = guest.run();
    EXPECT_EQ(end.kind, RunEnd::Kind::exit);
    EXPECT_EQ(end.value, SmallGuest::code & 0xff);  // the saved IP
    EXPECT_EQ(guest.vm.memory.read(GuestPhysical(0x6000), 4), 7u);
  }
}

// With CR0.NE clear an x87 error is IRQ 13, for which its instruction waits; with IF clear for
// ever.
TEST(Native, ErrorsOutsideOfTheProcessor) {
  constexpr unsigned interrupt_13 = 0x75;  // as firmware leaves the controllers
  for (const bool enabled : {false, true}) {
    SmallGuest guest;
    guest.vcpu.eflags =
        (guest.vcpu.eflags & ~eflags::interrupt) | (enabled ? eflags::interrupt : 0);
    guest.put(SmallGuest::code, {0xd9, 0xe8});     // fld1
    guest.put(interrupt_13 * 4, {0, 0x20, 0, 0});  // 0:2000
    guest.put(0x2000, {0x58, 0xe6, 0xf4});         // pop ax; out 0xf4, al
    guest.processor.guest = [&](GuestContext& context) { context.vector = fpu_error; };
    const RunEnd end = guest.run();
    EXPECT_EQ(end.kind, enabled ? RunEnd::Kind::exit : RunEnd::Kind::halted);
    EXPECT_EQ(end.value, enabled ? SmallGuest::code & 0xff : 0);  // the saved IP
  }
}

TEST(Native, AnythingElseStopsTheGuest) {
  SmallGuest guest;
  guest.put(SmallGuest::code, {0xd9, 0xe8});  // fld1
  guest.processor.guest = [&](GuestContext& context) { context.vector = 14; };
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::stopped);
}

}  // namespace
}  // namespace undercroft::test
