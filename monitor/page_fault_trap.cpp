// A page fault of the running guest: facts gathered, classified by the one table of page_fault.hpp,
// acted upon.
#include "monitor.hpp"
#include "window_layout.hpp"

namespace undercroft {

Monitor::FaultResult Monitor::handle_page_fault(View view, Exception& to_inject) {
  ++statistics_.guest_faults;
  const GuestLinear address(context_.fault_address);
  const bool write = context_.error_code & page_fault_code::write;
  const PageAccess access = write ? PageAccess::write : PageAccess::read;
  const Privilege privilege = vcpu_.cpl == 3 ? Privilege::user : Privilege::supervisor;
  const Walk walk = linear_.walk(address);
  if (view == View::user && write && walk.in_reach()) note_user_write(walk.address.page());
  const PageFaultCause cause = classify(gather_facts(address, view, walk));
  ++statistics_.page_faults[static_cast<unsigned>(cause)];

  if (cause == PageFaultCause::descriptor_accessed) {
    return descriptor_accessed(HostLinear(address.value())) ? FaultResult::resumed
                                                            : FaultResult::emulate;
  }
  // From here on nothing depends on where the window was at the fault.
  if (options_.window_hop != 0 && --hop_countdown_ == 0) {
    hop_countdown_ = options_.window_hop;
    hop_window();
  }
  switch (action_of(cause)) {
    case FaultAction::inject:
      // What is absent is told as not present, whatever the tables say.
      to_inject = Exception::page_fault(
          address,
          error_code(cause == PageFaultCause::absent_faults ? Walk{} : walk, access, privilege));
      return FaultResult::inject;
    case FaultAction::emulate:
      if (cause == PageFaultCause::watched_write && view == View::kernel &&
          write_watched_at_once(walk)) {
        return FaultResult::written;
      }
      return FaultResult::emulate;
    case FaultAction::migrate:
      keep_window_clear();
      return window_crowded_ ? FaultResult::emulate : FaultResult::resumed;
    case FaultAction::restore:
      if (!vm_.memory.restore(walk.address.page())) {
        end_run(RunEnd::Kind::stopped, "no machine frame is left for the guest's memory");
        return FaultResult::emulate;
      }
      [[fallthrough]];
    case FaultAction::fill:
      set_accessed_dirty(vm_.memory, walk, write);
      return shadow_.fill(address, walk, view, walk.dirty || write) ? FaultResult::resumed
                                                                    : FaultResult::emulate;
    case FaultAction::retry:
      processor_.flush_page(HostLinear(address.value()));
      return FaultResult::resumed;
  }
  return FaultResult::emulate;
}

PageFaultFacts Monitor::gather_facts(GuestLinear address, View view, const Walk& walk) const {
  PageFaultFacts facts;
  const std::uint32_t in_window = address.value() - processor_.window_base().value();
  const bool by_processor = !(context_.error_code & page_fault_code::user);
  facts.write = context_.error_code & page_fault_code::write;
  facts.in_window = in_window < window::size;
  facts.in_descriptor_table =
      by_processor && in_window >= window::gdt && in_window < window::mapping_slots;
  facts.in_hidden_task = by_processor && in_window < window::image_start;
  const Privilege privilege = vcpu_.cpl == 3 ? Privilege::user : Privilege::supervisor;
  const bool write_protect = vcpu_.cr0 & cr0::write_protect;
  const PageAccess access = facts.write ? PageAccess::write : PageAccess::read;
  switch (walk.result) {
    case WalkResult::reserved_bit:
      facts.guest = GuestTables::reserved_bit;
      return facts;
    case WalkResult::not_present:
      facts.guest = GuestTables::not_present;
      return facts;
    case WalkResult::mapped:
      facts.guest = permitted(walk, access, privilege, write_protect) ? GuestTables::allowed
                                                                      : GuestTables::not_permitted;
      break;
  }
  const FrameEntry frame = vm_.table.entry(walk.address);
  facts.frame = walk.above_4_gb ? FrameKind::absent : frame.kind;
  facts.watched = frame.watchers.any();
  facts.hidden = shadow_.hides(address);
  facts.dirty = walk.dirty;
  facts.shadow_allows = const_cast<ShadowPaging&>(shadow_).allows(address, view, facts.write);
  facts.absent = options_.absent;
  return facts;
}

// The processor wanted to set the accessed bit of a descriptor in an image.
bool Monitor::descriptor_accessed(HostLinear address) {
  const std::uint32_t offset = address.value() - processor_.window_base().value();
  const bool in_ldt = offset >= window::ldt;
  const unsigned index = (offset - (in_ldt ? window::ldt : window::gdt)) / 8;
  const auto table = in_ldt ? DescriptorShadow::Table::ldt : DescriptorShadow::Table::gdt;
  const bool set = descriptors_.set_accessed(linear_, table, index).ok();
  if (tables_compared_) compare_descriptors();  // the image is not what the snapshot says
  return set;
}

}  // namespace undercroft
