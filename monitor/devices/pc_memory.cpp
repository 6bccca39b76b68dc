// The PC's memory-mapped devices: which answers where, and what an access means for the rest.
#include <algorithm>
#include <array>

#include "pc.hpp"

namespace undercroft {
namespace {

// The local APIC's page can be moved; without one there is nothing else.
constexpr std::array isa_ranges{
    MemoryRange{GuestPhysical(Vga::memory_base), Vga::memory_size, MemoryDevice::vga},
};
constexpr GuestPhysical io_apic_base{0xfec00000}, hpet_base{0xfed00000};

}  // namespace

void Pc::make_memory_ranges() {
  memory_ranges_[0] = {state_.local_apic.page(), page_size, MemoryDevice::local_apic};
  memory_ranges_[1] = isa_ranges[0];
  memory_ranges_[2] = {io_apic_base, page_size, MemoryDevice::io_apic};
  memory_ranges_[3] = {hpet_base, page_size, MemoryDevice::hpet};
}

std::span<const MemoryRange> Pc::memory_ranges() const {
  if (kind_ == MachineKind::isa) return isa_ranges;
  return std::span(memory_ranges_).subspan(state_.local_apic.enabled() ? 0 : 1);
}

const MemoryRange* Pc::memory_range(GuestPhysical address) const {
  for (const MemoryRange& range : memory_ranges()) {
    if (range.has(address)) return &range;
  }
  return nullptr;
}

std::uint32_t Pc::memory_read(GuestPhysical address, unsigned size) {
  const MemoryRange* const range = memory_range(address);
  if (range == nullptr) return ~0u;
  const std::uint32_t offset = address - range->first;
  switch (range->device) {
    case MemoryDevice::local_apic:
      if (LocalApic::uses_time(offset)) advance_in_access();
      return state_.local_apic.read(offset, size, now_);
    case MemoryDevice::vga:
      return read_video_memory(address.value(), size);
    case MemoryDevice::io_apic:
      return size == 4 ? state_.io_apic.read(offset) : 0;
    case MemoryDevice::hpet:
      return read_hpet(offset, size);
  }
  return ~0u;
}

void Pc::memory_write(GuestPhysical address, std::uint32_t value, unsigned size) {
  const MemoryRange* const range = memory_range(address);
  if (range == nullptr) return;
  const std::uint32_t offset = address - range->first;
  switch (range->device) {
    case MemoryDevice::local_apic:
      if (size == 4 && offset % 16 == 0) write_local_apic(offset, value);
      return note_interrupts();
    case MemoryDevice::vga:
      return write_video_memory(address.value(), value, size);
    case MemoryDevice::io_apic:
      if (size == 4) state_.io_apic.write(offset, value, state_.local_apic);
      return note_interrupts();
    case MemoryDevice::hpet:
      if (size == 4 && offset % 4 == 0) write_hpet(offset, value);
      return note_interrupts();
  }
}

// The counter, which kernels read most, needs nothing else brought up to date.
std::uint32_t Pc::read_hpet(unsigned offset, unsigned size) {
  if (Hpet::depends_on_matches(offset)) advance_in_access();
  return state_.hpet.read(offset, size, std::max(now_, time_.now()));
}

void Pc::write_hpet(unsigned offset, std::uint32_t value) {
  advance_in_access();
  state_.hpet.write(offset, value, now_);
  if (Hpet::sets_up_ticks(offset)) state_.late_ticks.forget();
  needs_service_ = true;
  update_hpet();
}

void Pc::advance_in_access() {
  const bool needed = needs_service_;
  const std::uint64_t deadline = next_deadline();
  advance(time_.now());
  needs_service_ = needed || next_deadline() != deadline;
}

// What waits has to be looked at before the guest runs on.
void Pc::note_interrupts() { needs_service_ |= interrupt_pending() || nmi_pending(); }

// The end of an interrupt is what kernels write most.
void Pc::write_local_apic(unsigned offset, std::uint32_t value) {
  LocalApic& apic = state_.local_apic;
  if (offset == LocalApic::end_register) {
    if (const std::uint8_t ended = apic.end_interrupt()) state_.io_apic.end_interrupt(ended, apic);
    return;
  }
  if (LocalApic::uses_time(offset)) advance_in_access();
  apic.write(offset, value, now_);
  needs_service_ |= LocalApic::uses_time(offset);
  if (LocalApic::matters_to_senders(offset)) state_.io_apic.offer_levels(apic);
  if (!apic.init_requested()) return;
  state_.power.ask({PcRequest::Kind::reset, 0});
  needs_service_ = true;
}

std::uint32_t Pc::read_video_memory(std::uint32_t address, unsigned size) {
  if (video_memory_ == nullptr) return ~0u;
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    value |= std::uint32_t{state_.vga.read_memory(address + i, *video_memory_)} << 8 * i;
  }
  return value;
}

void Pc::write_video_memory(std::uint32_t address, std::uint32_t value, unsigned size) {
  if (video_memory_ == nullptr) return;
  for (unsigned i = 0; i < size; ++i) {
    const auto byte = static_cast<std::uint8_t>(value >> 8 * i);
    state_.vga.write_memory(address + i, byte, *video_memory_);
  }
}

std::uint32_t Pc::apic_base() const { return state_.local_apic.base_register(); }

void Pc::write_apic_base(std::uint32_t value) {
  state_.local_apic.write_base_register(value);
  make_memory_ranges();
  needs_service_ = true;
}

}  // namespace undercroft
