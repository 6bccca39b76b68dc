// The guest's user code and its virtual-8086 tasks, run directly on the processor.
#include "general_registers.hpp"
#include "monitor.hpp"
#include "segment/descriptor.hpp"
#include "segment/load.hpp"

namespace undercroft {
namespace {

// User code changes these by itself; the rest of EFLAGS it cannot reach with IOPL <= 2.
constexpr std::uint32_t user_flags = eflags::arithmetic | eflags::direction | eflags::trap |
                                     eflags::nested_task | eflags::resume |
                                     eflags::alignment_check | eflags::identification;

// Whether the processor has set RF in the flags that it pushed (SDM volume 3, 17.3.1.1). INT n and
// the like come as faults too.
constexpr bool is_fault(std::uint32_t vector) {
  return vector < host_interrupt_base && vector != static_cast<std::uint32_t>(Vector::debug);
}

// A null selector that the way back to ring 3 would make 0 (SDM volume 2, IRET).
constexpr bool is_null_with_rpl(std::uint32_t selector) { return selector >= 1 && selector <= 3; }

// Whether the context's data segments come out of a return to ring 3 as they are.
bool survives_return(const GuestContext& context) {
  return !is_null_with_rpl(context.ds) && !is_null_with_rpl(context.es) &&
         !is_null_with_rpl(context.fs) && !is_null_with_rpl(context.gs);
}

}  // namespace

// With another IF, or IOPL 3, user code would see the difference, or keep the host's interrupts
// out.
bool Monitor::flags_allow_direct_execution() const {
  return vcpu_.interrupts_enabled() && vcpu_.iopl() != 3;
}

// Every segment cache as its selector says (design section 1).
bool Monitor::direct_execution_is_exact() {
  if (tables_written_) check_descriptor_pages();
  if (tables_compared_ && tables_suspect_) compare_descriptors();
  if (segments_exact_) return true;
  if (!descriptors_current_) refresh_descriptors();
  descriptor_writes_left_ = most_descriptor_writes;
  segments_exact_ = descriptors_.exact_for(vcpu_);
  return segments_exact_;
}

// In V86 mode segments are what their selectors say, and everything that looks at IF or IOPL traps,
// since the processor's IOPL is 0 (SDM volume 3, 20.2.7): the guest's are free. IRET checks EIP.
bool Monitor::virtual_8086_is_exact() const {
  return vcpu_.eip <= vcpu_[Segment::cs].limit && !options_.interpret_kernel;
}

void Monitor::run_directly() {
  show_cache_to_user(false);
  load_user_context();
  Next next = Next::resume;
  while (next == Next::resume) {
    enter_view(View::user);
    ++statistics_.direct_entries;
    enter_processor(View::user);
    next = user_trap();
  }
}

// What EFLAGS holds besides user_flags while the guest runs.
std::uint32_t Monitor::fixed_user_flags() const {
  const std::uint32_t of_mode =
      vcpu_.virtual_8086() ? eflags::virtual_8086 : vcpu_.eflags & eflags::iopl;
  return of_mode | eflags::interrupt | eflags::always_one;
}

void Monitor::load_user_context() {
  allow_alignment_checks(true);
  load_general_registers(context_, vcpu_);
  context_.eip = vcpu_.eip;
  context_.eflags = (vcpu_.eflags & user_flags) | fixed_user_flags();
  vcpu_.interrupt_shadow = InterruptShadow::none;
  context_.cs = vcpu_[Segment::cs].selector;
  context_.ss = vcpu_[Segment::ss].selector;
  if (vcpu_.virtual_8086()) {
    context_.v86_es = vcpu_[Segment::es].selector;
    context_.v86_ds = vcpu_[Segment::ds].selector;
    context_.v86_fs = vcpu_[Segment::fs].selector;
    context_.v86_gs = vcpu_[Segment::gs].selector;
    return;
  }
  context_.ds = vcpu_[Segment::ds].selector;
  context_.es = vcpu_[Segment::es].selector;
  context_.fs = vcpu_[Segment::fs].selector;
  context_.gs = vcpu_[Segment::gs].selector;
}

void Monitor::save_user_context() {
  save_general_registers(context_, vcpu_);
  vcpu_.eip = context_.eip;
  vcpu_.eflags = (vcpu_.eflags & ~user_flags) | (context_.eflags & user_flags);
  if (vcpu_.virtual_8086()) {
    reload_virtual_8086_segments();
  } else {
    reload_user_segments();
  }
}

void Monitor::reload_virtual_8086_segments() {
  const std::array<std::uint32_t, 6> now{context_.v86_es, context_.cs,     context_.ss,
                                         context_.v86_ds, context_.v86_fs, context_.v86_gs};
  for (unsigned s = 0; s < now.size(); ++s) {
    vcpu_.segments[s] = virtual_8086_segment(static_cast<std::uint16_t>(now[s]));
  }
}

// User code may have loaded segment registers by itself: from the images, which were exact.
void Monitor::reload_user_segments() {
  const std::array<std::uint32_t, 6> now{context_.es, context_.cs, context_.ss,
                                         context_.ds, context_.fs, context_.gs};
  for (unsigned s = 0; s < now.size(); ++s) {
    DescriptorCache& cache = vcpu_.segments[s];
    const auto loaded = static_cast<std::uint16_t>(now[s]);
    if (loaded == cache.selector) continue;
    segments_exact_ = false;  // a stack of 16 bits, or null: see survives_return
    if (selector::is_null(loaded)) {
      cache = {};
    } else {
      const auto image = selector::in_ldt(loaded) ? processor_.ldt_image(View::user)
                                                  : processor_.gdt_image(View::user);
      const Descriptor descriptor(image[selector::index(loaded)]);
      cache = {0, static_cast<std::uint16_t>(descriptor.attributes() | attribute::accessed),
               descriptor.base(), descriptor.limit(), true};
    }
    cache.selector = loaded;
  }
}

Monitor::Next Monitor::user_trap() {
  // See kernel_trap.
  context_.eflags = (context_.eflags & user_flags) | fixed_user_flags();
  if (is_fault(context_.vector)) context_.eflags &= ~eflags::resume;
  ++statistics_.traps[1][context_.vector & 63];
  trace_.record(View::user, context_);
  if (is_host_interrupt(context_.vector)) {
    host_interrupt(context_.vector);
    save_user_context();
    return Next::leave;
  }
  if (context_.vector == static_cast<unsigned>(Vector::page_fault)) {
    Exception exception{};
    const FaultResult result = handle_page_fault(View::user, exception);
    const bool same_stack = context_.ss == vcpu_[Segment::ss].selector;
    const bool survives = vcpu_.virtual_8086() || (same_stack && survives_return(context_));
    if (result == FaultResult::resumed && survives) return Next::resume;
    save_user_context();
    if (result == FaultResult::inject) inject(Event::of(exception));
    if (result == FaultResult::emulate) interpret_one();
    return Next::leave;
  }
  if (context_.vector == trap_entry_failed) {
    segments_exact_ = false;
    end_run(RunEnd::Kind::stopped, "the processor refused a user segment that the tables allow");
    return Next::leave;
  }
  save_user_context();
  if (context_.vector == static_cast<unsigned>(Vector::debug)) {
    // INT1 sets no bit of DR6, with TF neither: as INT n does, it takes the single step's place
    // (SDM volume 3, 17.3.1.4; volume 2, INT1).
    constexpr std::uint32_t dr6_single_step = 1u << 14;
    const bool stepped = processor_.take_debug_status() & dr6_single_step;
    inject(stepped ? Event::debug(dr6_single_step)
                   : Event{Event::Kind::icebp, {}, 1, context_.eip, 0});  // INT1
  } else {
    interpret_one();  // raises what the guest's own tables say, or just does it
  }
  return Next::leave;
}

}  // namespace undercroft
