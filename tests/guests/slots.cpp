// Every slot of 4 MB of linear space is the guest's, wherever the monitor may be hiding: code runs
// in each, at the offsets where the window has pages of its own; page tables are changed through
// each; all slots but one are filled, then all; and the 4 GB are mapped one to one, as simple
// kernels do. With the word "ticks" on the command line a line tells the time-stamp ticks of a loop
// while slots are free and while none is, which no twin run compares.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "slots";

namespace {

constexpr u32 slot_bytes = 0x400000, slots = 1024;
constexpr u32 first_slot = 5;  // below: the test itself and what the slots map
constexpr u32 memory = 0x1000000;
// Within a slot: an image's page, the virtual CPU page, the jump table, the cache, a mapping slot,
// as far as a guest can guess, and the first and last page.
constexpr u32 offsets[] = {0, 0x1000, 0x130000, 0x140000, 0x180000, 0x200000, 0x380000, 0x3ff000};
constexpr u32 table_pages[] = {0, 0x130, 0x140, 0x181, 0x3ff};
PageTable table;
Page scratch;

void flush() { set_cr3(directory.address()); }
u32 base_of(u32 slot) { return slot * slot_bytes; }
void map_slot(u32 slot, u32 entry) {
  directory.entries[slot] = entry;
  invlpg(base_of(slot));
}

u32 call(u32 address, u32 argument) {
  u32 result;
  asm volatile("call *%1"
               : "=a"(result)
               : "r"(address), "a"(argument)
               : "ecx", "edx", "cc", "memory");
  return result;
}
// lea value(%eax), %eax; ret
void write_function(u32 address, u32 value) {
  memory_at(address) = 0x808d | value << 16;
  memory_at(address + 4) = value >> 16 | 0xc30000;
}

u32 ticks() {
  u32 low;
  asm volatile("rdtsc" : "=a"(low) : : "edx");
  return low;
}
void tell_speed(const char* when) {
  const u32 start = ticks();
  volatile u32 count = 0;
  for (u32 i = 0; i < 20000; ++i) count = count + i;
  const u32 taken = ticks() - start;
  if (option("ticks")) line(when, ": ", taken, " ticks");
}

// Code, data and stack of a whole slot.
u32 use_slot(u32 slot) {
  u32 sum = 0;
  for (const u32 offset : offsets) {
    const u32 place = base_of(slot) + offset;
    write_function(place + 16, offset);
    sum += call(place + 16, slot);
    write_function(place + 16, 1);  // the same place again, other code
    sum = sum * 3 + call(place + 16, slot);
    // A push and a string instruction with their operands there.
    u32 popped, edi = place + 64, ecx = 4;
    asm volatile("mov %%esp, %%edx; mov %2, %%esp; push %3; pop %0; mov %%edx, %%esp"
                 : "=r"(popped)
                 : "0"(0), "r"(place + 128), "r"(slot)
                 : "edx", "memory");
    asm volatile("rep stosl" : "+D"(edi), "+c"(ecx) : "a"(popped) : "memory");
    sum = sum * 3 + memory_at(place + 64) + memory_at(place + 76) + memory_at(place + 124);
    sum += attempt([=] { memory_at(place + 80) = 0x12345678; }).happened();
    sum += memory_at(memory + offset + 80);
  }
  return sum;
}

void one_after_another() {
  u32 sum = 0;
  for (u32 slot = first_slot; slot < slots; ++slot) {
    map_slot(slot, memory | large | all_rights);
    sum = sum * 7 + use_slot(slot);
    map_slot(slot, 0);
    sum += attempt([=] { load(base_of(slot) + 0x180000); }).frame.vector;
  }
  line("each slot, one after another: ", hex(sum));
}

// Whatever slot it is, the tables of the address space can be in it.
void tables_in_a_slot() {
  u32 sum = 0;
  for (u32 slot = slots - 1; slot > first_slot + 19; slot -= 19) {
    for (u32 i = 0; i < pages_of_a_table; ++i) table.entries[i] = 0;
    table.entries[0x180] = table.address() | all_rights;
    table.entries[0x131] = directory.address() | all_rights;
    map_slot(slot, table.address() | all_rights);
    const u32 tables = base_of(slot) + 0x180000, own_directory = base_of(slot) + 0x131000;
    for (const u32 page : table_pages) {
      const u32 place = base_of(slot) + page * page_bytes;
      sum += attempt([=] { load(place); }).frame.error + 1;
      memory_at(tables + page * 4) = scratch.address() | all_rights;
      memory_at(place + 4) = page;
      sum = sum * 5 + scratch.words[1] + (memory_at(tables + page * 4) & 0xfff);
      memory_at(tables + page * 4) = scratch.address() | present;
      invlpg(place);
      sum += memory_at(place + 4) + (table.entries[page] & 0xfff);
      memory_at(tables + page * 4) = 0;
      invlpg(place);
    }
    sum = sum * 3 + (memory_at(own_directory + slot * 4) & 0xfff);
    memory_at(own_directory + slot * 4) = 0;
    flush();
    sum += attempt([=] { load(own_directory); }).frame.error;
  }
  line("tables in the slot that they map: ", hex(sum));
}

void all_but_one() {
  u32 sum = 0;
  for (u32 slot = first_slot; slot < slots; ++slot) {
    directory.entries[slot] = memory | large | all_rights;
  }
  // The free one moves, into slots where the window may be and out of them.
  for (u32 free = slots - 1; free > first_slot + 97; free -= 97) {
    directory.entries[free] = 0;
    flush();
    sum += attempt([=] { load(base_of(free) + 0x140000); }).cr2;
    for (u32 slot = first_slot; slot < slots; slot += 111) {
      if (slot != free) sum = sum * 3 + use_slot(slot);
    }
    directory.entries[free] = memory | large | all_rights;
  }
  flush();
  line("all but one: ", hex(sum));
}

void all() {
  u32 sum = 0;
  for (u32 slot = first_slot; slot < slots; slot += 33) sum = sum * 3 + use_slot(slot);
  line("all: ", hex(sum));
  tell_speed("no slot is free");
  // One is given back, and taken again from under the running code.
  for (u32 round = 0; round < 8; ++round) {
    const u32 slot = slots - 1 - 100 * round;
    map_slot(slot, 0);
    sum += attempt([=] { load(base_of(slot) + 0x130000); }).frame.error;
    map_slot(slot, memory | large | all_rights);
    sum = sum * 3 + use_slot(slot);
  }
  line("all, one given back at times: ", hex(sum));
}

// What is above the memory answers nothing; no line tells what it reads.
void one_to_one() {
  for (u32 slot = 0; slot < slots; ++slot)
    directory.entries[slot] = base_of(slot) | large | all_rights;
  flush();
  tell_speed("one to one");
  u32 faults = 0;
  for (u32 slot = 0; slot < slots; slot += 3) {
    faults += attempt([=] { load(base_of(slot) + 0x141000); }).happened();
  }
  line("one to one, faults: ", faults, ", memory ", hex(memory_at(memory + 0x140000 + 16)));
}

}  // namespace

void test() {
  map_low_memory();
  set_cr4(cr4() | cr4_pse);
  directory.entries[memory / slot_bytes] = memory | large | all_rights;
  enable_paging();
  tell_speed("slots are free");
  one_after_another();
  tables_in_a_slot();
  all_but_one();
  all();
  one_to_one();
}
