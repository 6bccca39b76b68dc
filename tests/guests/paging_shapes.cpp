// Page tables in unusual shapes: a directory that maps itself, a table mapped writable in several
// places, shared, or of two roles at once; PSE and PGE switched; what INVLPG, CR3 and CR4 must
// make seen; paging off and on where the map is not one to one.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "paging_shapes";

namespace {

constexpr u32 window = 0x40000000, second_window = 0x50000000;
constexpr u32 recursive_slot = 1000, recursive = recursive_slot << 22;
constexpr u32 recursive_directory = recursive | recursive_slot << 12;
constexpr u32 global = 0x100, cr4_pge = 0x80;
constexpr u32 large_frame = 0x800000;
constexpr u32 moved_code = 0x00d00000;  // physical memory that is also mapped elsewhere
PageTable test_table, lonely_table, other_table, other_directory;
Page frame_a, frame_b;

volatile u32& window_entry() { return directory.entries[window >> 22]; }
void flush() { set_cr3(directory.address()); }
char mark(u32 entry) {
  return static_cast<char>('0' + (entry & accessed ? 1 : 0) + (entry & dirty ? 2 : 0));
}
Trap read(u32 address) {
  return attempt([=] { load(address); });
}

void reset() {
  for (u32 slot = low_tables; slot < pages_of_a_table; ++slot) directory.entries[slot] = 0;
  for (u32 i = 0; i < pages_of_a_table; ++i) {
    test_table.entries[i] = 0;
    other_table.entries[i] = 0;
  }
  window_entry() = test_table.address() | all_rights;
  test_table.entries[0] = frame_a.address() | all_rights;
  test_table.entries[1] = frame_b.address() | all_rights;
  frame_a.words[0] = 0xaaaaaaaa;
  frame_b.words[0] = 0xbbbbbbbb;
  flush();
}

void recursive_directory_map() {
  reset();
  directory.entries[recursive_slot] = directory.address() | present | writable;
  flush();
  const u32 table_at = recursive | (window >> 22) << 12;
  line("table by recursion: ",
       (memory_at(table_at) & ~0xfffu) == frame_a.address() ? "same" : "other", " marks ",
       mark(window_entry()), mark(directory.entries[recursive_slot]));
  memory_at(table_at + 8) = frame_b.address() | all_rights;  // entry 2, by a write that sets D
  u32 seen = memory_at(window + 0x2000);
  line("written: ", hex(seen), " marks ", mark(window_entry()),
       mark(directory.entries[recursive_slot]), mark(test_table.entries[2]));
  // The directory's entry for a slot, written through the directory as a page of itself.
  other_table.entries[0] = frame_b.address() | all_rights;
  memory_at(recursive_directory + (second_window >> 20)) = other_table.address() | all_rights;
  seen = memory_at(second_window);
  line("slot by recursion: ", hex(seen), " marks ", mark(directory.entries[second_window >> 22]),
       mark(directory.entries[recursive_slot]));
  // The directory takes its own entry away.
  memory_at(recursive_directory + recursive_slot * 4) = 0;
  flush();
  line("gone: ", read(recursive_directory));
  line("the rest: ", hex(memory_at(window)), ' ', hex(memory_at(second_window)));
}

// One page table in two slots with different rights, and mapped writable at two places.
void shared_table() {
  reset();
  directory.entries[second_window >> 22] = test_table.address() | present;
  test_table.entries[8] = test_table.address() | all_rights;
  other_table.entries[9] = test_table.address() | all_rights;
  directory.entries[(second_window >> 22) + 1] = other_table.address() | all_rights;
  flush();
  const u32 here = window + 0x8000, there = second_window + 0x409000;
  memory_at(here + 3 * 4) = frame_a.address() | all_rights;
  memory_at(there + 4 * 4) = frame_b.address() | all_rights;
  line("two ways: ", hex(memory_at(window + 0x3000)), ' ', hex(memory_at(window + 0x4000)), ' ',
       hex(memory_at(second_window + 0x3000)), ' ', hex(memory_at(second_window + 0x4000)));
  set_cr0(cr0() | cr0_wp);
  line("read-only slot: ", attempt([] { memory_at(second_window + 0x3000) = 1; }));
  memory_at(window + 0x3000) = 0x1234;
  const u32 seen = memory_at(second_window + 0x3000);
  line("other slot: ", hex(seen), " marks ", mark(test_table.entries[3]),
       mark(test_table.entries[4]));
  memory_at(here + 3 * 4) = 0;
  invlpg(window + 0x3000);
  invlpg(second_window + 0x3000);
  line("gone: ", read(window + 0x3000));
  line("there too: ", read(second_window + 0x3000));
  // A byte of an entry; then one that crosses from an entry into the next.
  *reinterpret_cast<volatile u8*>(there + 4 * 4) = all_rights & ~writable & 0xff;
  invlpg(window + 0x4000);
  line("a byte: ", attempt([] { memory_at(window + 0x4000) = 1; }));
  memory_at(there + 4 * 4 + 2) = 0;
  line("across: ", hex(test_table.entries[4]), ' ', hex(test_table.entries[5]));
  // Through a large page.
  set_cr4(cr4() | cr4_pse);
  directory.entries[(second_window >> 22) + 2] =
      (test_table.address() & 0xffc00000) | large | all_rights;
  flush();
  memory_at(second_window + 0x800000 + (test_table.address() & 0x3fffff) + 6 * 4) =
      frame_b.address() | all_rights;
  line("by a large page: ", hex(memory_at(window + 0x6000)));
}

// A frame that is a page table of one slot and the directory of another address space.
void two_roles() {
  reset();
  for (u32 slot = 0; slot < low_tables; ++slot) {
    other_directory.entries[slot] = directory.entries[slot];
  }
  other_directory.entries[window >> 22] = test_table.address() | all_rights;
  window_entry() = other_directory.address() | all_rights;
  flush();
  // As a table it maps the low page tables, and by its last use test_table.
  const u32 role = window + (window >> 22) * page_bytes;
  line("directory as table: ", memory_at(window) == low[0].entries[0] ? "same" : "other", ' ',
       memory_at(role) == test_table.entries[0] ? "same" : "other");
  memory_at(role + 2 * 4) = frame_b.address() | all_rights;
  set_cr3(other_directory.address());
  line("in the other space: ", hex(memory_at(window)), ' ', hex(memory_at(window + 0x2000)));
  other_directory.entries[window >> 22] = 0;
  flush();
  line("back: ", read(role));
  set_cr3(other_directory.address());
  line("there: ", read(window));
  // A directory that is one of its own page tables.
  other_directory.entries[window >> 22] = other_directory.address() | all_rights;
  set_cr3(other_directory.address());
  line("its own table: ",
       memory_at(window + (window >> 22) * page_bytes) == 0 ? "nothing" : "there");
  memory_at(window + (window >> 22) * page_bytes + (second_window >> 20)) =
      test_table.address() | all_rights;
  line("slot by itself: ", hex(memory_at(second_window)));
  flush();
}

asm(R"(
.text
shapes_user_write: movl $0x0, 0x40008008
                   mov 0x40002000, %eax
                   int $0x80
)");
extern "C" char shapes_user_write[];

// Ring 3 may write its own page table, if the kernel lets it.
void table_of_the_user() {
  reset();
  test_table.entries[2] = frame_a.address() | all_rights;
  test_table.entries[8] = test_table.address() | all_rights;
  flush();
  load(window + 0x2000);
  UserState state;
  state.eip = reinterpret_cast<u32>(shapes_user_write);
  state.eflags = 2 | interrupt_flag;
  const Trap trap = run_user(state);
  // The entry was not flushed: a stale translation may still be used, so only its mark is shown.
  line("user unmaps: entry ", hex(test_table.entries[2]), ' ',
       trap.frame.vector == 14 || trap.frame.vector == 0x80 ? "14 or 128" : "other");
  flush();
  line("after CR3: ", run_user(state));
}

void page_size_extensions() {
  reset();
  memory_at(large_frame) = 0x1a56e;
  set_cr4(cr4() & ~cr4_pse);
  // Bit 7 of an entry that names a page table is ignored without PSE.
  window_entry() = test_table.address() | large | all_rights;
  flush();
  line("PS without PSE: ", hex(memory_at(window)));
  window_entry() = large_frame | large | all_rights;
  low[2].entries[0] = large_frame | all_rights;
  memory_at(large_frame) = frame_b.address() | all_rights;  // now an entry of a table
  flush();
  line("as a table: ", hex(memory_at(window)));
  set_cr4(cr4() | cr4_pse);  // flushes
  line("as a page: ", memory_at(window) == memory_at(large_frame) ? "same" : "other");
  set_cr4(cr4() & ~cr4_pse);
  line("as a table: ", hex(memory_at(window)));
  set_cr4(cr4() | cr4_pse);
  memory_at(window + 0x123450) = 0x77;
  line("D of the page: ", mark(window_entry()), ' ', hex(memory_at(large_frame + 0x123450)));
  window_entry() = large_frame | large | all_rights | 1u << 21;
  flush();
  const Trap trap = read(window);  // TCG forgets P beside RSVD
  line("bit 21: vector ", trap.frame.vector, " error ", hex(trap.frame.error & ~1u));
  window_entry() = large_frame | large | all_rights;
  flush();
}

void global_pages() {
  reset();
  set_cr4(cr4() | cr4_pge);
  test_table.entries[0] = frame_a.address() | all_rights | global;
  flush();
  line("global: ", hex(memory_at(window)));
  test_table.entries[0] = frame_b.address() | all_rights | global;
  invlpg(window);
  line("after invlpg: ", hex(memory_at(window)));
  test_table.entries[0] = frame_a.address() | all_rights | global;
  set_cr4(cr4() & ~cr4_pge);
  line("after PGE: ", hex(memory_at(window)));
  test_table.entries[0] = frame_b.address() | all_rights | global;
  set_cr3(directory.address());
  line("after CR3, PGE clear: ", hex(memory_at(window)));
  set_cr4(cr4() | cr4_pge);
  // Another space with a private page at the same place, switched to and fro.
  for (u32 i = 0; i < pages_of_a_table; ++i) other_directory.entries[i] = directory.entries[i];
  other_directory.entries[window >> 22] = other_table.address() | all_rights;
  other_table.entries[0] = frame_a.address() | all_rights;
  test_table.entries[0] = frame_b.address() | all_rights;
  set_cr4(cr4() & ~cr4_pge);
  set_cr4(cr4() | cr4_pge);
  u32 sum = 0;
  for (u32 round = 0; round < 50; ++round) {
    set_cr3(directory.address());
    sum += memory_at(window);
    set_cr3(other_directory.address());
    sum += 7 * memory_at(window);
  }
  flush();
  line("private beside global: ", hex(sum));
  // G of a large page, and a write-protected one that is opened.
  window_entry() = large_frame | large | present | user | global;
  flush();
  set_cr0(cr0() | cr0_wp);
  line("read-only: ", attempt([] { memory_at(window + 0x10) = 1; }));
  window_entry() = large_frame | large | all_rights | global;
  invlpg(window);
  const Trap opened = attempt([] { memory_at(window + 0x10) = 1; });
  line("opened: ", opened, ' ', mark(window_entry()));
  set_cr4(cr4() & ~cr4_pge);
}

void growing_rights() {
  reset();
  set_cr0(cr0() | cr0_wp);
  test_table.entries[0] = frame_a.address() | present;
  flush();
  line("read-only: ", attempt([] { memory_at(window) = 1; }));
  test_table.entries[0] = frame_a.address() | all_rights | accessed;
  invlpg(window);
  const Trap opened = attempt([] { memory_at(window) = 1; });
  line("opened: ", opened, ' ', mark(test_table.entries[0]));
  // Marks taken back are set again after a flush.
  for (u32 round = 0; round < 3; ++round) {
    test_table.entries[0] = frame_a.address() | all_rights;
    window_entry() = test_table.address() | all_rights;
    invlpg(window);
    load(window);
    put(mark(window_entry()));
    put(mark(test_table.entries[0]));
    memory_at(window) = round;
    put(mark(test_table.entries[0]));
    test_table.entries[0] = frame_a.address() | all_rights | accessed;
    invlpg(window);
    memory_at(window) = round;
    put(mark(test_table.entries[0]));
    put(' ');
  }
  line();
  set_cr0(cr0() & ~cr0_wp);
  test_table.entries[0] = frame_a.address() | present;
  invlpg(window);
  memory_at(window) = 5;
  line("WP clear: ", mark(test_table.entries[0]));
  set_cr0(cr0() | cr0_wp);
  const Trap refused = attempt([] { memory_at(window) = 6; });
  line("WP set: ", refused, ' ', hex(frame_a.words[0]));
}

// Code at a linear address whose physical twin holds other code: MOV CR0 goes on in the twin.
asm(R"(
.text
.global shapes_off, shapes_off_end
shapes_off:      mov %eax, %cr0
                 mov $0x1111, %ecx
                 mov %edx, %cr0
                 ret
shapes_off_end:
shapes_twin:     mov %eax, %cr0
                 mov $0x2222, %ecx
                 mov %edx, %cr0
                 ret
)");
extern "C" char shapes_off[], shapes_off_end[], shapes_twin[];

void copy(u32 to, const char* from) {
  for (u32 i = 0; i < static_cast<u32>(shapes_off_end - shapes_off); ++i) {
    *reinterpret_cast<volatile u8*>(to + i) = static_cast<u8>(from[i]);
  }
}

void off_and_on() {
  reset();
  copy(moved_code, shapes_twin);
  copy(frame_a.address(), shapes_off);
  volatile u32& entry = low[moved_code >> 22].entries[moved_code >> 12 & 0x3ff];
  for (u32 round = 0; round < 3; ++round) {
    entry = (round == 1 ? moved_code : frame_a.address()) | all_rights;
    flush();
    u32 seen = 0;
    const u32 on = cr0();
    asm volatile("call *%3" : "=c"(seen) : "a"(on & ~cr0_pg), "d"(on), "r"(moved_code) : "memory");
    line(round == 1 ? "one to one: " : "not one to one: ", hex(seen, 4));
  }
  entry = moved_code | all_rights;
  flush();
  // What is written with paging off is there with paging on, at the other address.
  set_cr0(cr0() & ~cr0_pg);
  memory_at(frame_b.address()) = 0x0ff;
  test_table.entries[0] = frame_b.address() | all_rights;
  set_cr0(cr0() | cr0_pg);
  line("tables changed with paging off: ", hex(memory_at(window)));
}

// A kernel that is not whole in one of two address spaces, as with page-table isolation: what is
// missing there faults, also code that has run before, and is there again in the other one.
asm(R"(
.text
.global shapes_count, shapes_count_end
shapes_count:     lea 1(%eax), %eax
                  ret
shapes_count_end:
shapes_other:     lea 2(%eax), %eax
                  ret
)");
extern "C" char shapes_count[], shapes_count_end[], shapes_other[];

u32 count_from(u32 value) {
  asm volatile("call *%1" : "+a"(value) : "r"(window) : "memory");
  return value;
}

void linger(u32 rounds) { asm volatile("1: loop 1b" : "+c"(rounds)); }

void isolated_spaces() {
  reset();
  for (u32 i = 0; i < static_cast<u32>(shapes_count_end - shapes_count); ++i) {
    *reinterpret_cast<volatile u8*>(frame_a.address() + i) = static_cast<u8>(shapes_count[i]);
    *reinterpret_cast<volatile u8*>(frame_b.address() + i) = static_cast<u8>(shapes_other[i]);
  }
  for (u32 i = 0; i < pages_of_a_table; ++i) other_directory.entries[i] = directory.entries[i];
  other_directory.entries[window >> 22] = 0;
  u32 sum = 0, faults = 0;
  for (u32 round = 0; round < 100; ++round) {
    sum = count_from(sum);
    set_cr3(other_directory.address());
    // Now and then the kernel stays there for long.
    linger(round % 10 == 0 ? 200 : 1);
    if (round % 3 == 0) faults += attempt([] { count_from(0); }).frame.vector;
    set_cr3(directory.address());
  }
  line("not there: ", sum, " faults ", faults);
  other_directory.entries[window >> 22] = other_table.address() | all_rights;
  other_table.entries[0] = frame_b.address() | all_rights;
  for (u32 round = 0; round < 100; ++round) {
    sum = count_from(sum);
    set_cr3(other_directory.address());
    linger(round % 10 == 0 ? 200 : 1);
    sum = count_from(sum);
    set_cr3(directory.address());
  }
  line("another there: ", sum);
}

// Loads of segment registers from a page that nothing else touches, whose mapping changes: an
// instruction that takes a way of its own sees the change behind INVLPG too.
void unusual_reader() {
  reset();
  directory.entries[(window >> 22) + 1] = lonely_table.address() | all_rights;
  lonely_table.entries[0] = frame_a.address() | all_rights;
  frame_a.words[0] = kernel_data;
  frame_b.words[0] = user_data;
  flush();
  for (u32 round = 0; round < 4; ++round) {
    u32 seen = 0;
    asm volatile("mov %%es:(%1), %%fs; mov %%fs, %0" : "=r"(seen) : "r"(window + 0x400000));
    print(hex(seen & 0xffff, 2), ' ');
    lonely_table.entries[0] = (round & 1 ? frame_a : frame_b).address() | all_rights;
    invlpg(window + 0x400000);
  }
  line();
}

// The GDT on such a page, for ring 3.
asm(R"(
.text
shapes_user_fs:   mov $0x6b, %eax
                  mov %eax, %fs
                  mov %fs:0, %eax
                  int $0x80
)");
extern "C" char shapes_user_fs[];

struct [[gnu::packed]] TableAddress {
  u16 limit;
  u32 base;
};

void descriptor_table_that_moves() {
  reset();
  directory.entries[(window >> 22) + 1] = lonely_table.address() | all_rights;
  lonely_table.entries[0] = frame_a.address() | all_rights;
  flush();
  TableAddress before{}, moved{};
  asm volatile("sgdt %0" : "=m"(before));
  static u32 values[2] = {0xaaaa, 0xbbbb};
  for (const Page* page : {&frame_a, &frame_b}) {
    const u32 value = reinterpret_cast<u32>(&values[page == &frame_b]);
    gdt()[13] = make_segment(value, 3, 0xf3, 4);
    for (u32 i = 0; i < (before.limit + 1u) / 4; ++i) {
      memory_at(page->address() + 4 * i) = memory_at(before.base + 4 * i);
    }
  }
  moved = {before.limit, window + 0x400000};
  asm volatile("lgdt %0" : : "m"(moved));
  UserState state;
  state.eip = reinterpret_cast<u32>(shapes_user_fs);
  state.eflags = 2 | interrupt_flag;
  for (u32 round = 0; round < 4; ++round) {
    print(hex(run_user(state).frame.eax, 4), ' ');
    lonely_table.entries[0] = (round & 1 ? frame_a : frame_b).address() | all_rights;
    invlpg(window + 0x400000);
  }
  line();
  asm volatile("lgdt %0" : : "m"(before));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);  // DPL 3
  recursive_directory_map();
  shared_table();
  two_roles();
  table_of_the_user();
  page_size_extensions();
  global_pages();
  growing_rights();
  off_and_on();
  isolated_spaces();
  unusual_reader();
  descriptor_table_that_moves();
}
