// Breakpoints armed while other things go on: on pages that code, stacks and strings use, in user
// code, behind aliases and new mappings, in another address space, and far from what runs.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "breakpoint_pages";

namespace {

Page watched, other, user_stack;
PageTable second_directory;
volatile u32 strikes, debug_status;

constexpr u32 alias = 0x00c00000;  // within the low tables, beyond the image
constexpr u32 write_4 = 0x000d0402, access_4 = 0x000f0402, execution = 0x00000402, off = 0x400;

asm(R"(
.balign 4096
p_code:      mov $3000, %ecx
             xor %eax, %eax
1:           add %ecx, %eax
             loop 1b
p_met:       nop
             ret
p_word:      pushl $7
             popl %eax
             ret
p_patched:   mov $1, %eax
             ret
p_user:      mov $3000, %ecx
1:           incl watched_word
             loop 1b
p_user_met:  int $0x80
.globl watched_word
.balign 4096
watched_word: .space 4096
)");
extern "C" char p_code[], p_met[], p_word[], p_patched[], p_user[], p_user_met[];
extern "C" volatile u32 watched_word[];

void arm(const volatile void* address, u32 dr7) {
  asm volatile("mov %0, %%dr0" : : "r"(address));
  asm volatile("mov %0, %%dr7" : : "r"(dr7) : "memory");
}
void disarm() { asm volatile("mov %0, %%dr7" : : "r"(off) : "memory"); }

void count(TrapFrame&) {
  strikes = strikes + 1;
  u32 status;
  asm volatile("mov %%dr6, %0" : "=r"(status));
  debug_status = debug_status | status;
  asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0));
}

// How often the breakpoint strikes while `code` runs.
template <class Code>
void strikes_of(const char* name, const volatile void* address, u32 dr7, Code code) {
  strikes = 0;
  debug_status = 0;
  arm(address, dr7);
  code();
  disarm();
  line(name, ": ", strikes, " dr6 ", hex(debug_status & 0xe00f, 4));
}

u32 call(const char* function) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(function) : "ecx", "edx", "memory");
  return result;
}

void neighbours() {
  strikes_of("words beside it", &watched.words[5], write_4, [] {
    for (u32 i = 0; i < 3000; ++i) watched.words[4] = watched.words[6] + i;
  });
  strikes_of("every third time", &watched.words[5], write_4, [] {
    for (u32 i = 0; i < 30; ++i) watched.words[3 + i % 3] = i;
  });
  strikes_of("a string over it", &watched.words[5], write_4, [] {
    u32 to = watched.address(), words = 64;
    asm volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(9) : "memory");
  });
  strikes_of("a string from it", &watched.words[5], access_4, [] {
    u32 from = watched.address(), to = other.address(), words = 64;
    asm volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
  });
  line("copied: ", other.words[5]);
}

// A stack with the breakpoint at its third word: calls, flags and an interrupt frame use it.
void stacks() {
  const auto on_the_page = [](const char* name, u32 word, const char* function) {
    strikes_of(name, &watched.words[word], write_4, [&] {
      asm volatile("mov %%esp, %%ebx; mov %0, %%esp; pushf; popf; call *%1; mov %%ebx, %%esp"
                   :
                   : "r"(&watched.words[8]), "r"(function)
                   : "eax", "ebx", "ecx", "memory");
    });
  };
  on_the_page("pushf and call", 7, p_word);
  on_the_page("push in the function", 6, p_word);
  on_the_page("below", 5, p_word);
}

void code() {
  set_handler(1, nullptr);
  arm(p_met, execution);
  const Trap met = attempt([] { call(p_code); });
  disarm();
  line("in a function: vector ", met.frame.vector, " at +", met.frame.eip - address_of(p_met),
       " sum ", met.frame.eax);
  set_handler(1, count);
  strikes_of("a neighbour of it", p_met, execution, [] { call(p_word); });
  line("then: ", call(p_code), ' ', call(p_patched));
  arm(p_met, execution);
  p_patched[1] = 2;
  line("patched while armed: ", call(p_patched));
  disarm();
  p_patched[1] = 3;
  line("patched again: ", call(p_patched));
  strikes_of("far away", &other.words[9], write_4, [] {
    for (u32 i = 0; i < 300; ++i) call(p_code);
  });
}

void mappings() {
  volatile u32& entry = low[alias >> 22].entries[alias >> 12 & 0x3ff];
  const auto map = [&entry](u32 value) {
    entry = value;
    invlpg(alias);
  };
  volatile u32* const word = &memory_at(alias + 20);
  map(watched.address() | all_rights);
  strikes_of("by another address", &watched.words[5], write_4, [&] { *word = 1; });
  strikes_of("at the alias", word, write_4, [&] { *word = *word + 1; });
  strikes_of("with a new frame", word, write_4, [&] {
    *word = 2;
    map(other.address() | all_rights);
    *word = 3;
    map(watched.address() | present | user);
    line("read-only: ", *word);
    map(0);
    line("not there: ", attempt([&] { *word = 4; }));
    map(watched.address() | all_rights);
    *word = 5;
  });
  line("words: ", watched.words[5], ' ', other.words[5]);
  for (u32 i = 0; i < pages_of_a_table; ++i) second_directory.entries[i] = directory.entries[i];
  *word = 6;
  strikes_of("in another space", word, write_4, [&] {
    set_cr3(second_directory.address());
    *word = 7;
    set_cr3(directory.address());
    *word = 8;
  });
  set_cr3(second_directory.address());
  *word = 9;
  set_cr3(directory.address());
  strikes_of("in one that knew the page", word, write_4, [&] {
    set_cr3(second_directory.address());
    *word = 10;
    set_cr3(directory.address());
  });
}

void user_mode() {
  const auto run = [](const char* name) {
    UserState state;
    state.eip = address_of(p_user);
    state.esp = user_stack.address() + 0x800;
    state.eflags = 2 | interrupt_flag;
    const Trap trap = run_user(state);
    line(name, ": vector ", trap.frame.vector, " at +", trap.frame.eip - address_of(p_user_met),
         " left ", trap.frame.ecx, " word ", watched_word[0], " strikes ", strikes);
  };
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);
  strikes = 0;
  watched_word[0] = 0;
  run("free");
  arm(&watched_word[1], write_4);
  run("beside its data");
  arm(&watched_word[0], write_4);
  run("on its data");
  set_handler(1, nullptr);
  arm(p_user_met, execution);
  run("on its code");
  disarm();
  run("free again");
}

}  // namespace

void test() {
  map_low_memory();
  low[0].entries[address_of(p_code) >> 12] = address_of(p_code) | all_rights;
  enable_paging();
  set_handler(1, count);
  neighbours();
  stacks();
  code();
  mappings();
  user_mode();
}
