// Memory that is not there: reads, writes, read-modify-writes, string instructions and stacks above
// the end of RAM, with paging off and on, and page tables in such memory. The addresses are above
// the 64 MB that every machine of these tests has, and below what devices claim.
//
// What such reads give is the chipset's affair: ones on a PC, and zeros on QEMU. So the transcript
// says that nothing answers, and with the word "raw" on the command line also what was read. The
// word "fault" asks for the page faults that Undercroft gives with absent=fault instead.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "absent";

namespace {

constexpr u32 places[] = {0x20000000, 0x40001234, 0x7ffffffc, 0x8000fff0, 0xb0000000};

bool raw;

// What a bus gives that nobody drives.
bool floats(u32 value, u32 bytes) { return value == 0 || value == 0xffffffff >> (32 - 8 * bytes); }

void probe(u32 at) {
  volatile u8& byte = *reinterpret_cast<volatile u8*>(at);
  volatile u16& half = *reinterpret_cast<volatile u16*>(at);
  const u32 before = memory_at(at);
  const bool floating =
      floats(byte, 1) && floats(half, 2) && floats(before, 4) && floats(memory_at(at + 1), 4);
  memory_at(at) = 0x12345678;
  byte = 0x9a;
  line(hex(at), ": floats ", floating, ", writes vanish ", memory_at(at) == before);
  if (raw) line("  ", hex(byte, 2), " ", hex(half, 4), " ", hex(before));
}

void modify(u32 at) {
  u32 added = 5, exchanged = 0x1111, expected = 0xffffffff;
  asm volatile("lock xadd %0, (%1)" : "+r"(added) : "r"(at) : "memory", "cc");
  asm volatile("xchg %0, (%1)" : "+r"(exchanged) : "r"(at) : "memory");
  asm volatile("lock cmpxchg %1, (%2)" : "+a"(expected) : "r"(7), "r"(at) : "memory", "cc");
  u32 carry;
  asm volatile("stc; adcl $0, (%1); sbb %0, %0" : "=r"(carry) : "r"(at) : "memory", "cc");
  line("  modified: ", floats(added, 4), " ", floats(exchanged, 4), " ", floats(expected, 4),
       " then ", floats(memory_at(at), 4));
  if (raw) line("  ", hex(added), " ", hex(exchanged), " ", hex(expected), " carry ", carry != 0);
}

void strings(u32 at) {
  static u32 buffer[16];
  u32 from = at, to = reinterpret_cast<u32>(buffer), count = 16, floating = 0;
  asm volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  for (const u32 word : buffer) floating += floats(word, 4);
  from = reinterpret_cast<u32>(buffer);
  to = at;
  count = 16;
  asm volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  line("  string: ", floating, " words float, ended at ", hex(to));
}

u32 stack_word(u32 top) {
  u32 word;
  asm volatile("mov %%esp, %%ecx; mov %1, %%esp; push $0x77; pop %0; mov %%ecx, %%esp"
               : "=&r"(word)
               : "r"(top)
               : "ecx", "memory");
  return word;
}

void all(const char* when) {
  line(when);
  for (const u32 place : places) probe(place);
  modify(places[0]);
  strings(places[1]);
  line("  pushed and popped: ", floats(stack_word(places[0] + 0x100), 4));
}

// The way in which a kernel finds out how much memory there is.
void size_of_memory() {
  u32 megabytes = 2;
  for (; megabytes < 1024; ++megabytes) {
    volatile u32& word = memory_at(megabytes << 20);
    const u32 before = word;
    word = 0xa5a5a5a5;
    const bool keeps = word == 0xa5a5a5a5;
    word = 0x5a5a5a5a;
    const bool keeps_again = word == 0x5a5a5a5a;
    word = before;
    if (!keeps || !keeps_again) break;
  }
  line("memory by probing: ", megabytes, " MB");
}

// Ones are a present entry, zeros are none.
void page_tables_there() {
  directory.entries[0x300] = 0x20000000 | all_rights;
  set_cr3(directory.address());
  line("through an absent table: ", attempt([] { load(0xc0000000); }));
}

void faults(const char* when) {
  line(when);
  line("read: ", attempt([] { load(places[1]); }));
  line("write: ", attempt([] { memory_at(places[1]) = 1; }));
  line("code: ", attempt([] { reinterpret_cast<void (*)()>(places[1])(); }));
  line("across the end: ", attempt([] { load(0x3fffffe); }));
}

void map_places() {
  map_low_memory();
  for (const u32 place : places) {
    directory.entries[place >> 22] = (place & 0xffc00000) | all_rights | large;
  }
  for (u32 slot = 15; slot <= 16; ++slot) directory.entries[slot] = slot << 22 | all_rights | large;
  set_cr4(cr4() | cr4_pse);
  enable_paging();
}

}  // namespace

void test() {
  if (option("fault")) {
    faults("paging off");
    map_places();
    return faults("paging on");
  }
  raw = option("raw");
  size_of_memory();
  all("paging off");
  map_places();
  all("paging on");
  if (raw) page_tables_there();
}
