// What instructions reach besides registers and memory: the Environment, and the watcher that keeps
// translated code coherent with guest memory.
#include "monitor.hpp"

namespace undercroft {

std::uint32_t Monitor::port_read(std::uint16_t port, unsigned size) {
  watched_memory_.note_port(port, size);
  if (const auto value = vm_.pc.read_time_port(port, size)) return *value;
  attention_ = true;
  return vm_.pc.port_read(port, size);
}

void Monitor::port_write(std::uint16_t port, std::uint32_t value, unsigned size) {
  attention_ = true;
  watched_memory_.note_port(port, size);
  vm_.pc.port_write(port, value, size);
  if (vm_.pc.a20_enabled() == vcpu_.a20_masked) a20_changed();
}

void Monitor::port_read_string(std::uint16_t port, unsigned size, std::span<std::uint8_t> bytes) {
  attention_ = true;
  watched_memory_.note_port(port, size);
  vm_.pc.port_read_string(port, size, std::as_writable_bytes(bytes));
}

void Monitor::port_write_string(std::uint16_t port, unsigned size,
                                std::span<const std::uint8_t> bytes) {
  attention_ = true;
  watched_memory_.note_port(port, size);
  vm_.pc.port_write_string(port, size, std::as_bytes(bytes));
  if (vm_.pc.a20_enabled() == vcpu_.a20_masked) a20_changed();
}

// While bit 20 is masked, everything is interpreted: shadow tables and translations are made for
// addresses with all their bits.
void Monitor::a20_changed() {
  vcpu_.a20_masked = !vm_.pc.a20_enabled();
  clear_slot_.reset();
  use_address_space();
  flush_code(CodeFlush::paging_mode);
  forget_descriptors();
}

CpuidLeaf Monitor::cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  const std::uint32_t asked = clamp_cpuid_leaf(leaf, processor_.cpuid(0, 0).eax);
  CpuidLeaf answer = filter_cpuid(asked, subleaf, processor_.cpuid(asked, subleaf));
  if (asked == 1 && vm_.pc.apic_enabled()) answer.edx |= cpuid_apic;
  return answer;
}

Guarded<std::uint64_t> Monitor::read_msr(const Vcpu& vcpu, std::uint32_t index) {
  if (index == msr_apic_base && vm_.pc.has_apic()) return std::uint64_t{vm_.pc.apic_base()};
  return read_guest_msr(vcpu, index, processor_.time_stamp());
}

Guarded<Done> Monitor::write_msr(Vcpu& vcpu, std::uint32_t index, std::uint64_t value) {
  if (index == msr_apic_base && vm_.pc.has_apic()) {
    if ((value & ~std::uint64_t{LocalApic::base_bits}) != 0) {
      return Failure{Exception::general_protection()};
    }
    place_apic(static_cast<std::uint32_t>(value));
    return Done{};
  }
  return write_guest_msr(vcpu, index, value);
}

// The local APIC's page covers whatever stood there.
void Monitor::place_apic(std::uint32_t base) {
  clear_slot_.reset();
  const GuestPhysical old = vm_.apic_page();
  vm_.pc.write_apic_base(base);
  vm_.place_apic();
  for (const GuestPhysical page : {old, vm_.apic_page()}) {
    shadow_.unmap(page);
    drop_code(page, page_size);
  }
  window_suspect_ = true;
}

void Monitor::use_address_space() {
  linear_.flush();
  const Paging paging = paging_of(vcpu_);
  paging_mode_ = paging.mode;
  // Without paging the window's slot is absent memory, where no guest has a stack.
  const bool everywhere = options_.guard_exact || was_crowded_;
  cache_.set_guarded(everywhere || paging.mode == PagingMode::none, everywhere);
  shadow_.use(paging, vcpu_.cr0 & cr0::write_protect);
  view_.reset();
  window_suspect_ = true;
}

void Monitor::paging_changed(const Vcpu&) {
  const PagingMode before = paging_mode_;
  use_address_space();
  if (paging_mode_ == before) {  // CR0.WP or CR4.PGE
    check_code_slots();
    return check_descriptor_pages();
  }
  flush_code(CodeFlush::paging_mode);
  forget_descriptors();
}

void Monitor::page_root_loaded(const Vcpu&) {
  use_address_space();
  compare_code_slots();
  check_descriptor_pages();
}

std::optional<PagePointers> Monitor::page_pointers(std::uint32_t cr3) {
  if (vcpu_.a20_masked) return read_page_pointers(cr3, MaskedReader<GuestMemory>{vm_.memory});
  return read_page_pointers(cr3, vm_.memory);
}

// The tables behind it may be such as nobody watches.
void Monitor::page_invalidated(GuestLinear address) {
  linear_.flush_page(address);
  tables_written_ = true;
  processor_.flush_page(HostLinear(address.value()));
}

void Monitor::fpu_control_changed(const Vcpu&) {
  const std::uint32_t hidden = alignment_checks_ ? 0 : cr0::alignment_mask;
  processor_.set_guest_controls(vcpu_.cr0 & ~hidden, vcpu_.cr4);
}

// The guest's supervisor code, which is never checked, runs at ring 3 with the guest's AC.
void Monitor::allow_alignment_checks(bool allowed) {
  if (alignment_checks_ == allowed) return;
  alignment_checks_ = allowed;
  fpu_control_changed(vcpu_);
}

void Monitor::CodeWrites::written(GuestPhysical address, unsigned bytes) {
  if (!monitor_.drop_code(address, bytes)) return;
  if (monitor_.churning_.note_drop(address.page_number())) {
    monitor_.drop_code(address.page(), page_size);
    ++monitor_.statistics_.churning;
  }
}

// Another mapping of the frame, or none: what was translated from it may be found by a stale
// address.
void Monitor::code_frame_remapped(GuestPhysical frame) { drop_code(frame.page(), page_size); }

// Most often a large page becomes a table of the same pages, so it is looked at before any code of
// the cache runs again.
void Monitor::code_slot_remapped(unsigned slot) {
  constexpr std::uint32_t no_entry = page_bit::accessed;  // what is kept has the bit clear
  for (unsigned i = 0; i < code_slot_count_; ++i) {
    if (code_slots_[i].base.value() >> 22 == slot) code_slots_[i].entries = {no_entry, no_entry};
  }
  code_suspect_ = true;
}

// A frame without code need not be watched: kernels free code and use its memory for other things.
// False: there was none.
bool Monitor::drop_code(GuestPhysical address, unsigned bytes) {
  const std::uint32_t first = address.page_offset();
  const bool dropped = cache_.drop(address.page_number(), first, first + bytes - 1);
  if (!cache_.has_blocks_of(address.page_number())) {
    vm_.table.unwatch(address, Watcher::translated_code);
  }
  return dropped;
}

}  // namespace undercroft
