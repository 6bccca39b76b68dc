// The machine under the monitor: implements Processor and Console, and owns
// everything else that is hardware. There is one.
#pragma once

#include "framebuffer_screen.hpp"
#include "host_interrupts.hpp"
#include "host_paging.hpp"
#include "host_tables.hpp"
#include "host_timer.hpp"
#include "hpet.hpp"
#include "keyboard.hpp"
#include "local_apic.hpp"
#include "monitor/ports.hpp"
#include "monitor/processor.hpp"
#include "screen.hpp"
#include "serial.hpp"

namespace undercroft::x86 {

// What the boot information and the ACPI tables say of the machine; zero is: nothing.
struct MachineFacts {
  Framebuffer framebuffer{};
  std::uint32_t hpet = 0;         // physical address
  std::uint16_t power_timer = 0;  // port
};

class Machine final : public Processor, public Console {
 public:
  // With paging off, from the boot code: builds the window.
  void build_window();
  // Moves into the window; then devices, clock and console. After this the machine is complete.
  // Messages are shown on the framebuffer, if there is one, else as VGA text.
  void initialise(const MachineFacts&);

  void enter(GuestContext&) override;
  void load_root(HostPhysical root) override;
  HostPhysical monitor_root() const override { return paging_.monitor_root(); }
  void flush_page(HostLinear) override;
  void flush_all() override;
  HostLinear window_base() const override { return base_; }
  std::uint32_t window_entry(View view) const override { return paging_.window_entry(view); }
  void move_window(HostLinear base) override;
  void show_cache_to_user(bool shown) override { paging_.show_cache_to_user(shown); }
  std::span<std::uint64_t, 8192> gdt_image(View view) override { return gdt_storage(view); }
  std::span<std::uint64_t, 8192> ldt_image(View view) override { return ldt_storage(view); }
  void set_ldt_entries(unsigned count) override { tables_.set_ldt_entries(base_, count); }
  void set_guest_controls(std::uint32_t guest_cr0, std::uint32_t guest_cr4) override;
  std::uint64_t time_stamp() override;
  std::uint32_t take_debug_status() override;
  CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) override;
  void acknowledge_interrupt(unsigned line) override;
  void wait_for_interrupt() override;
  bool poll_interrupts() override;
  void set_alarm(std::uint64_t nanoseconds) override { timer_.set_alarm(nanoseconds); }

  void write(std::string_view text) override;

  // Which timer raises the alarms from now on; false if there is no such. none: any.
  bool select_timer(AlarmSource);
  // Whether the interrupt is a leftover of the firmware's; it is ended then.
  bool forget_interrupt();

  SlotPort& slot_port() { return paging_; }
  HostTimer& timer() { return timer_; }
  Serial& serial() { return serial_; }
  Keyboard& keyboard() { return keyboard_; }
  const LocalApic& local_apic() const { return local_apic_; }
  const Hpet& hpet() const { return hpet_; }
  Screen& screen() { return screen_; }
  // The screen is a VGA in text mode, and no framebuffer.
  bool shows_text_mode() const { return !framebuffer_screen_.active(); }
  FramebufferScreen& framebuffer_screen() { return framebuffer_screen_; }
  // The monitor's messages are shown again, whatever the guest has shown.
  void take_screen_back();

 private:
  void initialise_processor();
  void initialise_interrupts();

  HostPaging paging_;
  HostTables tables_;
  HostInterrupts interrupts_;
  LocalApic local_apic_;
  Hpet hpet_;
  HostTimer timer_{hpet_, local_apic_};
  Serial serial_;
  Keyboard keyboard_;
  Screen screen_;
  FramebufferScreen framebuffer_screen_{paging_};
  HostLinear base_ = HostPaging::default_base;
  std::uint32_t cr0_ = 0, cr4_ = 0;  // what the registers hold
  std::uint32_t interrupts_handled_ = 0;
  bool forgetting_ = false;
  // Global pages, if the processor has them. User code run directly must not see the monitor's
  // registers, so SGDT and its kin trap if the processor can do that, and CPUID does.
  std::uint32_t cr4_fixed_ = 0;
  std::uint32_t cr4_offered_ = 0;  // of the bits that a guest may have, those the processor knows
};

// Trap handlers have no other way to find it.
Machine& machine();

}  // namespace undercroft::x86
