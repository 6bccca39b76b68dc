// Memory that lies untouched for a while and is then used in every way: data of every kind, page
// tables, descriptor tables, kernel and user code. A monitor that takes frames back meanwhile
// (withdraw=every:N) must not be seen; on the bare machine nothing special happens.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "withdrawal";

namespace {

// Pages above the 16 MB that the runtime maps one to one.
constexpr u32 data_pages = 0x1800000, code_page = 0x1900000, table_page = 0x1a00000,
              gdt_page = 0x1b00000, user_page = 0x1b80000, window_address = 0x40000000;
constexpr u32 kinds = 6, pages_of_a_kind = 4;

// Gives a monitor that counts its traps time to look at all of memory twice; the port is the
// diagnostic display of a PC.
void rest() {
  for (u32 i = 0; i < 800; ++i) out8(0x80, static_cast<u8>(i));
}

u32 word_of(u32 kind, u32 page, u32 index, u32& random) {
  switch (kind) {
    case 0:
      return 0;
    case 1:
      return 0x5a5a5a5a + page;
    case 2:
      return index << 12 | 0x67;
    case 3:
      return index % 32 == 0 ? page * 0x10001 + index : 0;
    case 4:
      return 0x65622068 + (index * index % 97 << 8) + page;
    default:
      random = random * 1664525 + 1013904223;
      return random ^ random >> 15;
  }
}

u32 page_address(u32 kind, u32 page) {
  return data_pages + (kind * pages_of_a_kind + page) * page_bytes;
}

void fill_data(u32 seed) {
  u32 random = seed;
  for (u32 kind = 0; kind < kinds; ++kind) {
    for (u32 page = 0; page < pages_of_a_kind; ++page) {
      volatile u32* words = &memory_at(page_address(kind, page));
      for (u32 i = 0; i < pages_of_a_table; ++i) words[i] = word_of(kind, page, i, random) ^ seed;
    }
  }
}

u32 wrong_words(u32 seed) {
  u32 random = seed, wrong = 0;
  for (u32 kind = 0; kind < kinds; ++kind) {
    for (u32 page = 0; page < pages_of_a_kind; ++page) {
      const volatile u32* words = &memory_at(page_address(kind, page));
      for (u32 i = 0; i < pages_of_a_table; ++i) {
        wrong += words[i] != (word_of(kind, page, i, random) ^ seed);
      }
    }
  }
  return wrong;
}

void data() {
  for (u32 round = 0; round < 2; ++round) {
    fill_data(round);
    rest();
    line("data, round ", round, ": wrong words ", wrong_words(round));
  }
}

// One instruction that needs two pages at once, or both ends of one.
void across_pages() {
  const u32 at = page_address(1, 3) + page_bytes - 2;
  fill_data(0);
  rest();
  line("across two pages: ", hex(memory_at(at)));
  rest();
  memory_at(at) = 0x11223344;
  rest();
  line("written across: ", hex(memory_at(at)), " ", hex(memory_at(at - 2)), " ",
       hex(memory_at(at + 2)));
  rest();
  u32 from = page_address(2, 1) + 8, to = page_address(4, 1) + 8, count = 500;
  asm volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  u32 differing = 0;
  for (u32 i = 0; i < 500; ++i) {
    differing +=
        memory_at(page_address(2, 1) + 8 + 4 * i) != memory_at(page_address(4, 1) + 8 + 4 * i);
  }
  line("copied 500 words, differing: ", differing);
  rest();
  u32 expected = memory_at(page_address(3, 0));
  rest();
  asm volatile("lock cmpxchg %2, (%1)"
               : "+a"(expected)
               : "r"(page_address(3, 0)), "r"(77)
               : "memory", "cc");
  rest();
  line("exchanged: ", memory_at(page_address(3, 0)));
}

// mov $value, %eax; ret
void write_constant(u32 at, u32 value) {
  volatile u8* bytes = reinterpret_cast<volatile u8*>(at);
  bytes[0] = 0xb8;
  for (u32 i = 0; i < 4; ++i) bytes[1 + i] = static_cast<u8>(value >> 8 * i);
  bytes[5] = 0xc3;
}

u32 call(u32 address) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(address) : "ecx", "edx", "memory", "cc");
  return result;
}

