// Guarded translations: code that reaches the window's slot must fault in the guard before it, the
// guest as at the start of the instruction; what stays outside must run as it would unguarded.
#include "monitor/translate/guard.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "translated_guest.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;
constexpr std::uint32_t data = TranslatedGuest::data;
constexpr std::uint32_t stack = TranslatedGuest::stack;
constexpr std::uint32_t bytes = TranslatedGuest::ram_bytes;
// The tests' window is at 0.
constexpr std::uint32_t in_slot[] = {0,
                                     window::cpu_page - 4,
                                     window::cpu_page,
                                     window::jump_table + 0x1234,
                                     window::cache,
                                     window::cache_end - 4,
                                     window::size - 4};

class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    guest.cache.set_guarded(true);
    guest.page().guard_bases.fill(0);
  }
  // The instruction at `eip`, whose operand is in the slot, is stopped with nothing changed.
  void expect_hit(std::uint32_t eip) {
    guest.vcpu.eip = eip;
    guest.vcpu.eflags = eflags::always_one | eflags::interrupt | eflags::arithmetic;
    const Vcpu before = guest.vcpu;
    const auto end = guest.run();
    ASSERT_TRUE(end.exception.has_value());
    const auto point = guest.cache.point_at(end.address);
    ASSERT_TRUE(point.has_value());
    EXPECT_GE(point->state, PointState::guarding_with_eax);
    EXPECT_EQ(guest.vcpu.eip, eip);
    EXPECT_EQ(guest.vcpu.general, before.general);
    EXPECT_EQ(guest.vcpu.eflags, before.eflags);
  }
  // What the processor runs is what the interpreter does.
  void expect_same(std::uint32_t eip) {
    guest.vcpu.eip = eip;
    guest.vcpu.eflags = eflags::always_one | eflags::interrupt | eflags::arithmetic;
    const Vcpu before = guest.vcpu;
    const std::vector<std::uint8_t> memory(guest.ram_at(TranslatedGuest::ram),
                                           guest.ram_at(TranslatedGuest::ram) + bytes);
    const auto end = guest.run();
    ASSERT_TRUE(end.exit.has_value());
    const Vcpu after = guest.vcpu;
    guest.vcpu = before;
    std::copy(memory.begin(), memory.end(), guest.ram_at(TranslatedGuest::ram));
    guest.interpret_to(after.eip);
    EXPECT_EQ(guest.vcpu.general, after.general);
    EXPECT_EQ(guest.vcpu.eflags, after.eflags);
  }
  // How many guards stand before the first `instructions` bytes at `code`.
  unsigned guards(std::initializer_list<int> bytes, bool stack_too = true) {
    auto fresh = std::make_unique<TranslatedGuest>();
    fresh->cache.set_guarded(true, stack_too);
    fresh->put(code, bytes);
    fresh->put(code + static_cast<std::uint32_t>(bytes.size()), {0xeb, 0});
    const std::uint32_t start = fresh->translate(code).start;
    unsigned count = 0;
    bool guarding = false;
    for (std::uint32_t at = start; const auto point = fresh->cache.point_at(at); ++at) {
      const bool now = point->state >= PointState::guarding_with_eax;
      count += now && !guarding;
      guarding = now;
    }
    return count;
  }

  std::unique_ptr<TranslatedGuest> owner = std::make_unique<TranslatedGuest>();
  TranslatedGuest& guest = *owner;
};

struct Row {
  std::initializer_list<int> bytes;
  void (*aim)(Vcpu&, std::uint32_t address);
};

template <Register reg>
void aim_by(Vcpu& vcpu, std::uint32_t address) {
  vcpu[reg] = address;
}

