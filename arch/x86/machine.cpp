#include "machine.hpp"

#include "image_layout.hpp"
#include "instructions.hpp"
#include "monitor/vcpu.hpp"
#include "nexus.hpp"
#include "panic.hpp"

namespace undercroft::x86 {
namespace {

constinit Machine the_machine;

constexpr std::uint32_t msr_sysenter_cs = 0x174;
constexpr std::uint32_t fixed_cr0 =
    cr0::paging | cr0::write_protect | cr0::extension_type | cr0::protection_enable |
    cr0::numeric_error;  // an x87 error is to reach the monitor, whoever is told then
constexpr std::uint32_t guest_cr0_bits =
    cr0::task_switched | cr0::emulation | cr0::monitor_coprocessor | cr0::alignment_mask;

// CPUID leaf 1 and 7 feature bits (SDM volume 2, CPUID).
constexpr std::uint32_t leaf1_edx_sep = 1u << 11;
constexpr std::uint32_t leaf1_edx_pge = 1u << 13;
constexpr std::uint32_t leaf1_edx_pat = 1u << 16;
constexpr std::uint32_t leaf1_edx_fxsr = 1u << 24;
constexpr std::uint32_t leaf1_edx_sse = 1u << 25;
constexpr std::uint32_t leaf7_ecx_umip = 1u << 2;

// The memory type of PWT alone is write-combining here, instead of write-through; the others are as
// at reset (SDM volume 3, 12.12.4).
constexpr std::uint32_t msr_pat = 0x277;
constexpr std::uint32_t pat_low = 0x00070106, pat_high = 0x00070406;

// CPUID that faults above ring 0 (SDM volume 3, 17.19 "CPUID faulting"; volume 4, table 2-2).
constexpr std::uint32_t msr_platform_info = 0xce;
constexpr std::uint32_t platform_info_cpuid_faulting = 1u << 31;
constexpr std::uint32_t msr_misc_features_enables = 0x140;
constexpr std::uint32_t enable_cpuid_faulting = 1u << 0;

}  // namespace

Machine& machine() { return the_machine; }

void Machine::build_window() {
  paging_.build();
  tables_.build(paging_.monitor_root());
}

void Machine::initialise(const MachineFacts& facts) {
  paging_.enable();
  tables_.load(base_);
  load_root(paging_.monitor_root());
  initialise_processor();
  serial_.initialise();
  if (facts.framebuffer.present()) {
    framebuffer_screen_.initialise(facts.framebuffer);
  } else {
    screen_.initialise();
  }
  set_panic_console(*this);
  local_apic_.initialise(paging_);
  hpet_.initialise(paging_, facts.hpet);
  keyboard_.initialise();
  // In this order: what the firmware's timer has left pending is forgotten with the ICW1.
  timer_.calibrate(facts.power_timer);
  initialise_interrupts();
}

// What the firmware's devices had asked for comes before any of the lines is unmasked.
void Machine::initialise_interrupts() {
  interrupts_.initialise();
  forgetting_ = true;
  for (unsigned i = 0; i < 16; ++i) allow_interrupts();
  forgetting_ = false;
  interrupts_.unmask(Serial::irq);
  interrupts_.unmask(Keyboard::irq);
  interrupts_.unmask(Keyboard::mouse_irq);
}

bool Machine::forget_interrupt() {
  if (forgetting_) local_apic_.end_of_interrupt();
  return forgetting_;
}

bool Machine::select_timer(AlarmSource source) {
  if (source == AlarmSource::none ? !timer_.select_any() : !timer_.select(source)) return false;
  if (timer_.alarm_source() != AlarmSource::apic) interrupts_.unmask(HostTimer::irq);
  return true;
}

void Machine::initialise_processor() {
  write_cr0(cr0_ = fixed_cr0);
  const CpuidLeaf highest = cpuid(0, 0);
  const CpuidLeaf features = cpuid(1, 0);
  if (features.edx & leaf1_edx_pge) cr4_fixed_ = cr4::page_global_enable;
  cr4_offered_ = cr4::time_stamp_disable;
  if (features.edx & leaf1_edx_fxsr) cr4_offered_ |= cr4::os_fxsr;
  if (features.edx & leaf1_edx_sse) cr4_offered_ |= cr4::os_simd_exceptions;
  if (highest.eax >= 7 && (cpuid(7, 0).ecx & leaf7_ecx_umip)) {
    cr4_fixed_ |= cr4::user_mode_instruction_prevention;
  }
  write_cr4(cr4_ = cr4_fixed_);
  if (read_msr_or_zero(msr_platform_info) & platform_info_cpuid_faulting) {
    write_msr(msr_misc_features_enables, enable_cpuid_faulting, 0);
  }
  if (features.edx & leaf1_edx_pat) write_msr(msr_pat, pat_low, pat_high);
  // SYSENTER raises #GP(0) while the selector is null (SDM volume 2, SYSENTER).
  if (features.edx & leaf1_edx_sep) write_msr(msr_sysenter_cs, 0, 0);
}

void Machine::enter(GuestContext& context) { enter_guest(&context); }

void Machine::load_root(HostPhysical root) { write_cr3(root.value()); }

void Machine::flush_page(HostLinear address) { invalidate_linear(address.value()); }

void Machine::flush_all() {
  if (cr4_ & cr4::page_global_enable) {
    write_cr4(cr4_ & ~cr4::page_global_enable);
    write_cr4(cr4_);
  } else {
    write_cr3(read_cr3());
  }
}

// Offsets stay what they are, so stack and pointers need nothing.
void Machine::move_window(HostLinear base) {
  if (base == base_) return;
  const HostLinear old = base_;
  paging_.map_window(base);
  flush_all();
  tables_.load(base);
  base_ = base;
  paging_.unmap_window(old);
  flush_all();
}

// Control register writes are slow; most calls change nothing.
void Machine::set_guest_controls(std::uint32_t guest_cr0, std::uint32_t guest_cr4) {
  const std::uint32_t new_cr0 = fixed_cr0 | (guest_cr0 & guest_cr0_bits);
  const std::uint32_t new_cr4 = cr4_fixed_ | (guest_cr4 & cr4_offered_);
  if (new_cr0 != cr0_) write_cr0(new_cr0);
  if (new_cr4 != cr4_) write_cr4(new_cr4);
  cr0_ = new_cr0;
  cr4_ = new_cr4;
}

std::uint64_t Machine::time_stamp() { return read_time_stamp(); }

std::uint32_t Machine::take_debug_status() { return take_dr6(); }

CpuidLeaf Machine::cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  std::uint32_t registers[4];
  read_cpuid(leaf, subleaf, registers);
  return {registers[0], registers[1], registers[2], registers[3]};
}

void Machine::acknowledge_interrupt(unsigned line) {
  interrupts_handled_ = interrupts_handled_ + 1;
  if (line == LocalApic::timer_line) return local_apic_.end_of_interrupt();
  if (line >= HostInterrupts::lines) return;  // the APIC's spurious one, which has no end
  if (line == Serial::irq) serial_.handle_interrupt();
  if (line == Keyboard::irq || line == Keyboard::mouse_irq) keyboard_.handle_interrupt();
  interrupts_.end(line);
}

void Machine::wait_for_interrupt() { halt_until_interrupt(); }

bool Machine::poll_interrupts() {
  const std::uint32_t before = interrupts_handled_;
  allow_interrupts();
  return interrupts_handled_ != before;
}

void Machine::take_screen_back() {
  if (framebuffer_screen_.active()) return framebuffer_screen_.take_back();
  screen_.take_back();
}

void Machine::write(std::string_view text) {
  serial_.write(text);
  if (framebuffer_screen_.active()) return framebuffer_screen_.write(text);
  screen_.write(text);
}

}  // namespace undercroft::x86
