// How the PC's interrupts reach the processor: lines into the 8259 and the I/O APIC, the 8259's
// output into the local APIC, and what of the two the processor takes. And when things happen by
// themselves.
#include <algorithm>

#include "pc.hpp"
#include "pc_lines.hpp"

namespace undercroft {

using namespace pc_lines;

// A new control word or count ends what the last one had left over. Where channel 0's output is low
// afterwards (mode 0), its request is withdrawn.
void Pc::write_timer(unsigned offset, std::uint8_t value) {
  state_.timer.write(offset, value, now_);
  const bool latches_only = offset == 3 && (value >= 0xc0 || (value & 0x30) == 0);
  const bool channel_0 = offset == 0 || (offset == 3 && value < 0x40);
  if (latches_only || !channel_0) return;
  state_.late_ticks.forget();
  if (!state_.timer.interrupt_line(now_)) set_irq(irq_timer, false);
  timer_ticked();
  update_deadlines();
}

void Pc::timer_ticked() {
  const std::uint32_t ticks = state_.timer.take_interrupts(now_);
  if (ticks != 0 && !state_.hpet.replaces_legacy()) give_ticks(ticks);
}

void Pc::give_ticks(std::uint32_t ticks) {
  const bool masked = state_.interrupts.masked(irq_timer) && state_.io_apic.masked(timer_pin);
  if (masked || (ticks == 1 && !state_.late_ticks.any())) return pulse_timer();
  const std::uint64_t next = state_.hpet.replaces_legacy() ? state_.hpet.next_deadline()
                                                           : state_.timer.next_deadline(now_);
  if (state_.late_ticks.came(ticks, takes_a_tick(), now_, next)) pulse_timer();
}

void Pc::give_late_tick() {
  if (now_ < state_.late_ticks.next_deadline()) return;
  if (state_.late_ticks.take(now_, takes_a_tick())) pulse_timer();
}

void Pc::pulse_timer() {
  state_.interrupts.pulse(irq_timer);
  state_.io_apic.pulse(timer_pin, state_.local_apic);
}

// Where a timer of the HPET is; those that replace the 8254 and the clock are where these are.
std::uint8_t Pc::hpet_pin(unsigned timer) const {
  if (state_.hpet.replaces_legacy() && timer == 0) return timer_pin;
  if (state_.hpet.replaces_legacy() && timer == 1) return irq_clock;
  return static_cast<std::uint8_t>(state_.hpet.route(timer));
}

void Pc::give_hpet_edges(unsigned timer, std::uint32_t edges) {
  const bool legacy = state_.hpet.replaces_legacy();
  if (legacy && timer == 0) return give_ticks(edges);
  if (legacy && timer == 1) state_.interrupts.pulse(irq_clock);
  state_.io_apic.pulse(hpet_pin(timer), state_.local_apic);
}

// A level goes to the I/O APIC only: what the 8259 has from an HPET are edges.
void Pc::update_hpet() {
  for (unsigned timer = 0; timer < Hpet::timer_count; ++timer) {
    if (const std::uint32_t edges = state_.hpet.take_edges(timer)) give_hpet_edges(timer, edges);
    std::uint8_t& held = state_.hpet_pins[timer];
    const std::uint8_t pin = state_.hpet.level(timer) ? hpet_pin(timer) : PcState::no_pin;
    if (pin == held) continue;
    if (held != PcState::no_pin) state_.io_apic.set_pin(held, false, state_.local_apic);
    if (pin != PcState::no_pin) state_.io_apic.set_pin(pin, true, state_.local_apic);
    held = pin;
  }
}

// Whether the timer's interrupt has a way to the guest, and none waits or is in service there.
bool Pc::takes_a_tick() const {
  const bool by_8259 = !state_.interrupts.masked(irq_timer);
  const bool by_apic = !state_.io_apic.masked(timer_pin);
  if (by_8259 && state_.interrupts.busy(irq_timer)) return false;
  if (by_apic && state_.local_apic.busy(state_.io_apic.vector(timer_pin))) return false;
  return by_8259 || by_apic;
}

// Drives an ISA line, 0 to 15 without the cascade's 2. Callers may repeat themselves.
void Pc::set_irq(unsigned line, bool high) {
  state_.interrupts.set_line(line, high);
  const unsigned pin = line == irq_timer ? timer_pin : line;
  state_.io_apic.set_pin(pin, high, state_.local_apic);
}

// Devices that hold their line for as long as they have something to say.
void Pc::update_lines() {
  set_irq(irq_keyboard, state_.keyboard.interrupt_line());
  set_irq(irq_serial, state_.serial.interrupt_line());
  if (!state_.hpet.replaces_legacy()) set_irq(irq_clock, state_.clock.interrupt_line());
  set_irq(irq_mouse, state_.keyboard.auxiliary_interrupt_line());
  set_irq(irq_fpu, state_.fpu_error);
  set_irq(irq_acpi, state_.power.interrupt_line(now_));
  if (state_.pci_lines != state_.pci.interrupt_lines()) update_pci_lines();
  update_external();
}

// The 8259's output is a pin of both APICs. As long as they pass its vector on they need not hear
// of it.
void Pc::update_external() {
  const bool high = state_.interrupts.pending();
  state_.local_apic.set_pin(0, high);
  state_.io_apic.set_pin(external_pin, high, state_.local_apic);
}

void Pc::update_deadlines() {
  timer_deadline_ = std::min(state_.timer.next_deadline(now_), state_.late_ticks.next_deadline());
  clock_deadline_ = state_.clock.next_deadline(now_);
  acpi_deadline_ = state_.power.next_deadline(now_);
}

std::uint64_t Pc::next_deadline() const {
  return std::min({timer_deadline_, clock_deadline_, acpi_deadline_, state_.serial.next_deadline(),
                   state_.virtio.next_deadline(), state_.local_apic.next_deadline(),
                   state_.hpet.next_deadline()});
}

void Pc::advance(std::uint64_t now) {
  now_ = std::max(now, now_);
  needs_service_ = false;
  if (now_ < next_deadline()) return;
  timer_ticked();
  state_.clock.advance(now_);
  state_.serial.advance(now_);
  state_.virtio.advance(state_.pci, surroundings());
  state_.local_apic.advance(now_);
  state_.hpet.advance(now_);
  update_hpet();
  give_late_tick();
  update_deadlines();
  update_lines();
}

// Whether the 8259 is heard by the processor: without an APIC, by LINT0 or by the I/O APIC.
bool Pc::external_is_heard() const {
  return state_.local_apic.takes_external() || state_.io_apic.passes_external(state_.local_apic);
}

bool Pc::interrupt_pending() const {
  return state_.local_apic.interrupt_pending() ||
         (state_.interrupts.pending() && external_is_heard());
}

// What comes of the 8259 has no priority, and goes first.
std::uint8_t Pc::acknowledge_interrupt() {
  const bool external = external_is_heard() &&
                        (state_.interrupts.pending() || !state_.local_apic.interrupt_pending());
  const std::uint8_t vector =
      external ? state_.interrupts.acknowledge() : state_.local_apic.acknowledge();
  update_external();
  return vector;
}

bool Pc::nmi_pending() const { return state_.local_apic.nmi_pending(); }

void Pc::take_nmi() { state_.local_apic.take_nmi(); }

bool Pc::nmi_may_come() const {
  return state_.local_apic.external_gives_nmi() || state_.io_apic.gives_nmi();
}

}  // namespace undercroft
