#include "run_guest.hpp"

#include <new>
#include <optional>

#include "arch/x86/host_calendar.hpp"
#include "arch/x86/host_entropy.hpp"
#include "arch/x86/image_layout.hpp"
#include "arch/x86/machine_exit.hpp"
#include "arch/x86/panic.hpp"
#include "arch/x86/vga_display.hpp"
#include "guest_disks.hpp"
#include "guest_firmware.hpp"
#include "guest_loader/guest_loader.hpp"
#include "host_report.hpp"
#include "machine_input.hpp"
#include "monitor/inspect/autopsy.hpp"
#include "monitor/inspect/format.hpp"
#include "monitor/inspect/frame_check.hpp"
#include "monitor/inspect/statistics.hpp"
#include "monitor/memory/guest_ram.hpp"
#include "monitor/monitor.hpp"
#include "monitor/slow_clock.hpp"

namespace undercroft::boot {
namespace {

constexpr std::uint32_t megabyte = 0x100000;
constexpr std::uint64_t least_guest_memory = 2 * megabyte;
// For shadow tables, the frame table and what a guest's exits need.
constexpr std::uint64_t kept_for_monitor = 24ull * megabyte;
// Of that, what stays for the frame table of the whole 4 GB while a guest runs.
constexpr std::uint32_t frames_kept_running = 2112;
// Devices stand above.
constexpr std::uint64_t most_guest_memory = 3072ull * megabyte;

// A place in the image for an object that is made when the machine runs: it has neither heap nor
// stack enough.
template <class T>
class Place {
 public:
  template <class... Arguments>
  T& make(Arguments&&... arguments) {
    return *new (storage_) T(static_cast<Arguments&&>(arguments)...);
  }

 private:
  alignas(T) std::byte storage_[sizeof(T)];
};

class SerialSink final : public CharacterSink {
 public:
  explicit SerialSink(x86::Serial& serial) : serial_(serial) {}
  void put(std::uint8_t byte) override { serial_.put(byte); }

 private:
  x86::Serial& serial_;
};

// Silent unless asked: Linux probes dozens of ports.
class ConsoleDeviceLog final : public DeviceLog {
 public:
  ConsoleDeviceLog(Console& console, bool wanted) : console_(console), wanted_(wanted) {}
  void unclaimed_read(std::uint16_t port, unsigned size) override {
    if (wanted_) {
      print(console_, "undercroft: port {x4}: nothing answers ({} bytes read)\n", port, size);
    }
  }
  void unclaimed_write(std::uint16_t port, std::uint32_t value, unsigned size) override {
    if (wanted_) {
      print(console_, "undercroft: port {x4}: nothing answers ({} bytes, {x} written)\n", port,
            size, value);
    }
  }

