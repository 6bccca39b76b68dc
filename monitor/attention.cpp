// A guest that keeps the processor does not keep the monitor: commands typed after a BREAK on the
// host's serial line, and the watchdog. Both are looked at whenever a host interrupt or a port
// access has come back from the guest, whatever its own IF says.
#include "inspect/autopsy.hpp"
#include "inspect/format.hpp"
#include "monitor.hpp"

namespace undercroft {

namespace {

constexpr std::uint64_t nanoseconds_per_second = 1000000000;

}  // namespace

void Monitor::obey(char command) {
  if (!console_) return;
  switch (command) {
    case 's':
      print_statistics(*console_, statistics_, shadow_.counts(), cache_.counts());
      return print_withdrawals(*console_, vm_.withdrawal.counts());
    case 'r':
      console_->write("\nundercroft: the guest stands here\n");
      return print_state(*console_, *this);
    case 'w':
      console_->write("\nundercroft: taking back cold frames\n");
      while (!vm_.withdrawal.sweep(page_size)) {
      }
      return print_withdrawals(*console_, vm_.withdrawal.counts());
    case 'x':
      return end_run(RunEnd::Kind::stopped, "somebody asked for it on the console");
    default:
      return console_->write(
          "\nundercroft: after a BREAK: s statistics, r registers, w withdraw cold frames, x stop "
          "the "
          "guest with a report\n");
  }
}

void Monitor::watch_the_guest(std::uint64_t now) {
  if (options_.watchdog == 0) return;
  if (last_interrupt_ == 0 || statistics_.delivered_interrupts != interrupts_counted_) {
    interrupts_counted_ = statistics_.delivered_interrupts;
    last_interrupt_ = now;
  } else if (now - last_interrupt_ > options_.watchdog * nanoseconds_per_second) {
    end_run(RunEnd::Kind::stopped, "the watchdog: the guest has taken no interrupt for so long");
  }
}

}  // namespace undercroft
