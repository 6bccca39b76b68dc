#include "translator_processor.hpp"

#include <asm/ldt.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "monitor/window_layout.hpp"

namespace undercroft::test {
namespace {

enum class Phase { idle, enter, running };

// Signal handlers reach their state only so.
volatile Phase phase = Phase::idle;
CacheRegisters registers_in_cache;
bool step_in_cache;
CacheTrap trap_seen;
gregset_t suspended;
std::uint32_t own_gs, flat_data, flat_code;

constexpr std::uint32_t trap_flag = 1u << 8;
constexpr std::uint32_t cache_selector = 0x07, page_selector = 0x0f;  // the LDT's, RPL 3
constexpr std::array<int, 8> general_index = {REG_EAX, REG_ECX, REG_EDX, REG_EBX,
                                              REG_ESP, REG_EBP, REG_ESI, REG_EDI};

greg_t selector_of(FlatSegment segment) {
  switch (segment) {
    case FlatSegment::null:
      return 0;
    case FlatSegment::data:
      return static_cast<greg_t>(flat_data);
    case FlatSegment::code:
      return static_cast<greg_t>(flat_code);
  }
  return 0;
}

void load(gregset_t& to) {
  const CacheRegisters& from = registers_in_cache;
  for (unsigned i = 0; i < 8; ++i) to[general_index[i]] = static_cast<greg_t>(from.general[i]);
  to[REG_EIP] = static_cast<greg_t>(from.eip);
  to[REG_EFL] = static_cast<greg_t>(from.eflags | (step_in_cache ? trap_flag : 0));
  to[REG_CS] = cache_selector;
  to[REG_GS] = page_selector;
  to[REG_ES] = selector_of(from.es);
  to[REG_DS] = selector_of(from.ds);
  to[REG_FS] = selector_of(from.fs);
}

void store(const gregset_t& from) {
  CacheRegisters& to = registers_in_cache;
  for (unsigned i = 0; i < 8; ++i) {
    to.general[i] = static_cast<std::uint32_t>(from[general_index[i]]);
  }
  to.eip = static_cast<std::uint32_t>(from[REG_EIP]);
  to.eflags = static_cast<std::uint32_t>(from[REG_EFL]) & ~trap_flag;
}

void on_signal(int number, siginfo_t*, void* context_pointer) {
  // The C library's thread pointer is in GS: nothing of it works before this.
  asm volatile("mov %0, %%gs" ::"r"(own_gs) : "memory");
  auto& context = *static_cast<ucontext_t*>(context_pointer);
  gregset_t& registers = context.uc_mcontext.gregs;
  switch (phase) {
    case Phase::enter:
      std::memcpy(suspended, registers, sizeof suspended);
      load(registers);
      phase = Phase::running;
      return;
    case Phase::running:
      store(registers);
      trap_seen = {static_cast<unsigned>(registers[REG_TRAPNO]),
                   static_cast<std::uint32_t>(context.uc_mcontext.cr2)};
      std::memcpy(registers, suspended, sizeof suspended);
      phase = Phase::idle;
      return;
    case Phase::idle:
      std::fprintf(stderr, "signal %d outside a test run\n", number);
      std::abort();
  }
}

bool add_segment(unsigned index, const void* base, std::uint32_t limit, bool code) {
  user_desc segment{};
  segment.entry_number = index;
  segment.base_addr = reinterpret_cast<std::uintptr_t>(base);
  segment.limit = code ? limit / page_size : limit;
  segment.limit_in_pages = code;
  segment.seg_32bit = 1;
  segment.contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA;
  segment.useable = 1;
  return syscall(SYS_modify_ldt, 0x11, &segment, sizeof segment) == 0;
}

}  // namespace

TranslatorProcessor::TranslatorProcessor(const void* window, VirtualCpuPage& page) {
  static std::array<std::uint8_t, 64 * 1024> stack;
  stack_t alternate{stack.data(), 0, stack.size()};
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  bool ok = sigaltstack(&alternate, nullptr) == 0;
  for (int number : {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    ok = ok && sigaction(number, &action, nullptr) == 0;
  }
  if (!ok) {
    std::perror("translator processor");
    std::abort();
  }
  asm("mov %%gs, %0\n mov %%ds, %1\n mov %%cs, %2"
      : "=r"(own_gs), "=r"(flat_data), "=r"(flat_code));
  ready_ = add_segment(0, window, window::cache_end - 1, true) &&
           add_segment(1, &page, page_mask, false);
}

CacheTrap TranslatorProcessor::enter(CacheRegisters& registers, bool step) {
  registers_in_cache = registers;
  step_in_cache = step;
  phase = Phase::enter;
  // A return from a signal leaves ID and NT as they are.
  constexpr std::uint32_t identification = 1u << 21;
  asm volatile("pushl %0\n popfl\n int3" ::"r"(0x202 | (registers.eflags & identification))
               : "memory", "cc");
  registers = registers_in_cache;
  return trap_seen;
}

}  // namespace undercroft::test