 private:
  Console& console_;
  bool wanted_;
};

constinit Place<MappingSlots> slots_place;
constinit Place<FramePool> pool_place;
constinit Place<DiskStore> disks_place;
constinit Place<Pc> pc_place;
constinit Place<x86::HostEntropy> entropy_place;
constinit Place<Vm> vm_place;
constinit Place<Monitor> monitor_place;
constinit Place<FrameCheck> check_place;
constinit Place<std::array<std::optional<MachineBytes>, BootInformation::max_modules>> bytes_place;

[[noreturn]] void refuse(Console& out, std::string_view what, std::string_view reason) {
  print(out, "undercroft: {}: {}\n", what, reason);
  x86::exit_machine(x86::ExitCode::boot_refused);
}

// Memory below 1 MB is left alone: firmware keeps things there.
void fill_pool(Console& out, FramePool& pool, const BootInformation& information) {
  bool fits = pool.reserve_range(HostPhysical(0), megabyte) &&
              pool.reserve_range(HostPhysical(window::image_physical), window::cache_end);
  for (unsigned i = 0; i < information.module_count; ++i) {
    const BootModule& module = information.modules[i];
    fits = fits && pool.reserve_range(module.start, module.end - module.start);
  }
  if (!fits) refuse(out, "boot modules", "too many ranges to keep");
  for (unsigned i = 0; i < information.memory_count; ++i) {
    const MemoryRange& range = information.memory[i];
    if (range.type != usable_memory || range.base >= 1ull << 32) continue;
    if (!pool.add_range(HostPhysical(static_cast<std::uint32_t>(range.base)), range.length)) {
      print(out, "undercroft: memory map: part of {x9} is left unused\n", range.base);
    }
  }
}

// The guest has been loaded from them: whole frames go back to the pool.
void free_modules(FramePool& pool, const GuestModules& own) {
  for (unsigned i = 0; i < own.count; ++i) {
    const BootModule& module = *own.modules[i];
    HostPhysical frame = module.start;
    if (frame.page_offset() != 0) frame = frame.page() + page_size;
    for (; frame < module.end && module.end - frame >= page_size; frame += page_size) {
      if (frame.value() >= megabyte) pool.free(frame);
    }
  }
}

std::uint64_t guest_memory_size(Console& out, const FramePool& pool, const Options& options) {
  const std::uint64_t free = std::uint64_t{pool.free_frames()} * page_size;
  const std::uint64_t available = free > kept_for_monitor ? free - kept_for_monitor : 0;
  std::uint64_t size = options.guest_memory != 0 ? options.guest_memory : available;
  if (size > most_guest_memory) size = most_guest_memory;
  size &= ~std::uint64_t{megabyte - 1};
  // A guest whose memory is given by need can have more than there is: cold pages are withdrawn.
  const bool by_need = options.memory == MemoryPolicy::lazy && available != 0;
  if ((size > available && !by_need) || size < least_guest_memory) {
    print(out,
          "undercroft: mem: {} MB for the guest, but {} MB are free beside the monitor's; "
          "2 MB is the least\n",
          size / megabyte, available / megabyte);
    x86::exit_machine(x86::ExitCode::boot_refused);
  }
  return size;
}

// The host's, for a guest that asks for one: it is shown where it is, so RAM must end below.
Framebuffer framebuffer_for_guest(const BootInformation& information, const Options& options,
                                  std::uint64_t ram_bytes) {
  const Framebuffer& host = information.framebuffer;
  if (!options.give_framebuffer || !host.present() || host.address < ram_bytes) return {};
  return host;
}

EntryState load(Console& out, Vm& vm, MappingSlots& slots, const BootInformation& information,
                const GuestModules& own, std::uint64_t ram_bytes, const FirmwareData& handed_on) {
  std::array<GuestModule, BootInformation::max_modules> modules{};
  auto& sources = bytes_place.make();
  for (unsigned i = 0; i < own.count; ++i) {
    const BootModule& module = *own.modules[i];
    sources[i].emplace(slots, module.start, module.end - module.start);
    modules[i] = {&*sources[i], information.text(module.command_line)};
  }
  const auto map = standard_memory_map(ram_bytes);
  LoaderRam ram(vm.memory, ram_bytes);
  const auto loaded = own.count == 0
                          ? Result<EntryState, LoadError>(start_bios())
                          : load_guest(std::span(modules).first(own.count), map, ram, handed_on);
  if (!loaded) {
    std::array<char, 200> text;
    refuse(out, "guest", describe(loaded.error(), text));
  }
  const Vcpu& entry = loaded.value().vcpu;
  print(out, "undercroft: guest: {}, {} MB, entry {x8}, screen {}\n",
        name_of(loaded.value().format), ram_bytes / megabyte, entry[Segment::cs].base + entry.eip,
        loaded.value().has_framebuffer ? "the host's framebuffer" : "VGA text");
  return loaded.value();
}

std::span<const std::byte> read_only_image() {
  const auto* const begin = reinterpret_cast<const std::byte*>(window::image_start);
  return {begin, x86::image_read_only_end};
}

// The guest's last screen stays if it has halted: there it says why.
[[noreturn]] void finish(x86::Machine& out, Monitor& monitor, const RunEnd& end) {
  if (end.kind != RunEnd::Kind::halted) out.take_screen_back();
  print_statistics(out, monitor.statistics(), monitor.shadow_counts(), monitor.cache_counts());
  switch (end.kind) {
    case RunEnd::Kind::power_off:
      print(out, "undercroft: the guest has powered off\n");
      x86::exit_machine(x86::ExitCode::powered_off);
    case RunEnd::Kind::halted:
      print(out, "undercroft: the guest has halted for ever\n");
      x86::exit_machine(x86::ExitCode::powered_off);
    case RunEnd::Kind::reset:
      print(out, "undercroft: the guest has asked for a reset\n");
      x86::exit_machine(x86::ExitCode::reset);
    case RunEnd::Kind::exit:
      print(out, "undercroft: the guest has ended the run by {x} to port 0xf4\n", end.value);
      x86::exit_machine(static_cast<std::uint8_t>(end.value));
    case RunEnd::Kind::triple_fault:
      print_autopsy(out, monitor, end);
      x86::exit_machine(x86::ExitCode::triple_fault);
    case RunEnd::Kind::stopped:
      print_autopsy(out, monitor, end);
      x86::exit_machine(x86::ExitCode::stopped);
  }
  x86::exit_machine(x86::ExitCode::stopped);
}

}  // namespace

void run_guest(x86::Machine& machine, const BootInformation& information, const Options& options) {
  if (information.module_count == 0) {
    refuse(machine, "boot modules",
           "none is there; the first must be the guest's kernel, or a disk");
  }
  auto& slots =
      slots_place.make(reinterpret_cast<std::byte*>(window::mapping_slots), machine.slot_port());
  auto& pool = pool_place.make(slots);
  fill_pool(machine, pool, information);
  auto& disks = disks_place.make(slots);
  const auto own = separate_disks(information, options, disks, pool);
  if (!own) refuse(machine, "boot modules", own.error());
  const std::uint64_t ram_bytes = guest_memory_size(machine, pool, options);

  SerialSink serial(machine.serial());
  ConsoleDeviceLog log(machine, options.log != 0);
  const PcConfiguration configuration{ram_bytes, x86::read_host_calendar(), options.machine};
  SlowClock clock(machine.timer(), options.slowness);
  auto& pc = pc_place.make(configuration, clock, serial, serial, log);
  auto& entropy = entropy_place.make();
  print_random_numbers(machine, entropy);
  pc.connect(entropy);
  if (!pc.connect(disks)) refuse(machine, "undercroft.disk", "no place is left for another disk");
  auto& vm = vm_place.make(slots, pool, pc);
  if (!vm.lay_out(ram_bytes, options.memory == MemoryPolicy::eager)) {
    refuse(machine, "mem", "not enough machine memory");
  }
  x86::VgaDisplay display(machine.screen(), slots);
  FramebufferDisplay framebuffer_display(machine.framebuffer_screen(), vm.video);
  if (machine.shows_text_mode()) {
    display.copy_font(vm.video);
  } else {
    FramebufferDisplay::copy_font(vm.video);
  }
  vm.withdrawal.set_reserve(kept_for_monitor / page_size);
  const auto firmware = give_firmware(vm, configuration, machine.cpuid(1, 0));
  if (!firmware) refuse(machine, "machine", "its firmware does not fit into its ROM");
  FirmwareData handed_on;
  if (firmware->has_acpi) handed_on.acpi_root = firmware->acpi_root;
  handed_on.framebuffer = framebuffer_for_guest(information, options, ram_bytes);
  handed_on.has_bios = options.machine == MachineKind::pc;
  handed_on.boot_16 = options.boot_16;
  const EntryState start = load(machine, vm, slots, information, own.value(), ram_bytes, handed_on);
  print(machine, "guest: one processor, {} MB, machine {}, {} disk{}\n", ram_bytes / megabyte,
        options.machine == MachineKind::pc ? "pc" : "isa", disks.disk_count(),
        plural(disks.disk_count()));
  if (start.has_framebuffer && !vm.show_framebuffer(handed_on.framebuffer)) {
    refuse(machine, "mem", "not enough machine memory");
  }
  free_modules(pool, own.value());

  MachineInput input(machine, options.keyboard);
  const MonitorOptions monitor_options{
      options.engine == Engine::interpret,
      options.window_hop,
      options.absent == Absent::fault ? AbsentMemory::faults : AbsentMemory::floats,
      options.withdraw_every,
      options.guard == Guard::exact,
      options.watchdog,
      options.user == UserMode::translate,
      options.slowness};
  GuestDisplay* guest_display = &display;
  if (!machine.shows_text_mode()) guest_display = &framebuffer_display;
  if (start.has_framebuffer) {  // it draws for itself
    machine.framebuffer_screen().give_to_guest();
    guest_display = nullptr;
  }
  const Monitor::Foundation foundation{
      machine, clock, input, vm, nullptr, x86::physical_of_offset(0), &machine, guest_display};
  auto& monitor = monitor_place.make(foundation, monitor_options);
  vm.withdrawal.set_reserve(frames_kept_running);
  FrameCheck* const check =
      options.check_frames ? &check_place.make(slots, pool, read_only_image()) : nullptr;
  const RunEnd end = monitor.run(start.vcpu);
  print_withdrawals(machine, vm.withdrawal.counts());
  if (check && !check->passes(machine, monitor.audit_shadow())) {
    print_autopsy(machine, monitor, end);
    x86::panic("check=frames: something was written that nobody may write");
  }
  give_disks_back(machine, options, disks);
  finish(machine, monitor, end);
}

}  // namespace undercroft::boot
