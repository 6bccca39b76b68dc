// What instructions reach through the monitor: the A20 line, the local APIC and its NMI.
#include <gtest/gtest.h>

#include "tests/unit/fakes/small_guest.hpp"

namespace undercroft::test {
namespace {

// Both of the PC's switches off, a byte read at 1 MB + 0x500, and the same again with one on.
TEST(A20, MasksBit20WhileBothSwitchesAreOff) {
  SmallGuest guest;
  guest.put(SmallGuest::code, {0xb8, 0xff, 0xff, 0x8e, 0xd8,  // ds = ffff
                               0x30, 0xc0, 0xe6, 0x92,        // out 0x92, 0
                               0x8a, 0x1e, 0x10, 0x05,        // mov bl, [510]
                               0xb0, 0xdd, 0xe6, 0x64,        // out 0x64, dd
                               0x8a, 0x3e, 0x10, 0x05,        // mov bh, [510]
                               0xb0, 0x02, 0xe6, 0x92,        // out 0x92, 2
                               0x8a, 0x0e, 0x10, 0x05,        // mov cl, [510]
                               0xe6, 0xf4});                  // out 0xf4, al
  guest.put(0x500, {0x11});
  guest.put(0x100500, {0x22});
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  EXPECT_EQ(guest.vcpu[Register::ebx], 0x1122u);
  EXPECT_EQ(guest.vcpu[Register::ecx], 0x22u);
  EXPECT_FALSE(guest.vcpu.a20_masked);
}

// Shadow tables know nothing of A20, so even flat kernel code is interpreted while it is masked.
TEST(A20, MaskedCodeNeverEntersTheProcessor) {
  SmallGuest guest;
  guest.put(0x2000, {0xba, 0xf4, 0, 0, 0, 0xa1, 0, 0x05, 0x10, 0, 0xee});  // eax = [100500]; out
  guest.put(0x500, {0x11});
  guest.put(0x100500, {0x22});
  guest.put(SmallGuest::code, {0x30, 0xc0, 0xe6, 0x92,     // out 0x92, 0
                               0xb0, 0xdd, 0xe6, 0x64,     // out 0x64, dd
                               0x66, 0xea, 0, 0x20, 0, 0,  // jmp 8:2000
                               8, 0});
  guest.vcpu.cr0 |= cr0::protection_enable;
  guest.vcpu.gdtr = {GuestLinear(0x3000), 15};
  guest.put(0x3008, {0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0});
  guest.vcpu[Segment::ss].attributes |= 0x4000;
  guest.processor.guest = [](GuestContext&) { FAIL(); };
  guest.vcpu[Segment::ds].limit = ~0u;
  const RunEnd end = guest.run();
  EXPECT_EQ(end.kind, RunEnd::Kind::exit);
  EXPECT_EQ(end.value, 0x11u);
}

TEST(KeyboardOfAGuest, ItsLightsAreShownToWhoTypes) {
  SmallGuest guest;
  guest.put(SmallGuest::code, {0xb0, 0xed, 0xe6, 0x60, 0xb0, 0x05, 0xe6, 0x60,  // caps, scroll
                               0xb0, 0xed, 0xe6, 0x60, 0xb0, 0x05, 0xe6, 0x60,  // the same again
                               0xb0, 0xff, 0xe6, 0x60,                          // reset
                               0xe6, 0xf4});
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  EXPECT_EQ(guest.input.shown_lights, (std::vector<unsigned>{5, 0}));
}

// An NMI waits for the IRET of the one before it.
TEST(LocalApicOfAGuest, NmisComeOneByOneWhateverIfSays) {
  SmallGuest guest;
  guest.put(2 * 4, {0x00, 0x20, 0, 0});                         // vector 2: 0:2000
  guest.put(0x2000, {0x43, 0xe4, 0x80, 0xcf});                  // inc bx; in al, 80; iret
  guest.put(SmallGuest::code, {0x90, 0x90, 0xfa, 0xe6, 0xf4});  // cli; out 0xf4, al
  guest.vcpu[Register::ebx] = 0;
  guest.pc.memory_write(GuestPhysical(0xfee00300), 0x400, 4);
  ASSERT_TRUE(guest.pc.nmi_pending());
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  EXPECT_EQ(guest.vcpu[Register::ebx], 1u);
  EXPECT_FALSE(guest.vcpu.nmi_blocked);
  guest.vcpu.nmi_blocked = true;
  guest.vcpu.eip = SmallGuest::code;
  guest.pc.memory_write(GuestPhysical(0xfee00300), 0x400, 4);
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  EXPECT_EQ(guest.vcpu[Register::ebx], 1u);
}

TEST(LocalApicOfAGuest, CpuidAndTheBaseRegister) {
  SmallGuest guest;
  guest.put(SmallGuest::code,
            {0x66, 0xb8, 1,    0,    0,    0, 0x0f, 0xa2,              // cpuid 1
             0x66, 0x52,                                               // push edx
             0x66, 0xb9, 0x1b, 0,    0,    0, 0x0f, 0x32,              // rdmsr 1b
             0x66, 0x50,                                               // push eax
             0x80, 0xe4, 0xf7, 0x0f, 0x30,                             // and ah, f7; wrmsr
             0x66, 0xb8, 1,    0,    0,    0, 0x0f, 0xa2, 0x66, 0x52,  // and cpuid again
             0xe6, 0xf4});
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  const auto pushed = [&guest](unsigned number) {
    return guest.vm.memory.read(GuestPhysical(SmallGuest::stack - 4 * number), 4);
  };
  EXPECT_EQ(pushed(1) & 1u << 9, 1u << 9);
  EXPECT_EQ(pushed(2), 0xfee00900u);
  EXPECT_EQ(pushed(3) & 1u << 9, 0u);
  EXPECT_EQ(guest.vm.table.entry(GuestPhysical(0xfee00000)).kind, FrameKind::absent);
}

TEST(LocalApicOfAGuest, ReservedBitsOfTheBaseRegisterFault) {
  SmallGuest guest;
  guest.put(13 * 4, {0x00, 0x20, 0, 0});
  guest.put(0x2000, {0xe6, 0xf4});
  guest.put(SmallGuest::code, {0x66, 0xb9, 0x1b, 0, 0, 0, 0x66, 0xb8, 0x00, 0x0c, 0xe0, 0xfe, 0x66,
                               0x31, 0xd2, 0x0f, 0x30, 0xf4});
  EXPECT_EQ(guest.run().kind, RunEnd::Kind::exit);
  EXPECT_EQ(guest.pc.apic_base(), 0xfee00900u);
}

}  // namespace
}  // namespace undercroft::test
