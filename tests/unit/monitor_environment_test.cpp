// What instructions reach through the monitor: the A20 line.
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

}  // namespace
}  // namespace undercroft::test
