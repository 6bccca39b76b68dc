#include "io_apic.hpp"

#include <algorithm>

namespace undercroft {
namespace {

constexpr unsigned select_offset = 0x00, window_offset = 0x10;

// Indices of the registers behind the window.
constexpr unsigned register_id = 0, register_version = 1, register_arbitration = 2;
constexpr unsigned first_entry = 0x10, end_of_entries = first_entry + 2 * IoApic::pin_count;

constexpr std::uint32_t version_value = 0x11 | (IoApic::pin_count - 1) << 16;

// Delivery status is always idle: a message takes no time.
constexpr std::uint32_t low_writable = 0x1afff, high_writable = 0xff000000;

}  // namespace

// The 82093AA takes a level for a fixed vector only; NMI, SMI, INIT and ExtINT are edges whatever
// the entry says.
bool IoApic::by_level(const Entry& entry) {
  const DeliveryMode mode = delivery_mode_of(entry.low);
  return (entry.low & apic_bit::level) != 0 &&
         (mode == DeliveryMode::fixed || mode == DeliveryMode::lowest_priority);
}

ApicMessage IoApic::message(const Entry& entry) {
  return {delivery_mode_of(entry.low), static_cast<std::uint8_t>(entry.low & apic_bit::vector),
          by_level(entry), (entry.low & apic_bit::logical) != 0,
          static_cast<std::uint8_t>(entry.high >> 24)};
}

// Remote IRR holds a level back from its acceptance to its end.
void IoApic::offer(unsigned pin, LocalApic& apic) {
  Entry& entry = entries_[pin];
  if ((entry.low & (apic_bit::masked | apic_bit::remote_irr)) != 0) return;
  if (apic.accept(message(entry)) && by_level(entry)) entry.low |= apic_bit::remote_irr;
}

void IoApic::set_pin(unsigned pin, bool high, LocalApic& apic) {
  const std::uint32_t mask = 1u << pin;
  if (((pins_ & mask) != 0) == high) return;
  pins_ ^= mask;
  if (high) offer(pin, apic);
}

void IoApic::pulse(unsigned pin, LocalApic& apic) { offer(pin, apic); }

void IoApic::end_interrupt(std::uint8_t vector, LocalApic& apic) {
  for (unsigned pin = 0; pin < pin_count; ++pin) {
    Entry& entry = entries_[pin];
    if ((entry.low & apic_bit::remote_irr) == 0 || this->vector(pin) != vector) continue;
    entry.low &= ~apic_bit::remote_irr;
    if ((pins_ >> pin & 1) != 0) offer(pin, apic);
  }
}

void IoApic::offer_levels(LocalApic& apic) {
  for (unsigned pin = 0; pin < pin_count; ++pin) {
    if ((pins_ >> pin & 1) != 0 && by_level(entries_[pin])) offer(pin, apic);
  }
}

bool IoApic::passes_external(const LocalApic& apic) const {
  const Entry& entry = entries_[0];
  return (entry.low & apic_bit::masked) == 0 &&
         delivery_mode_of(entry.low) == DeliveryMode::external &&
         apic.takes_external_message(message(entry));
}

bool IoApic::gives_nmi() const {
  return std::ranges::any_of(entries_, [](const Entry& entry) {
    return (entry.low & apic_bit::masked) == 0 && delivery_mode_of(entry.low) == DeliveryMode::nmi;
  });
}

std::uint32_t IoApic::read(unsigned offset) const {
  if (offset == select_offset) return selected_;
  return offset == window_offset ? read_register() : 0;
}

void IoApic::write(unsigned offset, std::uint32_t value, LocalApic& apic) {
  if (offset == select_offset) selected_ = static_cast<std::uint8_t>(value);
  if (offset == window_offset) write_register(value, apic);
}

std::uint32_t IoApic::read_register() const {
  if (selected_ >= first_entry && selected_ < end_of_entries) {
    const Entry& entry = entries_[(selected_ - first_entry) / 2];
    return selected_ % 2 == 0 ? entry.low : entry.high;
  }
  switch (selected_) {
    case register_id:
    case register_arbitration:
      return std::uint32_t{id_} << 24;
    case register_version:
      return version_value;
  }
  return 0;
}

void IoApic::write_register(std::uint32_t value, LocalApic& apic) {
  if (selected_ == register_id) id_ = value >> 24 & 0xf;
  if (selected_ < first_entry || selected_ >= end_of_entries) return;
  const unsigned pin = (selected_ - first_entry) / 2;
  Entry& entry = entries_[pin];
  if (selected_ % 2 != 0) {
    entry.high = value & high_writable;
    return;
  }
  entry.low = (value & low_writable) | (entry.low & apic_bit::remote_irr);
  // An entry that is triggered by edge has none; that is how kernels end a level by hand.
  if (!by_level(entry)) entry.low &= ~apic_bit::remote_irr;
  if (by_level(entry) && (pins_ >> pin & 1) != 0) offer(pin, apic);
}

}  // namespace undercroft