const Row rows[] = {
    {{0x8b, 0x00}, aim_by<Register::eax>},        // mov eax, [eax]
    {{0x8b, 0x09}, aim_by<Register::ecx>},        // mov ecx, [ecx]
    {{0x8b, 0x12}, aim_by<Register::edx>},        // mov edx, [edx]
    {{0x8b, 0x45, 0x00}, aim_by<Register::ebp>},  // mov eax, [ebp]
    {{0x8b, 0x04, 0x24}, aim_by<Register::esp>},  // mov eax, [esp]
    {{0x01, 0x03}, aim_by<Register::ebx>},        // add [ebx], eax
    {{0x8b, 0x84, 0xca, 0xf0, 0xff, 0xff, 0x7f},  // mov eax, [edx + ecx * 8 + 0x7ffffff0]
     [](Vcpu& vcpu, std::uint32_t address) {
       vcpu[Register::ecx] = 0x3333;
       vcpu[Register::edx] = address - 0x3333 * 8 - 0x7ffffff0;
     }},
    {{0x8b, 0x04, 0x8d, 0x10, 0, 0, 0},  // mov eax, [ecx * 4 + 16]
     [](Vcpu& vcpu, std::uint32_t address) { vcpu[Register::ecx] = (address - 16) / 4; }},
    {{0x8b, 0x80, 0, 0, 0x20, 0},  // mov eax, [eax + 0x200000]
     [](Vcpu& vcpu, std::uint32_t address) { vcpu[Register::eax] = address - 0x200000; }},
    {{0x64, 0x89, 0x0e}, aim_by<Register::esi>},  // mov fs:[esi], ecx
    {{0x50}, aim_by<Register::esp>},              // push eax
    {{0x5b}, aim_by<Register::esp>},              // pop ebx
    {{0x60}, aim_by<Register::esp>},              // pusha
    {{0x9c}, aim_by<Register::esp>},              // pushf
    {{0x9d}, aim_by<Register::esp>},              // popf
    {{0x1e}, aim_by<Register::esp>},              // push ds
    {{0xcf}, aim_by<Register::esp>},              // iret
    {{0xc3}, aim_by<Register::esp>},              // ret
    {{0xe8, 0, 0, 0, 0}, aim_by<Register::esp>},  // call
    {{0xff, 0xd0}, aim_by<Register::esp>},        // call eax
    {{0xff, 0x13}, aim_by<Register::ebx>},        // call [ebx]
    {{0xff, 0x21}, aim_by<Register::ecx>},        // jmp [ecx]
    {{0xff, 0x33}, aim_by<Register::ebx>},        // push [ebx]
    {{0x8f, 0x03}, aim_by<Register::ebx>},        // pop [ebx]
    {{0xc9}, aim_by<Register::ebp>},              // leave
    {{0xc8, 8, 0, 1}, aim_by<Register::ebp>},     // enter 8, 1
    {{0xa5}, aim_by<Register::esi>},              // movsd
    {{0xa5}, aim_by<Register::edi>},
    {{0xf3, 0xab}, aim_by<Register::edi>},        // rep stosd
    {{0xac}, aim_by<Register::esi>},              // lodsb
    {{0xae}, aim_by<Register::edi>},              // scasb
    {{0xa6}, aim_by<Register::esi>},              // cmpsb
    {{0xd7}, aim_by<Register::ebx>},              // xlat
    {{0x0f, 0xc7, 0x09}, aim_by<Register::ecx>},  // cmpxchg8b [ecx]
    {{0x0f, 0xab, 0x0b}, aim_by<Register::ebx>},  // bts [ebx], ecx
    {{0xd9, 0x03}, aim_by<Register::ebx>},        // fld [ebx]
    {{0x0f, 0xf7, 0xc1}, aim_by<Register::edi>},  // maskmovq mm0, mm1
};

TEST_F(GuardTest, WhatReachesTheSlotIsStoppedBeforeItBegins) {
  std::uint32_t eip = code;
  for (const Row& row : rows) {
    for (const std::uint32_t address : in_slot) {
      guest.vcpu.general = {1, 2, 3, data, stack, data, data, data};
      row.aim(guest.vcpu, address);
      guest.put(eip, row.bytes);
      SCOPED_TRACE(::testing::Message() << std::hex << *row.bytes.begin() << " at " << address);
      expect_hit(eip);
    }
    eip += 0x20;
  }
}

// Without paging: all from a limit on is the interpreter's.
class FlatGuardTest : public GuardTest {
 protected:
  FlatGuardTest() { guest.cache.set_flat_guard(0x40); }
};

TEST_F(FlatGuardTest, WhatReachesTheLimitIsStoppedBeforeItBegins) {
  std::uint32_t eip = code;
  for (const Row& row : rows) {
    for (const std::uint32_t address : {0x40000000u, 0x7ffffffcu, 0x80000000u, 0xfffffff0u}) {
      guest.vcpu.general = {1, 2, 3, data, stack, data, data, data};
      row.aim(guest.vcpu, address);
      guest.put(eip, row.bytes);
      SCOPED_TRACE(::testing::Message() << std::hex << *row.bytes.begin() << " at " << address);
      expect_hit(eip);
    }
    eip += 0x20;
  }
  guest.put(eip, {0xa1, 0, 0, 0, 0x40});  // mov eax, [0x40000000]
  expect_hit(eip);
}

