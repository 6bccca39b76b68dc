// What the local APIC does; its registers are in local_apic_registers.cpp.
#include "local_apic.hpp"

#include <algorithm>

#include "device_ports.hpp"
#include "local_apic_registers.hpp"

namespace undercroft {

using namespace local_apic;

LocalApic::LocalApic(bool present) : enabled_(present) {
  lvt_.fill(apic_bit::masked);
  if (!present) return;
  // SeaBIOS: the 8259 by LINT0, NMI by LINT1; the others were told to start and did not answer.
  spurious_ |= spurious_enable;
  lvt(Lvt::lint0) = apic_bit::level | external_mode;
  lvt(Lvt::lint1) = apic_bit::level | nmi_mode;
  command_low_ = 0x000c4610;
}

std::uint32_t LocalApic::base_register() const {
  return page_.value() | base_boot_processor | (enabled_ ? base_enable : 0);
}

void LocalApic::write_base_register(std::uint32_t value) {
  page_ = GuestPhysical(value).page();
  enabled_ = enabled_ && (value & base_enable) != 0;
  if (enabled_) return;
  spurious_ &= ~spurious_enable;
  for (std::uint32_t& entry : lvt_) entry |= apic_bit::masked;
  ready_ = 0;
}

bool LocalApic::software_enabled() const { return (spurious_ & spurious_enable) != 0; }

// 10.8.3.1: the higher class of the task's priority and of what is in service.
std::uint8_t LocalApic::processor_priority() const {
  const unsigned serving = service_.highest();
  if (task_priority_ >> 4 >= serving >> 4) return task_priority_;
  return static_cast<std::uint8_t>(serving & 0xf0);
}

// 10.6.2.4.
std::uint8_t LocalApic::arbitration_priority() const {
  const unsigned requested = requests_.highest() >> 4;
  const unsigned serving = service_.highest() >> 4;
  const unsigned task = task_priority_ >> 4;
  if (task >= requested && task > serving) return task_priority_;
  return static_cast<std::uint8_t>(std::max(task & serving, requested) << 4);
}

void LocalApic::update_ready() {
  const unsigned best = requests_.highest();
  ready_ = best >> 4 > processor_priority() >> 4u ? static_cast<std::uint8_t>(best) : 0;
}

// 10.6.2: physical by ID, logical by the flat or the cluster model.
bool LocalApic::matches(const ApicMessage& message) const {
  const unsigned destination = message.destination;
  if (destination == everybody) return true;
  if (!message.logical) return destination == id_;
  if (destination_format_ >> 28 == flat_model) return (destination & logical_id_) != 0;
  if (destination_format_ >> 28 != cluster_model) return false;
  const bool same_cluster = destination >> 4 == logical_id_ >> 4 || destination >> 4 == 0xf;
  return same_cluster && (destination & logical_id_ & 0xf) != 0;
}

bool LocalApic::accept(const ApicMessage& message) {
  if (!enabled_ || !matches(message)) return false;
  switch (message.mode) {
    case DeliveryMode::fixed:
    case DeliveryMode::lowest_priority:
      if (!software_enabled()) return false;
      request(message.vector, message.level);
      return true;
    case DeliveryMode::nmi:
      nmi_ = true;
      return true;
    case DeliveryMode::init:
      init_ = true;
      return true;
    case DeliveryMode::external:  // the 8259 is asked when the processor is ready
      return software_enabled();
    case DeliveryMode::smi:       // there is no system management mode
    case DeliveryMode::start_up:  // the processor runs
    case DeliveryMode::reserved:
      return true;
  }
  return false;
}

// Into the IRR, with the way it was triggered (10.8.4).
void LocalApic::request(unsigned vector, bool level) {
  if (vector < first_legal_vector) return note_error(error_received_vector);
  requests_.set(vector);
  if (level) {
    level_.set(vector);
  } else {
    level_.clear(vector);
  }
  update_ready();
}

// What an entry of the local vector table makes of its event.
void LocalApic::raise(Lvt which) {
  const std::uint32_t entry = lvt(which);
  if ((entry & apic_bit::masked) != 0) return;
  switch (delivery_mode_of(entry)) {
    case DeliveryMode::fixed:
      return request(entry & apic_bit::vector, false);
    case DeliveryMode::nmi:
      nmi_ = true;
      return;
    case DeliveryMode::init:
      init_ = true;
      return;
    case DeliveryMode::external:  // see takes_external
    case DeliveryMode::lowest_priority:
    case DeliveryMode::smi:
    case DeliveryMode::start_up:
    case DeliveryMode::reserved:
      return;
  }
}

// Only LINT0 can be triggered by level, and only for a fixed vector (10.5.1).
void LocalApic::raise_level_pin(unsigned lint) {
  constexpr std::uint32_t not_now = apic_bit::masked | apic_bit::remote_irr;
  const std::uint32_t entry = lvt(Lvt::lint0);
  if (lint != 0 || (pins_ & 1) == 0 || (entry & not_now) != 0) return;
  if ((entry & apic_bit::level) == 0 || delivery_mode_of(entry) != DeliveryMode::fixed) return;
  lvt(Lvt::lint0) |= apic_bit::remote_irr;
  request(entry & apic_bit::vector, true);
}

void LocalApic::set_pin(unsigned lint, bool high) {
  const auto mask = static_cast<std::uint8_t>(1u << lint);
  if (((pins_ & mask) != 0) == high) return;
  pins_ ^= mask;
  if (!high) return;
  if (!enabled_) {
    if (lint == 1) nmi_ = true;
    return;
  }
  const Lvt which = lint == 0 ? Lvt::lint0 : Lvt::lint1;
  const bool fixed = delivery_mode_of(lvt(which)) == DeliveryMode::fixed;
  if (lint == 0 && fixed && (lvt(which) & apic_bit::level) != 0) return raise_level_pin(lint);
  raise(which);
}

std::uint8_t LocalApic::acknowledge() {
  if (ready_ == 0) return static_cast<std::uint8_t>(spurious_);
  const std::uint8_t vector = ready_;
  requests_.clear(vector);
  service_.set(vector);
  update_ready();
  return vector;
}

std::uint8_t LocalApic::end_interrupt() {
  const auto vector = static_cast<std::uint8_t>(service_.highest());
  if (vector == 0) return 0;
  service_.clear(vector);
  update_ready();
  if (!level_.has(vector)) return 0;
  std::uint32_t& pin = lvt(Lvt::lint0);
  if ((pin & apic_bit::remote_irr) != 0 && (pin & apic_bit::vector) == vector) {
    pin &= ~apic_bit::remote_irr;
    raise_level_pin(0);
  }
  return vector;
}

bool LocalApic::takes_external() const {
  return !enabled_ ||
         (!masked(Lvt::lint0) && delivery_mode_of(lvt(Lvt::lint0)) == DeliveryMode::external);
}

bool LocalApic::takes_external_message(const ApicMessage& message) const {
  return enabled_ && software_enabled() && matches(message);
}

bool LocalApic::external_gives_nmi() const {
  return !masked(Lvt::lint0) && delivery_mode_of(lvt(Lvt::lint0)) == DeliveryMode::nmi;
}

// 10.5.3: an error interrupts once, until the error status register has been written.
void LocalApic::note_error(std::uint32_t bit) {
  errors_ |= bit;
  if (!error_armed_) return;
  error_armed_ = false;
  raise(Lvt::error);
}

// 10.6.1. What would go to other processors goes to nobody.
void LocalApic::send() {
  const std::uint32_t command = command_low_;
  const ApicMessage message{
      delivery_mode_of(command), static_cast<std::uint8_t>(command & apic_bit::vector), false,
      (command & apic_bit::logical) != 0, static_cast<std::uint8_t>(command_high_ >> 24)};
  const bool by_vector =
      message.mode == DeliveryMode::fixed || message.mode == DeliveryMode::lowest_priority;
  if (by_vector && message.vector < first_legal_vector) note_error(error_sent_vector);
  const bool deassert = message.mode == DeliveryMode::init && (command & command_assert) == 0;
  if (deassert) return;
  switch (command >> shorthand_shift & 3) {
    case 0:
      accept(message);
      return;
    case 1:
    case 2: {
      ApicMessage to_self = message;
      to_self.destination = everybody;
      accept(to_self);
      return;
    }
    case 3:
      return;
  }
}

void LocalApic::advance(std::uint64_t now) {
  const std::uint32_t expiries = timer_.take_expiries(now);
  if (masked(Lvt::timer)) return;
  const bool ready = !busy(lvt(Lvt::timer) & apic_bit::vector);
  const bool give = expiries != 0 ? late_ticks_.came(expiries, ready, now, timer_.next_expiry())
                                  : late_ticks_.take(now, ready);
  if (give) raise(Lvt::timer);
}

std::uint64_t LocalApic::next_deadline() const {
  if (masked(Lvt::timer)) return no_deadline;
  return std::min(timer_.next_expiry(), late_ticks_.next_deadline());
}

}  // namespace undercroft