void code() {
  write_constant(code_page + 16, 1);
  write_constant(code_page + page_bytes - 3, 2);
  for (u32 round = 0; round < 3; ++round) {
    rest();
    line("code: ", call(code_page + 16), " across pages: ", call(code_page + page_bytes - 3));
  }
  rest();
  write_constant(code_page + 16, 3);
  rest();
  line("rewritten: ", call(code_page + 16), " ", call(code_page + page_bytes - 3));
}

// The page table lies where nothing else does; its A and D bits are the processor's.
void page_tables() {
  PageTable& table = *reinterpret_cast<PageTable*>(table_page);
  for (u32 i = 0; i < pages_of_a_table; ++i) table.entries[i] = 0;
  map_low_memory();
  directory.entries[table_page >> 22] = (table_page & 0xffc00000) | all_rights | large;
  directory.entries[window_address >> 22] = table_page | all_rights;
  for (u32 page = 0; page < 4; ++page) {
    table.entries[page] = page_address(4, page) | all_rights;
    memory_at(page_address(4, page)) = 100 + page;
  }
  set_cr4(cr4() | cr4_pse);
  enable_paging();
  for (u32 page = 0; page < 4; ++page) {
    rest();
    const u32 word = memory_at(window_address + page * page_bytes);
    line("through a table: ", word, " entry ", hex(table.entries[page] & 0xfff, 3));
    memory_at(window_address + page * page_bytes) = 200 + page;
    rest();
    line("  written: entry ", hex(table.entries[page] & 0xfff, 3));
  }
  rest();
  table.entries[0] = page_address(4, 1) | all_rights;
  rest();
  invlpg(window_address);
  line("another page: ", memory_at(window_address));
  rest();
  table.entries[0] = 0;
  rest();
  invlpg(window_address);
  rest();
  line("no page: ", attempt([] { load(window_address); }));
  rest();
  table.entries[0] = page_address(4, 2) | present;
  rest();
  line("read-only: ", memory_at(window_address), " ",
       attempt([] { memory_at(window_address) = 1; }).happened());
}

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};

void load_gdt(u32 base, u32 limit) {
  const TableRegister table = {static_cast<u16>(limit), base};
  asm volatile("lgdt %0" : : "m"(table));
}

u32 limit_of(u32 selector) {
  u32 limit = 0;
  asm volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
  return limit;
}

// The kernel's descriptors in a page of their own, inside the 4 MB page that page_tables mapped.
void descriptor_table() {
  volatile u64* entries = reinterpret_cast<volatile u64*>(gdt_page);
  for (u32 i = 0; i < descriptor_count; ++i) entries[i] = gdt()[i];
  entries[first_free_descriptor] = make_segment(0x1000, 0x123, 0x92, 4);
  load_gdt(gdt_page, descriptor_count * 8 - 1);
  const u16 chosen = first_free_descriptor * 8;
  for (u32 round = 0; round < 2; ++round) {
    rest();
    asm volatile("mov %0, %%fs" : : "r"(chosen));
    rest();
    line("descriptor: limit ", hex(limit_of(chosen)), " access ",
         hex(static_cast<u32>(entries[first_free_descriptor] >> 40) & 0xff, 2));
    rest();
    entries[first_free_descriptor] = make_segment(0x1000, 0x456 + round, 0x92, 4);
  }
}

// int $0x40 with a value in eax that the user's data page gave.
void code_of_the_user() {
  const u8 bytes[] = {0xa1, 0,    0,    0xb8, 0x01,        // mov 0x1b80000, %eax
                      0xff, 0x05, 0,    0,    0xb8, 0x01,  // incl 0x1b80000
                      0x66, 0x8c, 0xe1,                    // mov %fs, %cx
                      0xcd, 0x40};                         // int $0x40
  volatile u8* code = reinterpret_cast<volatile u8*>(user_page + 0x100);
  for (u32 i = 0; i < sizeof bytes; ++i) code[i] = bytes[i];
  memory_at(user_page) = 40;
  set_gate(0x40, get_gate(0x40) | u64{0x60} << 40);
  UserState state;
  state.eip = user_page + 0x100;
  state.esp = user_page + 0x1000;
  for (u32 round = 0; round < 4; ++round) {
    rest();
    const Trap trap = run_user(state);
    line("user: vector ", hex(trap.frame.vector, 2), " eax ", trap.frame.eax, " word ",
         memory_at(user_page));
  }
}

}  // namespace

void test() {
  data();
  across_pages();
  code();
  page_tables();
  descriptor_table();
  code_of_the_user();
  load_gdt(reinterpret_cast<u32>(gdt()), descriptor_count * 8 - 1);
}
