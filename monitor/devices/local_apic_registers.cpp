// The local APIC's registers as the guest reads and writes them.
#include "local_apic_registers.hpp"

#include "local_apic.hpp"

namespace undercroft {

using namespace local_apic;

namespace {

// Bits of the entries of the local vector table that can be written (figure 10-8).
constexpr std::array<std::uint32_t, 6> lvt_writable{
    0x300ff,  // timer: periodic, mask, vector
    0x107ff,  // thermal sensor: mask, delivery mode, vector
    0x107ff,  // performance counters
    0x1a7ff,  // LINT0: with trigger mode and polarity
    0x1a7ff,  // LINT1
    0x100ff,  // error
};

constexpr bool is_vector_table(unsigned offset) {
  return offset >= vector_table && offset < vector_table_end;
}

constexpr unsigned word_of(unsigned offset, unsigned first) { return (offset - first) >> 4; }

}  // namespace

static_assert(LocalApic::end_register == local_apic::end);

bool LocalApic::uses_time(unsigned offset) {
  const unsigned aligned = offset & ~0xfu;
  return aligned == vector_table || aligned == initial_count || aligned == current_count ||
         aligned == divide;
}

bool LocalApic::matters_to_senders(unsigned offset) {
  return offset == id || offset == logical_destination || offset == destination_format ||
         offset == spurious;
}

std::uint32_t LocalApic::read(unsigned offset, unsigned size, std::uint64_t now) {
  const unsigned part = offset & 0xf;
  if (part + size > 4) return 0;
  return read_register(offset - part, now) >> 8 * part;
}

std::uint32_t LocalApic::read_register(unsigned offset, std::uint64_t now) {
  if (is_vector_table(offset)) return lvt_[word_of(offset, vector_table)];
  if (offset >= in_service && offset < trigger_mode)
    return service_.word(word_of(offset, in_service));
  if (offset >= trigger_mode && offset < requests)
    return level_.word(word_of(offset, trigger_mode));
  if (offset >= requests && offset < error_status) return requests_.word(word_of(offset, requests));
  switch (offset) {
    case id:
      return std::uint32_t{id_} << 24;
    case version:
      return version_value;
    case task_priority:
      return task_priority_;
    case local_apic::arbitration_priority:
      return arbitration_priority();
    case local_apic::processor_priority:
      return processor_priority();
    case end:  // write only
    case remote_read:
      return 0;
    case logical_destination:
      return std::uint32_t{logical_id_} << 24;
    case destination_format:
      return destination_format_;
    case spurious:
      return spurious_;
    case error_status:
      return error_status_;
    case command_low:
      return command_low_;
    case command_high:
      return command_high_;
    case initial_count:
      return timer_.initial_count();
    case current_count:
      return timer_.current_count(now);
    case divide:
      return timer_.divide_configuration();
  }
  note_error(error_register);
  return 0;
}

void LocalApic::write(unsigned offset, std::uint32_t value, std::uint64_t now) {
  if (is_vector_table(offset)) return write_lvt(word_of(offset, vector_table), value, now);
  if (offset >= in_service && offset < error_status) return;  // read only
  switch (offset) {
    case id:
      id_ = static_cast<std::uint8_t>(value >> 24);
      return;
    case task_priority:
      task_priority_ = static_cast<std::uint8_t>(value);
      return update_ready();
    case end:
      end_interrupt();
      return;
    case logical_destination:
      logical_id_ = static_cast<std::uint8_t>(value >> 24);
      return;
    case destination_format:
      destination_format_ = value | 0x0fffffff;
      return;
    case spurious:
      return write_spurious(value);
    case error_status:
      error_status_ = errors_;
      errors_ = 0;
      error_armed_ = true;
      return;
    case command_low:
      command_low_ = value & command_writable;
      return send();
    case command_high:
      command_high_ = value & 0xff000000;
      return;
    case initial_count:
      advance(now);
      late_ticks_.forget();
      return timer_.set_count(value, now);
    case divide:
      return timer_.set_divide(value, now);
    case version:
    case local_apic::arbitration_priority:
    case local_apic::processor_priority:
    case remote_read:
    case current_count:
      return;  // read only
  }
  note_error(error_register);
}

// 10.4.7.2: while the APIC is disabled by software, the entries are masked and stay so.
void LocalApic::write_spurious(std::uint32_t value) {
  spurious_ = value & spurious_writable;
  if (software_enabled()) return;
  for (std::uint32_t& entry : lvt_) entry |= apic_bit::masked;
  late_ticks_.forget();
}

// Expiries that came while the timer was masked are lost.
void LocalApic::write_lvt(unsigned entry, std::uint32_t value, std::uint64_t now) {
  if (entry == static_cast<unsigned>(Lvt::timer)) {
    advance(now);
    timer_.set_periodic((value & timer_periodic) != 0, now);
  }
  const std::uint32_t kept = lvt_[entry] & apic_bit::remote_irr;
  lvt_[entry] = (value & lvt_writable[entry]) | kept;
  if (!software_enabled()) lvt_[entry] |= apic_bit::masked;
  if (masked(Lvt::timer)) late_ticks_.forget();
  if (entry == static_cast<unsigned>(Lvt::lint0)) {
    if ((value & apic_bit::level) == 0) lvt_[entry] &= ~apic_bit::remote_irr;
    raise_level_pin(0);
  }
}

}  // namespace undercroft
