// A kernel that does what it can to harm whoever runs it. The command line has seed=N, rounds=N and
// the names of attacks, all if there is none. It has no twin: what counts is that Undercroft ends
// each run with a report, with nothing changed that is not the guest's (check=frames).
#include "../guests/runtime/boot.hpp"
#include "attacks.hpp"

using namespace guest;

const char* const test_name = "hostile";

extern "C" [[noreturn]] void guarded_escape();

namespace {

constexpr struct {
  const char* name;
  void (*run)();
} attacks[] = {
    {"code", attack_kernel_code},    {"user", attack_user_code},
    {"tables", attack_page_tables},  {"descriptors", attack_descriptors},
    {"ports", attack_ports},         {"spaces", attack_address_spaces},
    {"cache", attack_code_cache},    {"cpupage", attack_cpu_page},
    {"registers", attack_registers},
};
constexpr u32 attack_count = sizeof attacks / sizeof *attacks;

u32 number(const char* name, u32 otherwise) {
  const char* text = reinterpret_cast<const char*>(boot_information().command_line);
  for (; *text; ++text) {
    const char *at = text, *expected = name;
    while (*expected && *at == *expected) ++at, ++expected;
    if (*expected) continue;
    u32 value = 0;
    for (; *at >= '0' && *at <= '9'; ++at) value = value * 10 + static_cast<u32>(*at - '0');
    return value;
  }
  return otherwise;
}

// Code by chance may loop: the fifth tick ends it.
u32 ticks;
void tick(TrapFrame&) {
  out8(0x20, 0x20);
  if (wild && ++ticks % 5 == 0) guarded_escape();
}

// An attack may have left the interrupt controllers and the timer in any state.
void start_timer() {
  constexpr u8 words[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4},   {0x21, 1},    {0xa0, 0x11},
                             {0xa1, 0x28}, {0xa1, 2},    {0xa1, 1},   {0x21, 0xfe}, {0xa1, 0xff},
                             {0x43, 0x34}, {0x40, 0x9c}, {0x40, 0x2e}};
  for (const auto& word : words) out8(word[0], word[1]);
}

}  // namespace

void test() {
  random_state = number("seed=", 1) * 2654435761u | 1;
  const u32 rounds = number("rounds=", 30);
  bool chosen[attack_count], any = false;
  for (u32 i = 0; i < attack_count; ++i) any |= chosen[i] = option(attacks[i].name);
  set_handler(0x20, tick);
  for (u32 round = 0; round < rounds;) {
    const u32 i = random(attack_count);
    if (any && !chosen[i]) continue;
    start_timer();
    line("round ", round++, ": ", attacks[i].name);
    // Interrupts stay off but where code by chance runs, and are on while it does.
    const Trap trap = attempt(attacks[i].run);
    wild = false;
    if (trap.happened()) line("  ended by ", trap);
    set_cr0(cr0() & ~(cr0_pg | cr0_wp));
  }
}
