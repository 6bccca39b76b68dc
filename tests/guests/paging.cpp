// Page tables: every combination of rights on both levels, accessed and dirty bits, error codes,
// large pages, faults in the middle of an instruction, changes of live tables.
#include "runtime/paging.hpp"

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "paging";

namespace {

constexpr u32 window = 0x40000000;        // 4 KB pages of test_table
constexpr u32 large_window = 0x40400000;  // one large page
constexpr u32 large_frame = 0x800000;
PageTable test_table, other_table, other_directory;
Page frame_a, frame_b;

volatile u32& window_entry() { return directory.entries[window >> 22]; }
volatile u32& large_entry() { return directory.entries[large_window >> 22]; }
void flush() { set_cr3(directory.address()); }

// What ring 3 runs; each ends in INT 80h.
asm(R"(
.text
user_read:        mov 0x40000010, %eax
                  int $0x80
user_write:       movl $1, 0x40000010
                  int $0x80
user_read_large:  mov 0x40400010, %eax
                  int $0x80
user_write_large: movl $1, 0x40400010
                  int $0x80
user_push:        push %eax
                  int $0x80
user_done:        int $0x80
)");
extern "C" char user_read[], user_write[], user_read_large[], user_write_large[], user_push[];

Trap in_ring_3(const char* code, u32 stack = 0) {
  UserState state;
  state.eip = reinterpret_cast<u32>(code);
  state.eflags = 2 | interrupt_flag;
  state.esp = stack;
  return run_user(state);
}

// One access each way: supervisor read, write, user read, write.
Trap access(unsigned kind, u32 base) {
  const bool is_large = base == large_window;
  switch (kind) {
    case 0:
      return attempt([=] { load(base + 0x10); });
    case 1:
      return attempt([=] { memory_at(base + 0x10) = 1; });
    case 2:
      return in_ring_3(is_large ? user_read_large : user_read);
    default:
      return in_ring_3(is_large ? user_write_large : user_write);
  }
}

// '.' if it was allowed, else the error code's digit; '?' for anything unexpected.
char outcome(const Trap& trap, u32 base) {
  if (!trap.happened() || trap.frame.vector == 0x80) return '.';
  if (trap.frame.vector != 14 || trap.cr2 != base + 0x10) return '?';
  return static_cast<char>('0' + (trap.frame.error & 15));
}

void set_write_protect(bool on) { set_cr0(on ? cr0() | cr0_wp : cr0() & ~cr0_wp); }

void small_page_rights() {
  line("4 KB pages: for PTE 0 to 7, supervisor read and write, user read and write:");
  // Whether a walk that faults marks the entries it passed is the processor's choice: not printed.
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
          const u32 entry = test_table.entries[0];
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
  line("4 MB pages: for PDE 0 to 7 error code, or '.' with A + 2 D");
  set_cr4(cr4() | cr4_pse);
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
  memory_at(large_window + 0x345678) = 0x1234abcd;
  line("4 MB page offset: ", hex(memory_at(large_frame + 0x345678)));
  set_write_protect(true);
}

void reset_window() {
  window_entry() = test_table.address() | all_rights;
  for (u32 i = 0; i < 16; ++i) test_table.entries[i] = 0;
  test_table.entries[0] = frame_a.address() | all_rights;
  test_table.entries[1] = frame_b.address() | all_rights;
  flush();
}

void faults_inside_instructions() {
  reset_window();
  test_table.entries[1] = 0;
  frame_a.words[1023] = 0x5a5a5a5a;
  line("write across into nothing: ", attempt([] { memory_at(window + 0xffe) = 0; }));
  line("  first page keeps ", hex(frame_a.words[1023]));
  line("read across into nothing: ", attempt([] { load(window + 0xffd); }));
  line("read modify write: ", attempt([] {
         test_table.entries[0] = frame_a.address() | present | user;
         invlpg(window);
         asm volatile("incl 0x40000020" : : : "memory");
       }));

  reset_window();
  test_table.entries[1] = 0;
  for (u32 i = 0; i < 16; ++i) frame_a.words[1008 + i] = 0;
  const Trap copy = attempt([] {
    u32 count = 32, to = window + 0xfc0, from = frame_b.address();
    asm volatile("rep movsl" : "+c"(count), "+D"(to), "+S"(from) : : "memory");
  });
  line("rep movs: ", copy);
  line("  left ", copy.frame.ecx, " to ", hex(copy.frame.edi), " from +",
       copy.frame.esi - frame_b.address());

  test_table.entries[0] = 0;
  flush();
  line("fetch from nothing: ", attempt([] { asm volatile("call *%0" : : "r"(window)); }));
  line("fetch by ring 3: ", in_ring_3(reinterpret_cast<char*>(window)));
  line("push by ring 3: ", in_ring_3(user_push, window + 0x1000));
}

void changes_of_live_tables() {
  reset_window();
  frame_a.words[4] = 0xaaaaaaaa;
  frame_b.words[4] = 0xbbbbbbbb;
  line("mapped a: ", hex(memory_at(window + 0x10)), " b: ", hex(memory_at(window + 0x1010)));
  test_table.entries[0] = frame_b.address() | all_rights;
  invlpg(window);
  line("remapped: ", hex(memory_at(window + 0x10)));
  // Nothing not present is ever cached: no flush is needed (SDM volume 3, 4.10.4.3).
  line("not yet: ", attempt([] { load(window + 0x2010); }));
  test_table.entries[2] = frame_a.address() | all_rights;
  line("now: ", hex(memory_at(window + 0x2010)));
  // The table edited through a mapping of itself.
  test_table.entries[3] = test_table.address() | all_rights;
  memory_at(window + 0x3000 + 4 * 4) = frame_a.address() | all_rights;
  line("through itself: ", hex(memory_at(window + 0x4010)));
  memory_at(window + 0x3000 + 4 * 4) = frame_b.address() | all_rights;
  invlpg(window + 0x4000);
  line("and again: ", hex(memory_at(window + 0x4010)));
  // Another table below the same directory entry.
  other_table.entries[0] = frame_a.address() | all_rights;
  window_entry() = other_table.address() | all_rights;
  flush();
  line("other table: ", hex(memory_at(window + 0x10)));
  line("beyond it: ", attempt([] { load(window + 0x1010); }));
}

void two_address_spaces() {
  reset_window();
  for (u32 i = 0; i < pages_of_a_table; ++i) other_directory.entries[i] = directory.entries[i];
  other_table.entries[0] = frame_b.address() | all_rights;
  other_directory.entries[window >> 22] = other_table.address() | all_rights;
  u32 sum = 0;
  for (u32 round = 0; round < 200; ++round) {
    frame_a.words[4] = round;
    frame_b.words[4] = 1000 * round;
    set_cr3(directory.address());
    sum += memory_at(window + 0x10);
    set_cr3(other_directory.address());
    sum += 3 * memory_at(window + 0x10);
  }
  set_cr3(directory.address());
  line("200 switches: ", sum);
}

void paging_off_and_on() {
  reset_window();
  memory_at(window) = 0xfeedf00d;
  set_cr0(cr0() & ~cr0_pg);
  line("paging off: ", hex(memory_at(frame_a.address())));
  set_cr0(cr0() | cr0_pg);
  line("paging on: ", hex(memory_at(window)));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);  // DPL 3
  small_page_rights();
  large_page_rights();
  faults_inside_instructions();
  changes_of_live_tables();
  two_address_spaces();
  paging_off_and_on();
}
