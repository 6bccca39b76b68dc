// Memory where the guest maps nothing, but where a monitor at ring 3 may keep pages that answer: in
// every slot of linear space, at the places where the window has its user pages, by each kind of
// access that kernel code can make. Each must be the page fault of the bare machine. Then the same
// addresses without paging.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "window_pages";

namespace {

constexpr u32 slot_bytes = 0x400000, slots = 1024, first_slot = 4;
constexpr u32 top_slot = 0xff000000;  // where the window is at first
// The virtual CPU page, the jump table, the cache's first and last pages; and around them.
constexpr u32 places[] = {0x130000, 0x130ffc, 0x132800, 0x140000,
                          0x17fffc, 0x180000, 0x27f000, 0x37fff0};

struct Access {
  const char* name;
  void (*run)(u32 address);
  // Reads, then writes: not every machine says in the error code that it would have written.
  bool modifies = false;
  // Reads two words, the machines in different orders.
  bool either_first = false;
};
alignas(64) u8 scratch[512];
u32 here() { return reinterpret_cast<u32>(scratch); }

// clang-format off
const Access accesses[] = {
    {"read a byte", [](u32 a) { asm volatile("movb (%0), %%al" : : "r"(a) : "eax"); }},
    {"read a word", [](u32 a) { asm volatile("movw (%0), %%ax" : : "r"(a) : "eax"); }},
    {"read by EAX", [](u32 a) { asm volatile("movl (%%eax), %%eax" : "+a"(a)); }},
    {"read by ECX", [](u32 a) { asm volatile("movl (%%ecx), %%ecx" : "+c"(a)); }},
    {"read by EDX", [](u32 a) { asm volatile("movl (%%edx), %%edx" : "+d"(a)); }},
    {"read by EBP", [](u32 a) { asm volatile("push %%ebp; mov %0, %%ebp; movl (%%ebp), %%eax; pop %%ebp" : : "r"(a) : "eax"); }},
    {"read far from a base", [](u32 a) { asm volatile("movl 0x12345678(%0), %%eax" : : "r"(a - 0x12345678) : "eax"); }},
    {"read near a base", [](u32 a) { asm volatile("movl -0x80(%0), %%eax; movl -0x10000(%1), %%ecx" : : "r"(a + 0x80), "r"(a + 0x10000) : "eax", "ecx"); }},
    {"read by base and index", [](u32 a) { asm volatile("movl 4(%%edx,%%ecx,8), %%eax" : : "d"(a - 0x804), "c"(0x100) : "eax"); }},
    {"read by ECX twice", [](u32 a) { asm volatile("movl (%%ecx,%%ecx), %%eax" : : "c"(a / 2) : "eax"); }},
    {"read by ECX and EDX", [](u32 a) { asm volatile("movl 1(%%ecx,%%edx), %%eax" : : "c"(a - 5), "d"(4) : "eax"); }},
    {"read through ES", [](u32 a) { asm volatile("movl %%es:(%0), %%eax" : : "r"(a) : "eax"); }},
    {"read through SS", [](u32 a) { asm volatile("movl %%ss:(%0), %%eax" : : "r"(a) : "eax"); }},
    {"read through FS", [](u32 a) { asm volatile("movl %%fs:(%0), %%eax" : : "r"(a) : "eax"); }},
    {"read through GS", [](u32 a) { asm volatile("movl %%gs:(%0), %%eax" : : "r"(a) : "eax"); }},
    {"read through CS", [](u32 a) { asm volatile("movl %%cs:(%0), %%eax" : : "r"(a) : "eax"); }},
    {"second of two reads", [](u32 a) { asm volatile("movl (%1), %%eax; movl (%0), %%eax" : : "r"(a), "r"(here()) : "eax"); }},
    {"after the base moved", [](u32 a) { asm volatile("movl (%0), %%eax; movl %1, %0; movl (%0), %%eax" : : "r"(here()), "r"(a) : "eax"); }},
    {"after the base was added to", [](u32 a) { asm volatile("movl (%0), %%eax; addl %1, %0; movl (%0), %%eax" : : "r"(here()), "r"(a - here()) : "eax"); }},
    {"write a byte", [](u32 a) { asm volatile("movb $1, (%0)" : : "r"(a) : "memory"); }},
    {"write", [](u32 a) { asm volatile("movl $1, (%0)" : : "r"(a) : "memory"); }},
    {"add to", [](u32 a) { asm volatile("lock addl $1, (%0)" : : "r"(a) : "memory"); }, true},
    {"compare", [](u32 a) { asm volatile("cmpl $1, (%0)" : : "r"(a) : "memory"); }},
    {"exchange", [](u32 a) { asm volatile("xchgl %%eax, (%0)" : : "r"(a) : "eax", "memory"); }, true},
    {"cmpxchg8b", [](u32 a) { asm volatile("cmpxchg8b (%0)" : : "D"(a) : "memory"); }, true},
    {"setc", [](u32 a) { asm volatile("setc (%0)" : : "r"(a) : "memory"); }},
    {"bt", [](u32 a) { asm volatile("btl $3, (%0)" : : "r"(a)); }},
    {"bts far", [](u32 a) { asm volatile("btsl %1, (%0)" : : "r"(here()), "r"((a - here()) << 3) : "memory"); }, true},
    {"bt by ECX", [](u32 a) { asm volatile("btl %%ecx, (%0)" : : "r"(here()), "c"((a - here()) << 3)); }},
    {"push from", [](u32 a) { asm volatile("pushl (%0); popl %%eax" : : "r"(a) : "eax"); }},
    {"pop to", [](u32 a) { asm volatile("pushl $1; popl (%0)" : : "r"(a) : "memory"); }},
    {"xlat", [](u32 a) { asm volatile("xlat" : : "b"(a - 0x10), "a"(0x10)); }},
    {"lods", [](u32 a) { asm volatile("lodsl" : : "S"(a) : "eax"); }},
    {"stos", [](u32 a) { asm volatile("stosl" : : "D"(a), "a"(0) : "memory"); }},
    {"movs from", [](u32 a) { asm volatile("movsl" : : "S"(a), "D"(here()) : "memory"); }},
    {"movs to", [](u32 a) { asm volatile("movsl" : : "S"(here()), "D"(a) : "memory"); }},
    {"rep movs from", [](u32 a) { asm volatile("rep movsl" : : "S"(a), "D"(here()), "c"(4) : "memory"); }},
    {"rep stos", [](u32 a) { asm volatile("rep stosb" : : "D"(a), "a"(0), "c"(64) : "memory"); }},
    {"rep stos backwards", [](u32 a) { asm volatile("std; rep stosl; cld" : : "D"(a), "a"(0), "c"(64) : "memory"); }},
    {"rep stos of nothing", [](u32 a) { asm volatile("rep stosl" : : "D"(a), "a"(0), "c"(0) : "memory"); }},
    {"scas", [](u32 a) { asm volatile("repne scasb" : : "D"(a), "a"(0), "c"(64)); }},
    {"cmps", [](u32 a) { asm volatile("repe cmpsb" : : "S"(here()), "D"(a), "c"(64)); }},
    {"leave", [](u32 a) { asm volatile("push %%ebp; mov %0, %%ebp; leave" : : "r"(a)); }},
    {"call through", [](u32 a) { asm volatile("call *(%0)" : : "r"(a) : "memory"); }},
    {"jump through", [](u32 a) { asm volatile("jmp *(%0)" : : "r"(a) : "memory"); }},
    {"call to", [](u32 a) { asm volatile("call *%0" : : "r"(a) : "memory"); }},
    {"jump to", [](u32 a) { asm volatile("jmp *%0" : : "r"(a) : "memory"); }},
    {"bound", [](u32 a) { asm volatile("bound %%eax, (%0)" : : "r"(a), "a"(0)); }},
    {"lgdt", [](u32 a) { asm volatile("lgdt (%0)" : : "r"(a)); }},
    {"sidt", [](u32 a) { asm volatile("sidt (%0)" : : "r"(a) : "memory"); }},
    {"les", [](u32 a) { asm volatile("les (%0), %%eax" : : "r"(a) : "eax"); }, false, true},
    {"fld", [](u32 a) { asm volatile("flds (%0)" : : "r"(a)); }},
    {"fld of 80 bits, far", [](u32 a) { asm volatile("fldt 0x600000(%0)" : : "r"(a - 0x600000)); }},
    {"fstp", [](u32 a) { asm volatile("fld1; fstpl (%0)" : : "r"(a) : "memory"); }},
    {"fnsave", [](u32 a) { asm volatile("fnsave (%0)" : : "r"(a) : "memory"); }},
    {"fnstcw", [](u32 a) { asm volatile("fnstcw (%0)" : : "r"(a) : "memory"); }},
    {"movd mmx", [](u32 a) { asm volatile("movd %%mm0, (%0)" : : "r"(a) : "memory"); }},
    {"movups from", [](u32 a) { asm volatile("movups (%0), %%xmm0" : : "r"(a)); }},
    {"movups to", [](u32 a) { asm volatile("movups %%xmm0, (%0)" : : "r"(a) : "memory"); }},
    {"addss", [](u32 a) { asm volatile("addss (%0), %%xmm0" : : "r"(a)); }},
    {"maskmovq", [](u32 a) { asm volatile("pcmpeqb %%mm1, %%mm1; maskmovq %%mm1, %%mm0" : : "D"(a) : "memory"); }},
    {"fxsave", [](u32 a) { asm volatile("fxsave (%0)" : : "r"(a & ~15u) : "memory"); }},
    {"prefetch and lea", [](u32 a) { asm volatile("prefetchnta (%0); lea (%0), %%eax" : : "r"(a) : "eax"); }},
};
// clang-format on

// Every kind of access, at the places of the slot.
void each_access(u32 slot, bool tell) {
  u32 sum = 0;
  for (const Access& access : accesses) {
    for (const u32 place : places) {
      const u32 address = slot + place;
      Trap trap = attempt([&] { access.run(address); });
      if (access.modifies) trap.frame.error &= ~2u;
      if (access.either_first && trap.cr2 == address + 4) trap.cr2 = address;
      if (tell && place == places[0]) line(access.name, ": ", trap);
      sum = sum * 31 + trap.frame.vector;
      if (trap.frame.vector == 14) {
        sum = sum * 31 + (trap.cr2 - slot) + trap.frame.error + trap.frame.eip;
        check(trap.cr2 - address < 512 || address - trap.cr2 < 64, "CR2 is the address");
      }
    }
  }
  line("slot ", hex(slot), ": ", hex(sum));
}

u32 hit_count() {
  u32 hits = 0;
  for (u32 slot = first_slot; slot < slots; ++slot) {
    for (const u32 place : places) {
      const u32 address = slot * slot_bytes + place;
      const Trap trap = attempt([&] { load(address); });
      hits += trap.frame.vector == 14 && trap.cr2 == address && trap.frame.error == 0;
    }
  }
  return hits;
}

// Without paging nothing answers there, and everywhere alike.
void without_paging() {
  u32 unlike = 0, kept = 0;
  constexpr u32 nowhere = 0xa0000000;
  for (u32 slot = 0x90000000; slot < 0xfe000000; slot += 0x2c00000) {
    for (const u32 place : places) {
      unlike += memory_at(slot + place) != memory_at(nowhere);
      memory_at(slot + place) = 0x12345678;
      kept += memory_at(slot + place) == 0x12345678;
    }
  }
  for (const u32 place : places) {
    unlike += memory_at(top_slot + place) != memory_at(nowhere);
    memory_at(top_slot + place) = 0x12345678;
    kept += memory_at(top_slot + place) == 0x12345678;
  }
  line("without paging, unlike: ", unlike, " kept: ", kept);
}

}  // namespace

void test() {
  without_paging();
  map_low_memory();
  enable_paging();
  set_cr4(cr4() | cr4_osfxsr);
  asm volatile("clts; fninit");
  for (u32 slot = top_slot; slot != top_slot - 8 * slot_bytes; slot -= slot_bytes) {
    each_access(slot, slot == top_slot);
  }
  line("faults in all slots: ", hit_count());
}