TEST_F(GuardTest, ARegisterThatIsBorrowedAgainIsGivenBackAsItIs) {
  const std::initializer_list<int> changes[] = {
      {0x90},          {0x41},       {0xb1, 0x55},    {0xb5, 0x55},
      {0x83, 0xc1, 4}, {0x87, 0xca}, {0x8d, 0x49, 1}, {0x0f, 0xb6, 0xc9},
      {0xf7, 0xe1},    {0x0f, 0x31}, {0x9c, 0x9d},    {0x99}};
  std::uint32_t eip = code;
  for (const bool flat : {false, true}) {
    guest.cache.flush();
    guest.cache.set_flat_guard(flat ? 0x40 : 0);
    for (const auto& change : changes) {
      SCOPED_TRACE(::testing::Message() << std::hex << *change.begin() << " flat " << flat);
      guest.vcpu.general = {1, 0x202, 3, data, stack, 6, data, flat ? 0x40000000 : window::cache};
      guest.put(eip, {0x8b, 0x03});  // mov eax, [ebx]: ECX is borrowed
      guest.put(eip + 2, change);
      const std::uint32_t last = eip + 2 + static_cast<std::uint32_t>(change.size());
      guest.put(last, {0x8b, 0x07});  // mov eax, [edi]: and again
      guest.vcpu.eip = eip;
      const Vcpu before = guest.vcpu;
      ASSERT_TRUE(guest.run().exception.has_value());
      const Vcpu after = guest.vcpu;
      guest.vcpu = before;
      guest.interpret_to(last);
      EXPECT_EQ(after.eip, last);
      EXPECT_EQ(after.general, guest.vcpu.general);
      eip += 0x20;
    }
  }
}

TEST_F(GuardTest, OffsetsInTheCodeAreSeenToo) {
  guest.put(code, {0xa1, 0, 0, 0x15, 0});  // mov eax, [0x150000]
  expect_hit(code);
  guest.put(code + 0x20, {0x67, 0x8b, 0x07});  // mov eax, [bx], by 16 bits
  expect_hit(code + 0x20);
  guest.put(code + 0x40, {0x67, 0xa5});  // movsd, by 16 bits
  expect_hit(code + 0x40);
}

TEST_F(GuardTest, SegmentsHaveTheirBases) {
  guest.page().guard_bases[static_cast<unsigned>(Segment::fs)] = 0x150000 - data;
  guest.vcpu[Register::ebx] = data;
  guest.put(code, {0x64, 0x8b, 0x03});  // mov eax, fs:[ebx]
  expect_hit(code);
}

TEST_F(GuardTest, BitOffsetsThatReachFarAreTheInterpreters) {
  guest.vcpu[Register::ebx] = data;
  guest.put(code, {0x0f, 0xa3, 0x0b, 0xeb, 0});  // bt [ebx], ecx
  for (const std::uint32_t offset : {0x00200000u, 0x7fffffffu, 0x80000000u, 0xff000000u}) {
    guest.vcpu[Register::ecx] = offset;
    expect_hit(code);
  }
  for (const int offset : {0, 77, -1, -100, 0x7fff}) {
    guest.vcpu[Register::ecx] = static_cast<std::uint32_t>(offset);
    guest.put32(data + static_cast<std::uint32_t>(offset >> 5) * 4, 0x5a5a5a5a);
    expect_same(code);
  }
}

TEST_F(GuardTest, WhatStaysOutsideRunsAsBefore) {
  // Left out are POPF and IRET, for which memory would have to hold flags, and what the interpreter
  // does not know.
  std::uint32_t eip = code;
  for (const Row& row : rows) {
    if (*row.bytes.begin() == 0x9d || *row.bytes.begin() == 0xcf) continue;
    if (*row.bytes.begin() == 0xd9 || *(row.bytes.begin() + row.bytes.size() - 1) == 0xc1) continue;
    guest.vcpu.general = {1, 2, 3, data, stack, data, data, data + 0x100};
    row.aim(guest.vcpu, data + 0x40);
    guest.put32(data + 0x40, code + 0x800);
    guest.put32(data + 0x44, 0x10);
    guest.put(eip, row.bytes);
    guest.put(eip + static_cast<std::uint32_t>(row.bytes.size()), {0xeb, 0});
    SCOPED_TRACE(::testing::Message() << std::hex << *row.bytes.begin());
    expect_same(eip);
    eip += 0x20;
  }
}

