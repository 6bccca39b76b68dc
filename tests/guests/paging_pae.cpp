// PAE: three-level tables. Rights at both levels with 4 KB and 2 MB pages, accessed and dirty bits,
// error codes, reserved bits, memory above 4 GB, changes of live tables, pointers, address spaces,
// switching between the modes.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "paging_pae";

namespace {

constexpr u32 window = 0x40000000;        // 4 KB pages of test_table
constexpr u32 large_window = 0x40200000;  // one 2 MB page: the other entry of the same 4 MB
constexpr u32 large_frame = 0x800000;
constexpr u32 cr4_pae = 0x20;
constexpr u32 entries_of_a_table = 512;

struct alignas(4096) PaeTable {
  volatile u64 entries[entries_of_a_table];
  u32 address() const { return reinterpret_cast<u32>(this); }
};
struct alignas(32) PointerTable {
  volatile u64 entries[4];
  u32 address() const { return reinterpret_cast<u32>(this); }
};
PointerTable pointers, other_pointers;
PaeTable low_directory, test_directory, other_directory, test_table, other_table;
Page frame_a, frame_b;

volatile u64& window_entry() { return test_directory.entries[0]; }
volatile u64& large_entry() { return test_directory.entries[1]; }
void flush() { set_cr3(pointers.address()); }

asm(R"(
.text
pae_user_read:        mov 0x40000010, %eax
                      int $0x80
pae_user_write:       movl $1, 0x40000010
                      int $0x80
pae_user_read_large:  mov 0x40200010, %eax
                      int $0x80
pae_user_write_large: movl $1, 0x40200010
                      int $0x80
)");
extern "C" char pae_user_read[], pae_user_write[], pae_user_read_large[], pae_user_write_large[];

Trap in_ring_3(const char* code) {
  UserState state;
  state.eip = reinterpret_cast<u32>(code);
  state.eflags = 2 | interrupt_flag;
  return run_user(state);
}

// Supervisor read, write, user read, write.
Trap access(unsigned kind, u32 base) {
  const bool is_large = base == large_window;
  switch (kind) {
    case 0:
      return attempt([=] { load(base + 0x10); });
    case 1:
      return attempt([=] { memory_at(base + 0x10) = 1; });
    case 2:
      return in_ring_3(is_large ? pae_user_read_large : pae_user_read);
    default:
      return in_ring_3(is_large ? pae_user_write_large : pae_user_write);
  }
}

// The word "exact": also what the manual demands and TCG does not do.
bool exact;

// '.' if it was allowed, else the error code's digit; '?' for anything unexpected. TCG forgets P
// beside RSVD.
char outcome(const Trap& trap, u32 base) {
  if (!trap.happened() || trap.frame.vector == 0x80) return '.';
  if (trap.frame.vector != 14 || trap.cr2 != base + 0x10) return '?';
  const u32 error = trap.frame.error & (exact || !(trap.frame.error & 8) ? 15 : 14);
  return static_cast<char>(error < 10 ? '0' + error : 'a' + error - 10);
}

void set_write_protect(bool on) { set_cr0(on ? cr0() | cr0_wp : cr0() & ~cr0_wp); }

void map_low() {
  for (u32 i = 0; i < 8; ++i) {
    low_directory.entries[i] = u64{i} << 21 | large | all_rights;
  }
  pointers.entries[0] = low_directory.address() | present;
  pointers.entries[1] = test_directory.address() | present;
}

void enter() {
  set_cr4(cr4() | cr4_pae);
  set_cr3(pointers.address());
  set_cr0(cr0() | cr0_pg);
}

void small_page_rights() {
  line("4 KB pages: for PTE 0 to 7, supervisor read and write, user read and write:");
  line("error code, or '.' with A of the PDE + 2 A + 4 D of the PTE");
  for (unsigned protect = 0; protect < 2; ++protect) {
    set_write_protect(protect);
    for (u32 upper = 0; upper < 8; ++upper) {
      print("wp ", protect, " pde ", upper, ':');
      for (u32 lower = 0; lower < 8; ++lower) {
        put(' ');
        for (unsigned kind = 0; kind < 4; ++kind) {
          window_entry() = test_table.address() | upper;
          test_table.entries[0] = frame_a.address() | lower;
          flush();
          const char result = outcome(access(kind, window), window);
          put(result);
          const u64 entry = test_table.entries[0];
          if (result != '.') continue;
          put((window_entry() & accessed ? 1 : 0) + (entry & accessed ? 2 : 0) +
              (entry & dirty ? 4 : 0));
        }
      }
      put('\n');
    }
  }
}

void large_page_rights() {
  line("2 MB pages: for PDE 0 to 7 error code, or '.' with A + 2 D");
  for (unsigned protect = 0; protect < 2; ++protect) {
    set_write_protect(protect);
    print("wp ", protect, ':');
    for (u32 rights = 0; rights < 8; ++rights) {
      put(' ');
      for (unsigned kind = 0; kind < 4; ++kind) {
        large_entry() = large_frame | large | rights;
        flush();
        const char result = outcome(access(kind, large_window), large_window);
        put(result);
        if (result == '.')
          put((large_entry() & accessed ? 1 : 0) + (large_entry() & dirty ? 2 : 0));
      }
    }
    put('\n');
  }
  large_entry() = large_frame | large | all_rights;
  flush();
  memory_at(large_window + 0x145678) = 0x1234abcd;
  line("2 MB page offset: ", hex(memory_at(large_frame + 0x145678)));
  large_entry() = 0;
}

void reset_window() {
  window_entry() = test_table.address() | all_rights;
  for (u32 i = 0; i < 16; ++i) test_table.entries[i] = 0;
  test_table.entries[0] = frame_a.address() | all_rights;
  test_table.entries[1] = frame_b.address() | all_rights;
  flush();
}

// From bit 40 on, in each entry: Bochs has that many bits of physical address in every processor.
constexpr unsigned first_reserved = 40;

void reserved_bits() {
  reset_window();
  print("reserved in PTE:");
  for (unsigned bit = first_reserved; bit < 64; ++bit) {
    test_table.entries[0] = frame_a.address() | all_rights | u64{1} << bit;
    flush();
    put(' ');
    for (unsigned kind = 0; kind < 4; ++kind) put(outcome(access(kind, window), window));
  }
  line();
  test_table.entries[0] = frame_a.address() | all_rights;
  print("in PDE:");
  for (unsigned bit = first_reserved; bit < 64; ++bit) {
    window_entry() = test_table.address() | all_rights | u64{1} << bit;
    flush();
    put(' ');
    for (unsigned kind = 0; kind < 4; ++kind) put(outcome(access(kind, window), window));
  }
  line();
  print("in a large PDE:");
  for (unsigned bit = 13; bit < 64; ++bit) {
    if (bit == 21) bit = first_reserved;
    large_entry() = large_frame | large | all_rights | u64{1} << bit;
    flush();
    put(' ');
    for (unsigned kind = 0; kind < 4; ++kind)
      put(outcome(access(kind, large_window), large_window));
  }
  line();
  large_entry() = 0;
  window_entry() = test_table.address() | writable | u64{1} << 40;
  flush();
  line("not present with a reserved bit: ", attempt([] { load(window); }));
  window_entry() = test_table.address() | all_rights;
}

// TCG reads zeros from memory above 4 GB, and its tables below.
void above_4_gb() {
  reset_window();
  test_table.entries[0] = u64{1} << 32 | frame_a.address() | all_rights;
  frame_a.words[0] = 0x11111111;
  flush();
  line("page above 4 GB: ", hex(memory_at(window)));
  memory_at(window) = 0x22222222;
  line("written there: ", hex(memory_at(window)), " below: ", hex(frame_a.words[0]), " A and D ",
       hex(static_cast<u32>(test_table.entries[0]) & 0x60, 2));
  test_table.entries[0] = frame_a.address() | all_rights;
  window_entry() = u64{1} << 33 | test_table.address() | all_rights;
  flush();
  line("table above 4 GB: ", attempt([] { load(window); }));
  reset_window();
}

void changes_of_live_tables() {
  reset_window();
  frame_a.words[4] = 0xaaaaaaaa;
  frame_b.words[4] = 0xbbbbbbbb;
  line("mapped a: ", hex(memory_at(window + 0x10)), " b: ", hex(memory_at(window + 0x1010)));
  test_table.entries[0] = frame_b.address() | all_rights;
  invlpg(window);
  line("remapped: ", hex(memory_at(window + 0x10)));
  line("not yet: ", attempt([] { load(window + 0x2010); }));
  test_table.entries[2] = frame_a.address() | all_rights;
  line("now: ", hex(memory_at(window + 0x2010)));
  // The table edited through a mapping of itself, which is made by the first write through it.
  test_table.entries[3] = test_table.address() | all_rights;
  memory_at(window + 0x3000 + 4 * 8) = frame_a.address() | all_rights;
  memory_at(window + 0x3000 + 4 * 8 + 4) = 0;
  line("through itself: ", hex(memory_at(window + 0x4010)));
  memory_at(window + 0x3000 + 4 * 8) = frame_b.address() | all_rights;
  invlpg(window + 0x4000);
  line("and again: ", hex(memory_at(window + 0x4010)));
  // Recursive: an entry of the directory names the directory.
  test_directory.entries[511] = test_directory.address() | all_rights;
  flush();
  const u32 tables = window | 511u << 21;
  const u32 seen = memory_at(tables), entry = static_cast<u32>(test_table.entries[0]);
  line("table by recursion: ", seen == entry ? "same" : "other");
  memory_at(tables + 5 * 8) = frame_a.address() | all_rights;
  line("mapped by recursion: ", hex(memory_at(window + 0x5010)));
  memory_at(tables | 511u << 12) = other_table.address() | all_rights;  // the directory's entry 0
  other_table.entries[0] = frame_a.address() | all_rights;
  flush();
  line("another table: ", hex(memory_at(window + 0x10)), ' ',
       attempt([] { load(window + 0x1010); }));
  test_directory.entries[511] = 0;
  reset_window();
}

void pointers_and_spaces() {
  reset_window();
  for (u32 i = 0; i < 4; ++i) other_pointers.entries[i] = pointers.entries[i];
  other_pointers.entries[1] = other_directory.address() | present;
  other_directory.entries[0] = other_table.address() | all_rights;
  other_table.entries[0] = frame_b.address() | all_rights;
  u32 sum = 0;
  for (u32 round = 0; round < 200; ++round) {
    frame_a.words[4] = round;
    frame_b.words[4] = 1000 * round;
    set_cr3(pointers.address());
    sum += memory_at(window + 0x10);
    set_cr3(other_pointers.address());
    sum += 3 * memory_at(window + 0x10);
  }
  set_cr3(pointers.address());
  line("200 switches: ", sum);
  // The same directory by another pointer, then another directory by the same one.
  pointers.entries[2] = test_directory.address() | present;
  flush();
  memory_at(0x80000010) = 0x5eed;
  line("second pointer: ", hex(memory_at(window + 0x10)));
  pointers.entries[2] = other_directory.address() | present;
  flush();
  frame_b.words[4] = 0xb0b;
  line("changed pointer: ", hex(memory_at(0x80000010)));
  pointers.entries[2] = 0;
  flush();
  line("no pointer: ", attempt([] { load(0x80000010); }));
}

// TCG does not latch them.
void latched_pointers() {
  pointers.entries[2] = other_directory.address() | present;
  line("not loaded yet: ", attempt([] { load(0x80000010); }));
  flush();
  line("loaded: ", hex(memory_at(0x80000010)));
  for (unsigned bit = 1; bit < 64; ++bit) {
    if (bit == 36) bit = first_reserved;
    other_pointers.entries[3] = test_directory.address() | present | u64{1} << bit;
    const Trap trap = attempt([] { set_cr3(other_pointers.address()); });
    set_cr3(pointers.address());
    if (trap.happened()) line("pointer bit ", bit, ": ", trap);
  }
  other_pointers.entries[3] = 0;
}

u32 mode() { return (cr4() & cr4_pae ? 2 : 0) + (cr0() & cr0_pg ? 1 : 0); }

void switching_modes() {
  reset_window();
  memory_at(window) = 0xfeedf00d;
  set_cr0(cr0() & ~cr0_pg);
  line("paging off ", mode(), ": ", hex(frame_a.words[0]));
  set_cr0(cr0() | cr0_pg);
  line("on ", mode(), ": ", hex(memory_at(window)));
  map_low_memory();
  directory.entries[window >> 22] = low[0].address() | all_rights;
  for (u32 round = 0; round < 3; ++round) {
    set_cr0(cr0() & ~cr0_pg);
    set_cr4(cr4() & ~cr4_pae);
    set_cr3(directory.address());
    set_cr0(cr0() | cr0_pg);
    low[0].entries[0] = (round & 1 ? frame_a : frame_b).address() | all_rights;
    invlpg(window);
    frame_b.words[0] = 0xb000 + round;
    line("two levels ", mode(), ": ", hex(memory_at(window)));
    set_cr0(cr0() & ~cr0_pg);
    enter();
    line("three ", mode(), ": ", hex(memory_at(window)));
  }
}

// One table in both modes at once: what is a 32-bit entry's neighbour is an upper word.
void one_frame_in_both_modes() {
  set_cr0(cr0() & ~cr0_pg);
  for (u32 i = 0; i < entries_of_a_table; ++i) test_table.entries[i] = 0;
  directory.entries[window >> 22] = test_table.address() | all_rights;
  test_table.entries[0] = frame_a.address() | all_rights;
  frame_a.words[0] = 0xa;
  frame_b.words[0] = 0xb;
  set_cr4(cr4() & ~cr4_pae);
  set_cr3(directory.address());
  set_cr0(cr0() | cr0_pg);
  line("as 32-bit table: ", hex(memory_at(window)), ' ', attempt([] { load(window + 0x1000); }));
  test_table.entries[1] = frame_b.address() | all_rights;
  line("entry 2 of it: ", hex(memory_at(window + 0x2000)));
  set_cr0(cr0() & ~cr0_pg);
  enter();
  line("as 64-bit table: ", hex(memory_at(window)), ' ', hex(memory_at(window + 0x1000)));
}

}  // namespace

void test() {
  u32 eax = 1, ebx, ecx = 0, edx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  check(edx & 0x40, "CPUID offers PAE");
  exact = option("exact");
  map_low();
  enter();
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);  // DPL 3
  small_page_rights();
  large_page_rights();
  set_write_protect(true);
  reserved_bits();
  if (exact) above_4_gb();
  changes_of_live_tables();
  pointers_and_spaces();
  if (exact) latched_pointers();
  switching_modes();
  one_frame_in_both_modes();
}
