// Runs the random sequences of its boot module, one after the other, each in the sandbox and each
// to the exception that ends it.
#include <cstddef>

#include "memory.hpp"
#include "processor.hpp"
#include "report.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "v86_monitor.hpp"

const char* const test_name = "random";

namespace sandbox {

State sequence_state;
Entry sequence_entry;

static_assert(offsetof(State, es) == 0x24 && offsetof(State, cr0) == 0x3c &&
              offsetof(State, by_task) == 0x44);
static_assert(offsetof(Entry, es) == 0x20 && offsetof(Entry, eip) == 0x38 &&
              offsetof(Entry, far_target) == 0x40 && offsetof(Entry, far_stack) == 0x48);

namespace {

void run(const Sequence& sequence) {
  memory::prepare(sequence);
  processor::prepare(sequence);
  processor::enter(sequence);
  processor::regain();
  memory::look(sequence);
  processor::look(sequence_state);
  for (u32 times = 0; times < v86_monitor::most_times; ++times) {
    if (!v86_monitor::served(sequence, sequence_state)) break;
    processor::enter_again(sequence, sequence_state);
    processor::regain();
    memory::look(sequence);
    processor::look(sequence_state);
  }
  report(sequence, sequence_state);
  memory::restore(sequence);
}

}  // namespace
}  // namespace sandbox

void test() {
  using namespace guest;
  struct Module {
    u32 begin, end, words, reserved;
  };
  const BootInformation& information = boot_information();
  check(information.module_count == 1, "one module");
  const Module module = *reinterpret_cast<const Module*>(information.modules);
  check(module.begin >= 0x100000 && module.end <= sandbox::base, "module below the sandbox");
  sandbox::memory::make();
  sandbox::processor::make();
  const auto* sequence = reinterpret_cast<const sandbox::Sequence*>(module.begin);
  const auto* end = reinterpret_cast<const sandbox::Sequence*>(module.end);
  for (; sequence < end; ++sequence) sandbox::run(*sequence);
}
