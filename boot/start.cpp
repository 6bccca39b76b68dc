// Wires everything together: boot information, options, machine, monitor. The only file that knows
// all of them.
#include "arch/x86/image_layout.hpp"
#include "arch/x86/machine.hpp"
#include "arch/x86/machine_exit.hpp"
#include "boot_information.hpp"
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

void print_machine(x86::Machine& machine) {
  const CpuidLeaf vendor = machine.cpuid(0, 0);
  const std::uint32_t words[3] = {vendor.ebx, vendor.edx, vendor.ecx};
  print(machine, "processor {} {x8}, {} MHz\n",
        std::string_view(reinterpret_cast<const char*>(words), 12), machine.cpuid(1, 0).eax,
        machine.timer().frequency() / 1000000);
}

void print_information(Console& out) {
  for (unsigned i = 0; i < information.memory_count; ++i) {
    const MemoryRange& range = information.memory[i];
    print(out, "memory {x9} to {x9} type {}\n", range.base, range.base + range.length, range.type);
  }
  for (unsigned i = 0; i < information.module_count; ++i) {
    const BootModule& module = information.modules[i];
    print(out, "module {} to {}: {}\n", module.start, module.end,
          information.text(module.command_line));
  }
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
  machine.build_window();
  machine.initialise(information.framebuffer);

  print(machine, "Undercroft\n");
  if (!read.ok()) refuse(machine, "boot information", read.error());
  print_machine(machine);
  print_information(machine);
  const auto options = parse_options(information.text(information.command_line));
  if (!options.ok()) refuse(machine, options.error().word, options.error().reason);
  if (options.value().window) machine.move_window(*options.value().window);

  const SelfTestKind test = options.value().selftest;
  if (test != SelfTestKind::none) run_selftest(machine, test);
  run_guest(machine, information, options.value());
}

}  // namespace undercroft::boot
