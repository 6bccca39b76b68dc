// The monitor's window must get out of a guest's way wherever it is: memory is mapped in slot after
// slot of linear space, by large pages and by page tables, then in all of them at once, and each
// slot is read and written where the window has pages that do not fault. Device memory and absent
// memory are mapped too, and all is taken away again.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "window";

namespace {

constexpr u32 slot_bytes = 0x400000, slots = 1024, first_slot = 5;  // below: the test itself, and
constexpr u32 memory = 0x1000000;                                   // what the slots map
constexpr u32 absent_memory = 0xa0000000;
constexpr u32 middle = slot_bytes / 2;  // the window has pages there that do not fault
PageTable table, other_directory;

void flush() { set_cr3(directory.address()); }
u32 base_of(u32 slot) { return slot * slot_bytes; }

void map_slot(u32 slot, u32 entry) {
  directory.entries[slot] = entry;
  invlpg(base_of(slot));
}

// Every 64 KB of the memory says where it is.
void mark_memory() {
  for (u32 offset = 0; offset < slot_bytes; offset += 0x10000) {
    memory_at(memory + offset) = memory + offset;
  }
}

// How many places of the slot do not show the memory; leaves it marked.
u32 differences(u32 slot) {
  u32 wrong = 0;
  for (u32 offset = 0; offset < slot_bytes; offset += 0x10000) {
    volatile u32& place = memory_at(base_of(slot) + offset);
    wrong += place != memory + offset;
    place = ~offset;
    wrong += memory_at(memory + offset) != ~offset;
    place = memory + offset;
  }
  return wrong;
}

u32 differences_of_all(u32 first, u32 step) {
  u32 wrong = 0;
  for (u32 slot = first; slot < slots; slot += step) wrong += differences(slot);
  return wrong;
}

// One slot at a time, from the top: it meets the window wherever that goes.
void one_after_another() {
  u32 wrong = 0;
  for (u32 slot = slots - 1; slot >= first_slot; slot -= 3) {
    map_slot(slot, memory | large | all_rights);
    wrong += differences(slot);
    map_slot(slot, 0);
  }
  line("one large page after another: ", wrong);
  wrong = 0;
  for (u32 i = 0; i < pages_of_a_table; ++i) {
    table.entries[i] = (memory + i * page_bytes) | all_rights;
  }
  for (u32 slot = slots - 1; slot >= first_slot; slot -= 7) {
    map_slot(slot, table.address() | all_rights);
    wrong += differences(slot);
    map_slot(slot, 0);
  }
  line("one page table after another: ", wrong);
}

// A directory that is loaded as a whole.
void all_at_once() {
  for (u32 slot = first_slot; slot < slots; ++slot) {
    directory.entries[slot] = memory | large | all_rights;
  }
  flush();
  line("all slots by large pages: ", differences_of_all(first_slot, 13));
  volatile u32 sum = 0;
  for (u32 i = 0; i < 1000; ++i) sum = sum + i;
  line("and code still runs: ", sum);
  for (u32 slot = first_slot; slot < slots; slot += 2) directory.entries[slot] = 0;
  flush();
  line("every other slot: ", differences_of_all(first_slot + 1, 2));
}

// All slots by one page table that is empty, then gets its pages one by one.
void a_table_that_fills() {
  for (u32 i = 0; i < pages_of_a_table; ++i) table.entries[i] = 0;
  for (u32 slot = first_slot; slot < slots; ++slot) {
    directory.entries[slot] = table.address() | all_rights;
  }
  flush();
  line("empty tables: ", attempt([] { load(0xff002000); }));
  u32 wrong = 0;
  for (u32 i = 0; i < pages_of_a_table; ++i) {
    table.entries[i] = (memory + i * page_bytes) | all_rights;
  }
  for (u32 slot = first_slot; slot < slots; slot += 101) wrong += differences(slot);
  line("filled tables: ", wrong);
  for (u32 i = 0; i < pages_of_a_table; ++i) table.entries[i] = 0;
  flush();
  line("empty again: ", attempt([] { load(0xff002000); }));
}

// An address space with an empty table in each of these slots, and one without. The table gets
// its pages while the other is in use. `mark`: a bit of the directory's entries.
void a_table_of_the_other_space(const char* name, u32 first, u32 end, u32 frames, u32 mark) {
  for (u32 slot = 0; slot < slots; ++slot) {
    other_directory.entries[slot] = slot < first_slot ? directory.entries[slot] : 0;
  }
  u32 wrong = 0;
  memory_at(frames + middle) = frames + middle;
  for (u32 i = 0; i < pages_of_a_table; ++i) table.entries[i] = 0;
  for (u32 slot = first; slot < end; ++slot) {
    directory.entries[slot] = table.address() | mark | all_rights;
  }
  for (u32 round = 0; round < 4; ++round) {
    flush();
    set_cr3(other_directory.address());
    for (u32 i = 0; i < pages_of_a_table; ++i) {
      table.entries[i] = round % 2 == 0 ? 0 : (frames + i * page_bytes) | all_rights;
    }
    flush();
    if (round % 2 == 0) continue;
    for (u32 slot = first; slot < end; ++slot) {
      wrong += memory_at(base_of(slot) + middle) != frames + middle;
    }
  }
  line("filled in the other address space, ", name, ": ", wrong);
  for (u32 slot = first; slot < end; ++slot) directory.entries[slot] = 0;
  flush();
}

// The window is in the upper half first, and driven to the lower one. Without PSE the bit that
// would make a page large means nothing.
void tables_of_other_spaces() {
  constexpr u32 low_frames = 0x800000;
  a_table_of_the_other_space("with PSE", slots / 2, slots, memory, 0);
  set_cr4(cr4() & ~cr4_pse);
  a_table_of_the_other_space("without", first_slot, slots / 2, low_frames, large);
  set_cr4(cr4() | cr4_pse);
  flush();
}

void other_than_memory() {
  for (u32 slot = first_slot; slot < slots; ++slot) {
    directory.entries[slot] = absent_memory | large | all_rights;
  }
  flush();
  u32 read = 0;  // what, is the machine's choice
  for (u32 slot = first_slot; slot < slots; ++slot) {
    read += !attempt([=] { load(base_of(slot) + 0x1000); }).happened();
  }
  line("slots of absent memory: ", read);
  for (u32 slot = first_slot; slot < slots; ++slot) directory.entries[slot] = 0;
  flush();
}

}  // namespace

void test() {
  map_low_memory();
  set_cr4(cr4() | cr4_pse);
  directory.entries[memory / slot_bytes] = memory | large | all_rights;
  enable_paging();
  mark_memory();
  one_after_another();
  tables_of_other_spaces();
  all_at_once();
  a_table_that_fills();
  other_than_memory();
}
