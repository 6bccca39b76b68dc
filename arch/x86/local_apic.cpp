#include "local_apic.hpp"

#include "instructions.hpp"
#include "monitor/processor.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint32_t leaf1_edx_apic = 1u << 9;
constexpr std::uint32_t msr_apic_base = 0x1b;
constexpr std::uint64_t base_enabled = 1u << 11, base_x2apic = 1u << 10;
constexpr std::uint64_t base_address = 0xffffff000;

// Offsets of the registers (table 11-1).
enum Register : std::uint32_t {
  version = 0x030,
  task_priority = 0x080,
  end_of_interrupt_register = 0x0b0,
  spurious_vector = 0x0f0,
  in_service = 0x100,  // eight, 16 bytes apart
  lvt_timer = 0x320,
  lvt_thermal = 0x330,
  lvt_performance = 0x340,
  lvt_pin_0 = 0x350,
  lvt_pin_1 = 0x360,
  lvt_error = 0x370,
  initial_count = 0x380,
  current_count = 0x390,
  divide = 0x3e0,
};

constexpr std::uint32_t masked = 1u << 16, nmi = 4u << 8, external = 7u << 8;
constexpr std::uint32_t software_enable = 1u << 8;
constexpr std::uint32_t divide_by_16 = 3;

volatile std::uint32_t& at(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(window::local_apic + offset);
}

// What the firmware has not ended would hold others back.
void end_what_is_in_service() {
  for (unsigned i = 0; i < 256; ++i) {
    std::uint32_t any = 0;
    for (unsigned word = 0; word < 8; ++word) any |= at(in_service + word * 16);
    if (any == 0) return;
    at(end_of_interrupt_register) = 0;
  }
}

}  // namespace

void LocalApic::initialise(HostPaging& paging) {
  std::uint32_t leaf[4];
  read_cpuid(1, 0, leaf);
  if (!(leaf[3] & leaf1_edx_apic)) return;
  std::uint64_t base = read_msr_or_zero(msr_apic_base);
  if (!(base & base_enabled) || (base & base_address) >> 32) return;
  if (base & base_x2apic) {  // back to registers in memory, by way of off (11.12.5)
    const auto high = static_cast<std::uint32_t>(base >> 32);
    const auto low = static_cast<std::uint32_t>(base & ~(base_enabled | base_x2apic));
    write_msr(msr_apic_base, low, high);
    write_msr(msr_apic_base, low | static_cast<std::uint32_t>(base_enabled), high);
    base = read_msr(msr_apic_base);
  }
  paging.show_device(window::local_apic,
                     HostPhysical(static_cast<std::uint32_t>(base & base_address)));
  present_ = true;
  at(spurious_vector) = software_enable | (host_interrupt_base + spurious_line);
  at(lvt_timer) = masked;
  const std::uint32_t last = at(version) >> 16 & 0xff;  // of the local vector table
  if (last >= 4) at(lvt_performance) = masked;
  if (last >= 5) at(lvt_thermal) = masked;
  at(lvt_error) = masked;
  at(lvt_pin_0) = external;
  at(lvt_pin_1) = nmi;
  at(task_priority) = 0;
  end_what_is_in_service();
}

void LocalApic::end_of_interrupt() {
  if (present_) at(end_of_interrupt_register) = 0;
}

void LocalApic::start_timer(std::uint32_t count) {
  at(divide) = divide_by_16;
  at(lvt_timer) = host_interrupt_base + timer_line;
  at(initial_count) = count;
}

std::uint32_t LocalApic::timer_count() const { return at(current_count); }

}  // namespace undercroft::x86
