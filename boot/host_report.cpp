#include "host_report.hpp"

#include "monitor/inspect/format.hpp"

namespace undercroft::boot {
namespace {

constexpr std::uint64_t megabyte = 1u << 20, four_gigabytes = 1ull << 32;

std::string_view name_of(x86::AlarmSource source) {
  switch (source) {
    case x86::AlarmSource::none:
      return "none";
    case x86::AlarmSource::pit:
      return "8254";
    case x86::AlarmSource::hpet:
      return "HPET";
    case x86::AlarmSource::apic:
      return "local APIC";
  }
  return {};
}

std::string_view word(bool there) { return there ? "yes" : "no"; }

void print_processor(x86::Machine& machine, const HostAcpi& acpi) {
  const CpuidLeaf vendor = machine.cpuid(0, 0);
  const std::uint32_t words[3] = {vendor.ebx, vendor.edx, vendor.ecx};
  print(machine, "host: processor {} {x8}, {} MHz",
        std::string_view(reinterpret_cast<const char*>(words), 12), machine.cpuid(1, 0).eax,
        machine.timer().frequency() / 1000000);
  if (acpi.processors > 1) print(machine, "; {} more stay parked", acpi.processors - 1);
  print(machine, "\n");
}

void print_memory(Console& out, const BootInformation& information, bool everything) {
  std::uint64_t below = 0, above = 0;
  for (unsigned i = 0; i < information.memory_count; ++i) {
    const MemoryRange& range = information.memory[i];
    if (everything) {
      print(out, "memory {x9} to {x9} type {}\n", range.base, range.base + range.length,
            range.type);
    }
    if (range.type == usable_memory) (range.base < four_gigabytes ? below : above) += range.length;
  }
  print(out, "host: memory {} MB in {} ranges", below / megabyte, information.memory_count);
  if (above != 0) print(out, "; {} MB above 4 GB stay unused", above / megabyte);
  print(out, "\n");
}

void print_devices(x86::Machine& machine, const HostAcpi& acpi) {
  print(machine, "host: timer {}; 8254 {}, HPET {}, local APIC {}, ACPI tables {}\n",
        name_of(machine.timer().alarm_source()), word(machine.timer().has_pit()),
        word(machine.hpet().present()), word(machine.local_apic().present()), word(acpi.found));
}

void print_screen(x86::Machine& machine, const Framebuffer& framebuffer) {
  print(machine, "host: serial line {}, keyboard controller {}, screen ",
        word(machine.serial().present()), word(x86::Keyboard::controller_present()));
  if (framebuffer.present()) {
    print(machine, "{} by {} by {} bits at {x8}\n", framebuffer.width, framebuffer.height,
          unsigned{framebuffer.bits_per_pixel}, framebuffer.address);
  } else {
    print(machine, "VGA text\n");
  }
}

}  // namespace

void print_host(x86::Machine& machine, const BootInformation& information, const HostAcpi& acpi,
                bool everything) {
  print_processor(machine, acpi);
  print_memory(machine, information, everything);
  print_devices(machine, acpi);
  print_screen(machine, information.framebuffer);
  for (unsigned i = 0; i < information.module_count; ++i) {
    const BootModule& module = information.modules[i];
    print(machine, "module {} to {}: {}\n", module.start, module.end,
          information.text(module.command_line));
  }
}

}  // namespace undercroft::boot
