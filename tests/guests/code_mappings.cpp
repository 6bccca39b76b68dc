// Kernel code whose mapping changes while it stays, or stays while its mapping changes: large pages
// split and joined, page tables exchanged, address spaces that show the same or other code at one
// address, code across two slots of 4 MB. Each function returns a number of its own.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "code_mappings";

namespace {

constexpr u32 slot_bytes = 0x400000;
constexpr u32 memory = 0x1000000, other_memory = 0x1400000;  // 4 MB each
constexpr u32 memories[] = {memory, other_memory};
constexpr u32 here = 0x50000000, next_slot = here + slot_bytes;
PageTable table, other_table, other_directory;

// mov $value, %eax; ret
void write_constant(u32 address, u32 value) {
  memory_at(address) = 0xb8 | value << 8;
  memory_at(address + 4) = value >> 24 | 0xc300;
}
u32 call(u32 address) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(address) : "ecx", "edx", "memory", "cc");
  return result;
}
// All of the pages with functions, in the order of their addresses.
constexpr u32 pages[] = {0, 1, 77, 1022};
u32 call_all() {
  u32 sum = 0;
  for (const u32 page : pages) sum = sum * 10 + call(here + page * page_bytes + 16);
  return sum;
}

void fill(PageTable& made, u32 from) {
  for (u32 i = 0; i < pages_of_a_table; ++i) made.entries[i] = (from + i * page_bytes) | all_rights;
}
void map_here(u32 entry) {
  directory.entries[here / slot_bytes] = entry;
  invlpg(here);
}
void flush() { set_cr3(directory.address()); }

void write_functions() {
  for (const u32 start : memories) {
    u32 digit = start == memory ? 1 : 5;
    for (const u32 page : pages) write_constant(start + page * page_bytes + 16, digit++);
  }
}

void large_pages() {
  map_here(memory | large | all_rights);
  line("a large page: ", call_all());
  fill(table, memory);
  map_here(table.address() | all_rights);
  flush();
  line("split: ", call_all());
  table.entries[77] = (other_memory + 77 * page_bytes) | all_rights;
  invlpg(here + 77 * page_bytes);
  line("one page is another's: ", call_all());
  map_here(memory | large | present);
  flush();
  line("joined, read-only: ", call_all());
  map_here(other_memory | large | all_rights);
  flush();
  line("another large page: ", call_all());
  table.entries[1] = (other_memory + page_bytes) | all_rights;
  map_here(table.address() | all_rights);
  flush();
  line("split, two pages are others': ", call_all());
  table.entries[77] = 0;
  invlpg(here + 77 * page_bytes);
  line("one is absent: ", attempt([] { call(here + 77 * page_bytes + 16); }));
}

void tables() {
  fill(table, memory);
  fill(other_table, memory);
  map_here(table.address() | all_rights);
  flush();
  line("a table: ", call_all());
  map_here(other_table.address() | all_rights);
  flush();
  line("another with the same pages: ", call_all());
  other_table.entries[1] = (other_memory + page_bytes) | all_rights;
  invlpg(here + page_bytes);
  line("which then changes: ", call_all());
  table.entries[77] = (other_memory + 77 * page_bytes) | all_rights;  // not in use
  line("while the first is away: ", call_all());
  map_here(table.address() | all_rights);
  flush();
  line("and is back: ", call_all());
}

// Both address spaces show this kernel alike.
void address_spaces() {
  fill(table, memory);
  fill(other_table, memory);
  map_here(table.address() | all_rights);
  for (u32 i = 0; i < pages_of_a_table; ++i) {
    other_directory.entries[i] = directory.entries[i];
  }
  other_directory.entries[here / slot_bytes] = other_table.address() | all_rights;
  const auto go = [](PageTable& space) { set_cr3(space.address()); };
  for (u32 round = 0; round < 4; ++round) {
    go(directory);
    print("first ", call_all());
    go(other_directory);
    line(", second ", call_all());
    // The second changes while it is in use, the first while it is not.
    if (round == 0) other_table.entries[0] = other_memory | all_rights;
    if (round == 1) table.entries[1022] = (other_memory + 1022 * page_bytes) | all_rights;
    if (round == 2) other_directory.entries[here / slot_bytes] = other_memory | large | all_rights;
    invlpg(here);
  }
  go(directory);
}

void across_slots() {
  fill(table, memory);
  fill(other_table, other_memory);
  map_here(table.address() | all_rights);
  directory.entries[next_slot / slot_bytes] = other_table.address() | all_rights;
  flush();
  const u32 start = next_slot - 3;  // the last byte but two of the first slot
  u32 sum = 0;
  for (u32 i = 0; i < 6; ++i) {
    const u32 second = i & 1 ? memory + 5 * page_bytes : other_memory;
    other_table.entries[0] = second | all_rights;
    invlpg(next_slot);
    write_constant(start, 0x01000000 * i + 0x42);
    sum = sum * 3 + call(start);
    directory.entries[next_slot / slot_bytes] =
        second == other_memory ? memory | large | all_rights : other_table.address() | all_rights;
    flush();
    write_constant(start, 0x03000000 * i + 0x11);
    sum = sum * 3 + call(start);
  }
  line("across two slots: ", hex(sum));
}

}  // namespace

void test() {
  map_low_memory();
  set_cr4(cr4() | cr4_pse);
  for (const u32 start : memories) {
    directory.entries[start / slot_bytes] = start | large | all_rights;
  }
  enable_paging();
  write_functions();
  large_pages();
  tables();
  address_spaces();
  across_slots();
}