TEST_F(FlatGuardTest, WhatStaysBelowRunsAsBefore) {
  guest.vcpu.general = {1, 2, 3, data, stack, data, data, data + 0x100};
  guest.put(code, {0x8b, 0x54, 0x8b, 8,    0x89, 0x3b, 0x8b, 0x04, 0x24, 0x01, 0x06,
                   0xa5, 0x8b, 0x0c, 0x4d, 0,    0,    0x82, 0,    0xeb, 0});
  expect_same(code);
}

TEST_F(GuardTest, ABaseIsLookedAtOnceUntilItChanges) {
  EXPECT_EQ(guards({0x8b, 0x03, 0x8b, 0x4b, 4}), 1u);                       // [ebx], [ebx + 4]
  EXPECT_EQ(guards({0x8b, 0x03, 0x83, 0xc3, 4, 0x8b, 0x0b}), 1u);           // add ebx, 4
  EXPECT_EQ(guards({0x8b, 0x03, 0x43, 0x8b, 0x0b}), 1u);                    // inc ebx
  EXPECT_EQ(guards({0x50, 0x53, 0x5b, 0x58, 0x8b, 0x44, 0x24, 8}), 1u);     // push, pop, [esp + 8]
  EXPECT_EQ(guards({0x8b, 0x03, 0x8b, 0x5b, 4, 0x8b, 0x03}), 2u);           // mov ebx, [ebx + 4]
  EXPECT_EQ(guards({0x8b, 0x03, 0x01, 0xcb, 0x8b, 0x03}), 2u);              // add ebx, ecx
  EXPECT_EQ(guards({0x8b, 0x03, 0xb7, 1, 0x8b, 0x03}), 2u);                 // mov bh, 1
  EXPECT_EQ(guards({0x8b, 0x03, 0x87, 0xcb, 0x8b, 0x03}), 2u);              // xchg ebx, ecx
  EXPECT_EQ(guards({0x8b, 0x03, 0x26, 0x8b, 0x03}), 2u);                    // es:[ebx]
  EXPECT_EQ(guards({0x50, 0x5c, 0x50}), 2u);                                // pop esp
  EXPECT_EQ(guards({0x8b, 0x03, 0x81, 0xc3, 0, 0, 1, 0, 0x8b, 0x03}), 2u);  // add ebx, 0x10000
  EXPECT_EQ(guards({0xa1, 0, 0, 0x82, 0, 0xa1, 4, 0, 0x82, 0}), 1u);        // [offset], beside it,
  EXPECT_EQ(guards({0xa1, 0, 0, 0x82, 0, 0xa1, 4, 0, 0x92, 0}), 2u);        // and far from it
  EXPECT_EQ(guards({0x89, 0xd8, 0x8d, 0x03, 0x0f, 0x1f, 0x03}), 0u);        // no access
}

TEST_F(GuardTest, TheStackIsLeftOutIfAsked) {
  EXPECT_EQ(guards({0x50, 0x58}, false), 0u);              // push, pop
  EXPECT_EQ(guards({0x8b, 0x44, 0x24, 8}, false), 0u);     // [esp + 8]
  EXPECT_EQ(guards({0x8b, 0x45, 8}, false), 0u);           // [ebp + 8]
  EXPECT_EQ(guards({0x3e, 0x8b, 0x45, 8}, false), 1u);     // ds:[ebp + 8]
  EXPECT_EQ(guards({0x36, 0x8b, 0x03}, false), 0u);        // ss:[ebx]
  EXPECT_EQ(guards({0x8b, 0x03, 0xff, 0x33}, false), 1u);  // [ebx], push [ebx]
  EXPECT_EQ(guards({0xa5}, false), guards({0xa5}));        // movs
}

TEST_F(GuardTest, NothingIsGuardedUnlessAsked) {
  guest.cache.set_guarded(false);
  guest.vcpu[Register::ebx] = window::jump_table;
  guest.put(code, {0x8b, 0x03, 0xeb, 0});
  guest.vcpu.eip = code;
  EXPECT_TRUE(guest.run().exit.has_value());
}

}  // namespace
}  // namespace undercroft::test
