// The local APIC of the guest's processor in xAPIC mode: its page of registers, interrupts by
// priority, the local vector table with the timer, interprocessor interrupts of a processor that is
// alone. SDM volume 3, chapter 10. It knows no time but what it is given, and nothing of the 8259
// behind its pin LINT0: where that one's vector counts, takes_external says so.
#pragma once

#include <array>
#include <cstdint>

#include "../address.hpp"
#include "apic_message.hpp"
#include "apic_timer.hpp"
#include "late_ticks.hpp"
#include "vector_set.hpp"

namespace undercroft {

class LocalApic {
 public:
  // Present: as a PC's firmware leaves it, on and in virtual wire mode. Otherwise as one that the
  // base register has switched off: the pins LINT0 and LINT1 are INTR and NMI.
  explicit LocalApic(bool present);

  // IA32_APIC_BASE (10.4.4). As in the P6 family an APIC that is switched off stays so until reset.
  std::uint32_t base_register() const;
  void write_base_register(std::uint32_t value);
  static constexpr std::uint32_t base_bits = 0xfffff900;  // others are reserved
  bool enabled() const { return enabled_; }
  GuestPhysical page() const { return page_; }

  // Registers, by offset in the page. They are 32 bits wide at multiples of 16; a smaller read
  // gives its part, a smaller write or one elsewhere is lost. `now` counts in nanoseconds; it
  // matters for the registers of which uses_time is true.
  static constexpr unsigned end_register = 0x0b0;
  static bool uses_time(unsigned offset);
  // Whether a write may change what accept says.
  static bool matters_to_senders(unsigned offset);
  std::uint32_t read(unsigned offset, unsigned size, std::uint64_t now);
  void write(unsigned offset, std::uint32_t value, std::uint64_t now);
  // A write to the EOI register. The vector whose end is to be told to the I/O APIC; 0: none.
  std::uint8_t end_interrupt();

  // False: it is meant for others, or this one takes none.
  bool accept(const ApicMessage&);
  // Pins LINT0 and LINT1.
  void set_pin(unsigned lint, bool high);

  // An interrupt of a priority that the processor lets in.
  bool interrupt_pending() const { return ready_ != 0; }
  // Its vector, now in service; the spurious vector if there is none any more.
  std::uint8_t acknowledge();
  // Requested or in service.
  bool busy(std::uint8_t vector) const { return requests_.has(vector) || service_.has(vector); }
  // Whether the 8259's request goes to the processor as it is (virtual wire mode, or no APIC).
  bool takes_external() const;
  // Whether such a message from the I/O APIC would be taken.
  bool takes_external_message(const ApicMessage&) const;

  bool nmi_pending() const { return nmi_; }
  void take_nmi() { nmi_ = false; }
  // Whether the 8259's request is an NMI: the other pin, LINT1, is driven by nothing.
  bool external_gives_nmi() const;
  // The processor has been told to start anew.
  bool init_requested() const { return init_; }

  // The timer. Expiries that are found together came while the guest was not run: it gets them
  // later (late_ticks.hpp). One that finds the last still requested is lost (10.8.4).
  void advance(std::uint64_t now);
  std::uint64_t next_deadline() const;

 private:
  enum class Lvt : std::uint8_t { timer, thermal, performance, lint0, lint1, error };
  static constexpr unsigned lvt_entries = 6;

  std::uint32_t& lvt(Lvt entry) { return lvt_[static_cast<unsigned>(entry)]; }
  std::uint32_t lvt(Lvt entry) const { return lvt_[static_cast<unsigned>(entry)]; }
  bool masked(Lvt entry) const { return (lvt(entry) & apic_bit::masked) != 0; }
  bool software_enabled() const;
  std::uint8_t processor_priority() const;
  std::uint8_t arbitration_priority() const;
  void update_ready();
  bool matches(const ApicMessage&) const;
  void request(unsigned vector, bool level);
  void raise(Lvt);
  void raise_level_pin(unsigned lint);
  void note_error(std::uint32_t bit);
  void send();
  void write_lvt(unsigned entry, std::uint32_t value, std::uint64_t now);
  void write_spurious(std::uint32_t value);
  std::uint32_t read_register(unsigned offset, std::uint64_t now);

  bool enabled_;
  bool nmi_ = false;
  bool init_ = false;
  bool error_armed_ = true;  // the next error interrupts
  std::uint8_t ready_ = 0;   // the requested vector above the processor's priority; 0: none
  std::uint8_t id_ = 0;
  std::uint8_t task_priority_ = 0;
  std::uint8_t logical_id_ = 0;
  std::uint8_t pins_ = 0;  // LINT0 and LINT1 as they stand
  GuestPhysical page_{0xfee00000};
  std::uint32_t destination_format_ = 0xffffffff;
  std::uint32_t spurious_ = 0xff;
  std::uint32_t errors_ = 0;        // since the last write to the error status register
  std::uint32_t error_status_ = 0;  // what it shows
  std::uint32_t command_low_ = 0;
  std::uint32_t command_high_ = 0;
  std::array<std::uint32_t, lvt_entries> lvt_;
  VectorSet requests_{};  // IRR
  VectorSet service_{};   // ISR
  VectorSet level_{};     // TMR
  ApicTimer timer_{};
  LateTicks late_ticks_{};
};

}  // namespace undercroft
