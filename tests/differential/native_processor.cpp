#include "native_processor.hpp"

#include <asm/ldt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace undercroft::test {

namespace {

enum class Phase { idle, enter, running };

// Signal handlers reach their state only so.
volatile Phase phase = Phase::idle;
NativeState wanted;
NativeOutcome seen;
gregset_t suspended;
std::uint16_t wanted_cs;

constexpr std::uint32_t trap_flag = 1u << 8;
constexpr std::array<int, 8> general_index = {REG_EAX, REG_ECX, REG_EDX, REG_EBX,
                                              REG_ESP, REG_EBP, REG_ESI, REG_EDI};

void load_wanted(gregset_t& registers) {
  for (unsigned i = 0; i < 8; ++i) {
    registers[general_index[i]] = static_cast<greg_t>(wanted.general[i]);
  }
  registers[REG_EIP] = static_cast<greg_t>(wanted.eip);
  registers[REG_EFL] = static_cast<greg_t>(wanted.eflags | trap_flag);
  registers[REG_CS] = wanted_cs;
  registers[REG_DS] = wanted.ds;
  registers[REG_ES] = wanted.es;
}

void store_seen(const gregset_t& registers, std::uint32_t cr2) {
  for (unsigned i = 0; i < 8; ++i) {
    seen.state.general[i] = static_cast<std::uint32_t>(registers[general_index[i]]);
  }
  seen.state.eip = static_cast<std::uint32_t>(registers[REG_EIP]);
  seen.state.eflags = static_cast<std::uint32_t>(registers[REG_EFL]);
  seen.state.ds = static_cast<std::uint16_t>(registers[REG_DS]);
  seen.state.es = static_cast<std::uint16_t>(registers[REG_ES]);
  const auto vector = static_cast<Vector>(registers[REG_TRAPNO]);
  if (vector == Vector::debug) {
    seen.exception.reset();
    return;
  }
  Exception exception = Exception::without_code(vector);
  exception.has_error_code = vector == Vector::double_fault ||
                             (vector >= Vector::invalid_tss && vector <= Vector::page_fault) ||
                             vector == Vector::alignment_check;
  if (exception.has_error_code) exception.error_code = static_cast<unsigned>(registers[REG_ERR]);
  if (vector == Vector::page_fault) exception.fault_address = GuestLinear(cr2);
  seen.exception = exception;
}

void on_signal(int number, siginfo_t*, void* context_pointer) {
  auto& context = *static_cast<ucontext_t*>(context_pointer);
  gregset_t& registers = context.uc_mcontext.gregs;
  switch (phase) {
    case Phase::enter:
      std::memcpy(suspended, registers, sizeof suspended);
      load_wanted(registers);
      phase = Phase::running;
      return;
    case Phase::running:
      store_seen(registers, static_cast<std::uint32_t>(context.uc_mcontext.cr2));
      std::memcpy(registers, suspended, sizeof suspended);
      phase = Phase::idle;
      return;
    case Phase::idle:
      std::fprintf(stderr, "signal %d outside a test run\n", number);
      std::abort();
  }
}

}  // namespace

NativeProcessor::NativeProcessor() {
  void* page = mmap(reinterpret_cast<void*>(code_page), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
  static std::array<std::uint8_t, 64 * 1024> stack;
  stack_t alternate{stack.data(), 0, stack.size()};
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  // Nothing is masked, so that a fault in the handler is seen as such.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  bool ok = page != MAP_FAILED && sigaltstack(&alternate, nullptr) == 0;
  for (int number : {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    ok = ok && sigaction(number, &action, nullptr) == 0;
  }
  if (!ok) {
    std::perror("native processor");
    std::abort();
  }
  user_desc small{};
  small.entry_number = 0;
  small.base_addr = code_page;
  small.limit = 0xffff;
  small.contents = MODIFY_LDT_CONTENTS_CODE;
  constexpr std::uint16_t first_ldt_selector = 7;
  if (syscall(SYS_modify_ldt, 1, &small, sizeof small) == 0) small_code_ = first_ldt_selector;
  asm("mov %%cs, %0\n mov %%ss, %1\n mov %%ds, %2\n mov %%fs, %3\n mov %%gs, %4"
      : "=r"(cs_), "=r"(ss_), "=r"(ds_), "=r"(fs_), "=r"(gs_));
}

NativeOutcome NativeProcessor::run(const NativeState& state, std::span<const std::uint8_t> bytes) {
  const std::uint32_t base = state.code_is_16_bit ? code_page : 0;
  std::memcpy(reinterpret_cast<void*>(base + state.eip), bytes.data(), bytes.size());
  wanted = state;
  wanted_cs = state.code_is_16_bit ? small_code_ : cs_;
  phase = Phase::enter;
  // A return from a signal leaves NT and ID as they are: clean them of the run before.
  asm volatile("pushl %0\n popfl\n int3" ::"i"(0x202) : "memory", "cc");
  return seen;
}

}  // namespace undercroft::test
