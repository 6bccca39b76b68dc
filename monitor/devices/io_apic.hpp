// The I/O APIC: 24 pins, each with an entry that says which message a request of it becomes. Data
// sheet: Intel 82093AA (290566). The messages go to the one local APIC there is.
#pragma once

#include <array>
#include <cstdint>

#include "apic_message.hpp"
#include "local_apic.hpp"

namespace undercroft {

class IoApic {
 public:
  static constexpr unsigned pin_count = 24;

  // Registers by offset in the page: 0x00 selects, 0x10 is the window. Accesses of 32 bits.
  std::uint32_t read(unsigned offset) const;
  void write(unsigned offset, std::uint32_t value, LocalApic&);

  // An edge on a masked pin is lost; a level stays and is told when the mask goes.
  void set_pin(unsigned pin, bool high, LocalApic&);
  // A rising edge on a pin that rests, as of a pulse train.
  void pulse(unsigned pin, LocalApic&);
  // The local APIC has ended the vector of a level-triggered interrupt.
  void end_interrupt(std::uint8_t vector, LocalApic&);
  // Tells levels again that the local APIC did not take.
  void offer_levels(LocalApic&);

  bool masked(unsigned pin) const { return (entries_[pin].low & apic_bit::masked) != 0; }
  std::uint8_t vector(unsigned pin) const {
    return static_cast<std::uint8_t>(entries_[pin].low & apic_bit::vector);
  }
  // Whether pin 0, where the 8259 is, hands its request on to the processor as it is (ExtINT).
  bool passes_external(const LocalApic&) const;
  bool gives_nmi() const;  // some pin does

 private:
  struct Entry {
    std::uint32_t low = apic_bit::masked;
    std::uint32_t high = 0;
  };

  static bool by_level(const Entry&);
  static ApicMessage message(const Entry&);
  void offer(unsigned pin, LocalApic&);
  std::uint32_t read_register() const;
  void write_register(std::uint32_t value, LocalApic&);

  std::uint8_t selected_ = 0;
  std::uint8_t id_ = 0;
  std::uint32_t pins_ = 0;  // as they stand
  std::array<Entry, pin_count> entries_{};
};

}  // namespace undercroft
