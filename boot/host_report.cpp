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

// The name that the processor gives itself, where it has one (CPUID leaves 0x80000002 to
// 0x80000004): 48 characters, perhaps with blanks before them and zeros behind.
void print_brand(x86::Machine& machine) {
  constexpr std::uint32_t first = 0x80000002, last = 0x80000004;
  if (machine.cpuid(0x80000000, 0).eax < last) return;
  CpuidLeaf words[3];
  for (std::uint32_t leaf = first; leaf <= last; ++leaf) {
    words[leaf - first] = machine.cpuid(leaf, 0);
  }
  std::string_view name(reinterpret_cast<const char*>(words), sizeof words);
  name = name.substr(0, name.find('\0'));
  while (name.starts_with(' ')) name.remove_prefix(1);
  if (!name.empty()) print(machine, " ({})", name);
}

void print_processor(x86::Machine& machine, const HostAcpi& acpi) {
  const CpuidLeaf vendor = machine.cpuid(0, 0);
  const std::uint32_t words[3] = {vendor.ebx, vendor.edx, vendor.ecx};
  print(machine, "host: processor {} {x}",
        std::string_view(reinterpret_cast<const char*>(words), 12), machine.cpuid(1, 0).eax);
  print_brand(machine);
  print(machine, ", {} MHz", machine.timer().frequency() / 1000000);
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
  const bool has_serial_line = machine.serial().present();
  print(machine, "host: serial line {}, keyboard controller {}, screen ", word(has_serial_line),
        word(x86::Keyboard::controller_present()));
  if (framebuffer.present()) {
    print(machine, "{}x{}x{} at {x8}\n", framebuffer.width, framebuffer.height,
          unsigned{framebuffer.bits_per_pixel}, framebuffer.address);
  } else {
    print(machine, "VGA text\n");
  }
  if (!has_serial_line) {
    print(machine,
          "host: what the guest writes to its serial line is lost (for Linux here: "
          "console=tty0)\n");
  }
}

void print_modules(Console& out, const BootInformation& information) {
  for (unsigned i = 0; i < information.module_count; ++i) {
    const BootModule& module = information.modules[i];
    print(out, "module {} at {}, {} KB: {}\n", i, module.start,
          (module.end - module.start + 1023) / 1024, information.text(module.command_line));
  }
}

}  // namespace

void print_host(x86::Machine& machine, const BootInformation& information, const HostAcpi& acpi,
                bool everything) {
  print_processor(machine, acpi);
  print_memory(machine, information, everything);
  print_devices(machine, acpi);
  print_screen(machine, information.framebuffer);
  print_modules(machine, information);
}

void print_random_numbers(Console& out, const x86::HostEntropy& entropy) {
  if (entropy.has_random_numbers()) {
    print(out, "host: random numbers of the processor's\n");
  } else if (entropy.samples_of_a_key() != 0) {
    print(out, "host: no random numbers of the processor's; {} measured times are worth 256 bits\n",
          entropy.samples_of_a_key());
  } else {
    print(out, "host: no random numbers: what the guest's entropy device gives can be foretold\n");
  }
}

}  // namespace undercroft::boot
