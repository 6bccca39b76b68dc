// Wires everything together: boot information, ACPI tables, options, machine, monitor. The only
// file that knows all of them.
#include "arch/x86/image_layout.hpp"
#include "arch/x86/machine.hpp"
#include "arch/x86/machine_exit.hpp"
#include "boot_information.hpp"
#include "host_acpi.hpp"
#include "host_report.hpp"
#include "monitor/inspect/format.hpp"
#include "options.hpp"
#include "run_guest.hpp"
#include "selftest.hpp"

namespace undercroft::boot {
namespace {

constinit BootInformation information;

// With paging off and segments based at image_physical.
class UnpagedReader final : public PhysicalReader {
 public:
  std::uint8_t byte(std::uint32_t address) const override {
    return *reinterpret_cast<const volatile std::uint8_t*>(address - window::image_physical);
  }
};

x86::AlarmSource source_of(HostTimerKind kind) {
  switch (kind) {
    case HostTimerKind::any:
      return x86::AlarmSource::none;
    case HostTimerKind::pit:
      return x86::AlarmSource::pit;
    case HostTimerKind::apic:
      return x86::AlarmSource::apic;
    case HostTimerKind::hpet:
      return x86::AlarmSource::hpet;
  }
  return x86::AlarmSource::none;
}

[[noreturn]] void refuse(Console& out, std::string_view what, std::string_view reason) {
  print(out, "undercroft: {}: {}\n", what, reason);
  x86::exit_machine(x86::ExitCode::boot_refused);
}

}  // namespace

// From boot.S, before paging.
extern "C" [[noreturn]] void start(std::uint32_t magic, std::uint32_t address) {
  x86::Machine& machine = x86::machine();
  const auto read = read_boot_information(UnpagedReader(), magic, address, information);
  const HostAcpi acpi = read_host_acpi(UnpagedReader(), information.acpi_root_pointer);
  machine.build_window();
  machine.initialise({information.framebuffer, acpi.hpet, acpi.power_timer});

  print(machine, "Undercroft\n");
  if (!read.ok()) refuse(machine, "boot information", read.error());
  const auto options = parse_options(information.text(information.command_line));
  if (machine.timer().frequency() == 0) refuse(machine, "timer", "nothing counts on this machine");
  const bool has_timer = machine.select_timer(options.ok() ? source_of(options.value().timer)
                                                           : x86::AlarmSource::none);
  print_host(machine, information, acpi, options.ok() && options.value().log != 0);
  if (!options.ok()) refuse(machine, options.error().word, options.error().reason);
  if (!has_timer) refuse(machine, "timer", "this machine has no such timer that works");
  if (options.value().window) machine.move_window(*options.value().window);

  const SelfTestKind test = options.value().selftest;
  if (test != SelfTestKind::none) run_selftest(machine, test);
  run_guest(machine, information, options.value());
}

}  // namespace undercroft::boot
