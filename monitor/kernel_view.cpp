// The guest's kernel in the translation cache: registers into the processor and back, exits, and
// what a trap in the middle of a block means.
#include <algorithm>
#include <span>

#include "general_registers.hpp"
#include "instruction/decoder.hpp"
#include "monitor.hpp"
#include "segment/load.hpp"
#include "segment/shadow_descriptor.hpp"
#include "window_layout.hpp"

namespace undercroft {
namespace {

// What the guest's EFLAGS and the processor's have in common while translated code runs. IF is
// virtual, and so is IOPL; NT and TF are clear in both (see can_translate).
constexpr std::uint32_t shared_flags =
    eflags::arithmetic | eflags::direction | eflags::alignment_check | eflags::identification;

// Guest code looked at for one trace.
constexpr std::uint32_t longest_fetch = 320;
constexpr std::uint32_t longest_instruction = 15;

constexpr bool is_boundary(const CachePoint& point) {
  return point.state == PointState::boundary || point.state == PointState::shadowed;
}

constexpr bool is_guarding(const CachePoint& point) {
  return point.state == PointState::guarding_with_eax ||
         point.state == PointState::guarding_with_ecx ||
         point.state == PointState::guarding_with_edx;
}

}  // namespace

void Monitor::run_translated() {
  if (paging_mode_ == PagingMode::none) choose_guards();
  const bool user = vcpu_.cpl == 3;
  if (user) show_cache_to_user(true);
  cache_.set_level(user ? CodeLevel::user : CodeLevel::kernel);
  const auto address = block_at(vcpu_.eip);
  if (!address) {
    interpret_one();  // which also raises what the fetch raises
    return;
  }
  run_in_cache(*address);
}

// User code that is run directly must not see the cache. Most guests have none that is not.
void Monitor::show_cache_to_user(bool shown) {
  if (cache_shown_ == shown) return;
  cache_shown_ = shown;
  processor_.show_cache_to_user(shown);
  view_.reset();
  if (!shown || cache_.holds_both_levels()) return;
  cache_.hold_both_levels();
  flush_code(CodeFlush::user_code);
}

// Without paging: the shorter ones, as long as they hold.
void Monitor::choose_guards() {
  const auto begins_at_0 = [](const DescriptorCache& segment) { return segment.base == 0; };
  const bool flat = std::all_of(vcpu_.segments.begin(), vcpu_.segments.end(), begins_at_0);
  const auto limit = static_cast<std::uint8_t>(processor_.window_base().value() >> 24);
  const std::uint8_t wanted = flat && std::uint64_t{limit} << 24 >= vm_.ram_end() ? limit : 0;
  if (cache_.flat_guard() == wanted) return;
  if (!cache_.empty()) {
    if (cache_.flat_guard() == 0) return;  // kernels may go to and fro
    return flush_code(CodeFlush::guards);
  }
  cache_.set_flat_guard(wanted);
}

void Monitor::run_in_cache(std::uint32_t address) {
  tables_suspect_ = true;
  load_kernel_context(address);
  Next next = Next::resume;
  while (next == Next::resume) {
    enter_view(cache_view());
    ++statistics_.translated_entries;
    enter_processor(cache_view());
    next = kernel_trap();
  }
}

// The block for the address, translated now if need be. Empty: it is better interpreted, or its
// first byte cannot be fetched.
std::optional<std::uint32_t> Monitor::block_at(std::uint32_t eip) {
  if (const auto found = cache_.find(eip)) return found;
  std::array<std::uint8_t, longest_fetch> bytes;
  const GuestLinear linear(eip);
  if (shadow_.hides(linear)) return std::nullopt;
  if (in_crowded_slot(linear) || in_crowded_slot(linear + longest_instruction)) return std::nullopt;
  const Walk walk = linear_.walk(linear);
  if (walk.mapped() && churning_.resting(walk.address.page_number())) return std::nullopt;
  const std::uint32_t in_page = page_size - (eip & page_mask);
  const auto fetched = fetch_trace(linear, bytes, in_page);
  if (!fetched) return std::nullopt;
  const auto frame = watch_code(linear);
  if (!frame) return std::nullopt;
  const auto made = cache_.translate(eip, *frame, std::span(bytes).first(fetched.value()), in_page);
  if (!made.crosses) return made.start;
  if (const auto second = watch_code(linear + in_page)) cache_.add_second_frame(*second);
  return made.start;
}

// The bytes behind the page are fetched only for a first instruction that reaches there: otherwise
// the guest may never get to them, and its accessed bit of that page stays as it is.
Guarded<unsigned> Monitor::fetch_trace(GuestLinear linear, std::span<std::uint8_t> bytes,
                                       std::uint32_t in_page) {
  const Privilege privilege = vcpu_.cpl == 3 ? Privilege::user : Privilege::supervisor;
  const auto here = bytes.first(std::min<std::size_t>(in_page, bytes.size()));
  const auto fetched = linear_.fetch(linear, here, privilege);
  if (!fetched || in_page >= longest_instruction) return fetched;
  const auto first = decode(here, true);
  if (first || first.error() != DecodeError::truncated) return fetched;
  return linear_.fetch(linear, bytes.first(longest_instruction), privilege);
}

// Code that the window is in the way of: it has no shadow entries, so a change of its mapping would
// not be known.
bool Monitor::in_crowded_slot(GuestLinear linear) const {
  return window_crowded_ && linear.value() >> 22 == processor_.window_base().value() >> 22;
}

// Makes every change of the page's content or mapping known; its guest page number. Empty: no
// machine frame is there.
std::optional<std::uint32_t> Monitor::watch_code(GuestLinear linear) {
  const Walk walk = linear_.walk(linear);
  const FrameEntry frame = vm_.table.entry(walk.address);
  if (!walk.in_reach() || !has_machine_frame(frame.kind)) return std::nullopt;
  if (!frame.watchers.has(Watcher::translated_code)) {
    vm_.table.watch(walk.address, Watcher::translated_code);
    shadow_.write_protect(walk.address.page());
  }
  if (!show_code_mapping(linear, walk)) return std::nullopt;
  note_code_slot(linear);
  return walk.address.page_number();
}

// A shadow entry for the page is what makes a change of its mapping known. False: it has none.
bool Monitor::show_code_mapping(GuestLinear linear, const Walk& walk) {
  return shadow_.allows(linear, View::kernel, false) ||
         shadow_.fill(linear, walk, View::kernel, walk.dirty);
}

bool Monitor::shows(std::uint32_t linear_page, std::uint32_t frame, CodeLevel level) {
  const GuestLinear linear(linear_page);
  const Walk walk = linear_.walk(linear);
  if (level == CodeLevel::user && !walk.user) return false;
  if (!walk.in_reach() || walk.address.page_number() != frame) return false;
  return show_code_mapping(linear, walk);
}

void Monitor::load_kernel_context(std::uint32_t address) {
  enter_view(cache_view());
  allow_alignment_checks(!(vcpu_.eflags & eflags::alignment_check));  // no sequence sets AC
  load_general_registers(context_, vcpu_);
  context_.eflags = (vcpu_.eflags & shared_flags) | eflags::interrupt | eflags::always_one;
  context_.eip = address;
  cpu_page_.interrupt_flag = vcpu_.eflags & eflags::interrupt;
  cpu_page_.io_privilege = vcpu_.eflags & eflags::iopl;
  cpu_page_.interrupt_pending = vm_.pc.interrupt_pending() ? eflags::interrupt : 0;
  vcpu_.interrupt_shadow = InterruptShadow::none;
  vcpu_.eflags &= ~eflags::resume;  // it has done its work, or is set again by the processor
  load_kernel_segments();
}

// Each register has a descriptor of its own, made from its cache.
void Monitor::load_kernel_segments() {
  for (unsigned s = 0; s < vcpu_.segments.size(); ++s) {
    if (kernel_segments_[s] == vcpu_.segments[s]) continue;
    make_kernel_segment(static_cast<Segment>(s));
    return_known_ = false;
  }
  if (!return_known_) note_return_segment();
  context_.cs = host_gdt::selector(host_gdt::cache_code, 3);
  context_.ss = kernel_selector(Segment::ss);
  context_.ds = kernel_selector(Segment::ds);
  context_.es = kernel_selector(Segment::es);
  const std::uint32_t page = host_gdt::selector(host_gdt::cpu_page, 3);
  context_.fs = vcpu_.cpl == 3 ? page : kernel_selector(Segment::fs);
  context_.gs = vcpu_.cpl == 3 ? kernel_selector(Segment::gs) : page;
}

void Monitor::make_kernel_segment(Segment segment) {
  const auto s = static_cast<unsigned>(segment);
  kernel_segments_[s] = vcpu_.segments[s];
  const auto image = processor_.gdt_image(View::kernel);
  image[host_gdt::guest_segments + s] = kernel_view_descriptor(vcpu_.segments[s]);
  cpu_page_.selectors[s] = vcpu_.segments[s].selector;
  note_guard_base(s);
}

std::uint32_t Monitor::kernel_selector(Segment segment) const {
  const unsigned index = host_gdt::guest_segments + static_cast<unsigned>(segment);
  return vcpu_[segment].usable ? host_gdt::selector(index, 3) : 0;
}

// Where the segment is, as seen from the window; see translate/guard.hpp.
void Monitor::note_guard_base(unsigned segment) {
  cpu_page_.guard_bases[segment] =
      kernel_segments_[segment].base - processor_.window_base().value();
}

// What IRET in the cache has to find to go back to CS as it is. It reads the table through SS.
void Monitor::note_return_segment() {
  return_known_ = true;
  const DescriptorCache& cs = vcpu_[Segment::cs];
  const DescriptorCache& ss = vcpu_[Segment::ss];
  const bool flat = ss.base == 0 && ss.limit == 0xffffffff && !ss.expands_down();
  const auto address = descriptor_address(vcpu_, cs.selector);
  cpu_page_.minus_code_selector = not_returnable;
  if (!flat || !address.ok() || selector::is_null(cs.selector)) return;
  const Descriptor loaded = Descriptor::segment(cs.base, cs.limit, cs.attributes);
  cpu_page_.minus_code_selector = 0u - cs.selector;
  cpu_page_.code_descriptor = address.value().value();
  cpu_page_.minus_code_low = 0u - loaded.low();
  cpu_page_.minus_code_high = 0u - loaded.with_accessed().high();
}

// Makes the Vcpu what it is at the point, giving back what a sequence has borrowed.
void Monitor::save_kernel_context(const CachePoint& point) {
  save_general_registers(context_, vcpu_);
  switch (point.state) {
    case PointState::boundary:
    case PointState::shadowed:
    case PointState::atomic:
      break;
    case PointState::guarding_with_eax:
      vcpu_[Register::eax] = cpu_page_.saved_eax;
      break;
    case PointState::guarding_with_edx:
      vcpu_[Register::edx] = cpu_page_.saved_edx;
      break;
    case PointState::borrowed_eax_ecx:
      vcpu_[Register::eax] = cpu_page_.saved_eax;
      [[fallthrough]];
    case PointState::borrowed_ecx:
    case PointState::guarding_with_ecx:
      vcpu_[Register::ecx] = cpu_page_.saved_ecx;
      break;
    case PointState::borrowed_ecx_edx:
      vcpu_[Register::ecx] = cpu_page_.saved_ecx;
      vcpu_[Register::edx] = cpu_page_.saved_edx;
      break;
    case PointState::pushed_borrowed_ecx_edx:
      vcpu_[Register::ecx] = cpu_page_.saved_ecx;
      vcpu_[Register::edx] = cpu_page_.saved_edx;
      [[fallthrough]];
    case PointState::pushed:
      vcpu_[Register::esp] += 4;
      break;
  }
  vcpu_.eip = point.eip;
  vcpu_.eflags = (vcpu_.eflags & ~(shared_flags | eflags::interrupt)) |
                 (context_.eflags & shared_flags) | (cpu_page_.interrupt_flag & eflags::interrupt);
  vcpu_.interrupt_shadow =
      point.state == PointState::shadowed ? InterruptShadow::sti : InterruptShadow::none;
  stepping_ = false;
}

Monitor::Next Monitor::kernel_trap() {
  // Only what the guest may have changed is taken from the processor. (QEMU 7.2's TCG puts garbage
  // into the other bits for some instructions after CMPXCHG8B, VM among them.)
  context_.eflags = (context_.eflags & (shared_flags | eflags::resume)) | eflags::interrupt |
                    eflags::always_one | (stepping_ ? eflags::trap : 0);
  ++statistics_.traps[static_cast<unsigned>(cache_view())][context_.vector & 63];
  trace_.record(cache_view(), context_);
  if (cpu_page_.page_invalidated) {
    cpu_page_.page_invalidated = 0;
    linear_.flush();
    tables_written_ = true;
  }
  if (is_host_interrupt(context_.vector)) {
    host_interrupt(context_.vector);
    return interrupted_in_cache();
  }
  if (context_.vector == static_cast<unsigned>(Vector::page_fault)) return kernel_page_fault();
  if (context_.vector == static_cast<unsigned>(Vector::invalid_opcode)) {
    if (const auto exit = cache_.exit_at(context_.eip)) return cache_exit(*exit);
  }
  if (context_.vector == static_cast<unsigned>(Vector::debug) && stepping_) {
    processor_.take_debug_status();  // user_trap asks for its own
    return interrupted_in_cache();
  }
  kernel_exception();
  return Next::leave;
}

// A host interrupt, or a step after one. Only at a boundary can the guest take an interrupt, so in
// the middle of a sequence the processor steps on to the next one.
Monitor::Next Monitor::interrupted_in_cache() {
  const auto point = cache_.point_at(context_.eip);
  if (point && is_boundary(*point)) {
    save_kernel_context(*point);  // with the shadow of STI, if it stands there
    // Between two iterations of a string instruction an interrupt pushes RF as 1.
    if (context_.vector >= host_interrupt_base) vcpu_.eflags |= context_.eflags & eflags::resume;
    return Next::leave;
  }
  ++statistics_.steps;
  stepping_ = true;
  context_.eflags |= eflags::trap;
  return Next::resume;
}

Monitor::Next Monitor::cache_exit(const CacheExit& exit) {
  ++statistics_.exits[static_cast<unsigned>(exit.kind)];
  if (exit.kind == ExitKind::port && vcpu_.cpl <= vcpu_.iopl() && !stepping_ && !code_suspect_) {
    return port_exit(exit);
  }
  if (exit.kind == ExitKind::segment && !stepping_ && load_segment_at_once(exit)) {
    if (cache_.flat_guard() == 0 || vcpu_[exit.load.segment].base == 0) {
      context_.eip += segment_exit_size;
      return Next::resume;
    }
    save_kernel_context({exit.eip + exit.load.length, PointState::boundary});  // see choose_guards
    return Next::leave;
  }
  CachePoint point{exit.eip, PointState::atomic};
  if (exit.kind == ExitKind::interpret || exit.kind == ExitKind::port ||
      exit.kind == ExitKind::segment) {
    const auto here = cache_.point_at(context_.eip);
    if (here && here->state == PointState::shadowed) point.state = PointState::shadowed;
    save_kernel_context(point);
    interpret_one();
    return Next::leave;
  }
  if (exit.kind == ExitKind::indirect) {
    point.eip = context_.ecx;
    point.state = PointState::borrowed_eax_ecx;
  }
  if (stepping_) {  // a boundary at last
    save_kernel_context(point);
    return Next::leave;
  }
  const std::uint32_t generation = cache_.generation();
  const auto target = block_at(point.eip);
  if (!target || code_suspect_) {
    save_kernel_context(point);
    return Next::leave;
  }
  const std::uint32_t from = context_.eip;
  context_.eip = *target;
  if (exit.kind == ExitKind::indirect) {
    context_.eax = cpu_page_.saved_eax;
    context_.ecx = cpu_page_.saved_ecx;
    cache_.make_landing(point.eip, *target);
  } else if (generation == cache_.generation()) {
    if (exit.kind == ExitKind::branch) cache_.chain(exit.place, *target);
    if (exit.kind == ExitKind::moved) cache_.forward(from, *target);
  }
  return Next::resume;
}

Monitor::Next Monitor::kernel_page_fault() {
  if (const auto behind = access_device_at_once()) {
    if (!vm_.pc.needs_service()) return Next::resume;
    save_kernel_context({*behind, PointState::boundary});
    return Next::leave;
  }
  const auto point = faulting_point();
  if (!point) {
    end_run(RunEnd::Kind::stopped, "a page fault at a cache address without a map");
    return Next::leave;
  }
  if (is_guarding(*point)) {
    // An operand is in the window's slot, or near it: the guest has something else there.
    kernel_exception();
    return Next::leave;
  }
  const std::uint32_t generation = cache_.generation();
  const HostLinear base = processor_.window_base();
  const std::uint32_t start = context_.eip;
  Exception exception{};
  const FaultResult result = handle_page_fault(cache_view(), exception);
  // A guard has looked for the window where it was.
  const bool moved = cache_.guarded() && base != processor_.window_base();
  const bool unchanged = generation == cache_.generation() && !code_suspect_ && !moved;
  if (result == FaultResult::resumed && unchanged) return Next::resume;
  if (result == FaultResult::written) {
    if (unchanged && !window_suspect_ && !vm_.withdrawal.starved()) return Next::resume;
    save_kernel_context({point->eip + (context_.eip - start), PointState::boundary});
    return Next::leave;
  }
  save_kernel_context(*point);
  if (result == FaultResult::inject) inject(Event::of(exception));
  if (result == FaultResult::emulate) interpret_one();
  return Next::leave;
}

// Any other exception of an instruction in the cache: the interpreter finds out what it means.
void Monitor::kernel_exception() {
  const auto point = cache_.point_at(context_.eip);
  if (!point)
    return end_run(RunEnd::Kind::stopped, "an exception at a cache address without a map");
  save_kernel_context(*point);
  interpret_one();
}

void Monitor::note_code_slot(GuestLinear linear) {
  if (!vcpu_.paging()) return;
  const GuestLinear base(linear.value() & ~0x3fffffu);
  for (unsigned i = 0; i < code_slot_count_; ++i) {
    if (code_slots_[i].base == base) return;
  }
  if (code_slot_count_ == code_slots_.size()) flush_code(CodeFlush::too_many_slots);
  code_slots_[code_slot_count_++] = {base, slot_entries(base)};
}

// What the guest's directory has for 4 MB, without A and D.
Monitor::SlotEntries Monitor::slot_entries(GuestLinear base) const {
  constexpr std::uint32_t unimportant = page_bit::accessed | page_bit::dirty;
  if (paging_mode_ != PagingMode::pae) {
    const auto entry = GuestPhysical(vcpu_.cr3).page() + (base.value() >> 22) * 4;
    return {vm_.memory.read_entry(entry) & ~unimportant, 0};
  }
  SlotEntries entries{};
  for (unsigned half = 0; half < 2; ++half) {
    const Walk walk = linear_.walk(base + half * (window::size / 2));
    if (walk.entry_count != 0) entries[half] = walk.entries[0].entry.without(unimportant).bits();
  }
  return entries;
}

// A kernel that isolates its page tables has little of itself in the address spaces of user code
// and runs a few instructions there, on its way in and out. They are interpreted, and the cache
// keeps what it will find again behind the next load of CR3.
void Monitor::compare_code_slots() {
  code_patience_ = 0;
  for (unsigned i = 0; i < code_slot_count_; ++i) {
    if (slot_entries(code_slots_[i].base) != code_slots_[i].entries) code_patience_ = most_patience;
  }
}

// Asked before each entry into the cache.
bool Monitor::cache_is_current() {
  if (code_patience_ != 0 && --code_patience_ == 0) check_code_slots();
  return code_patience_ == 0;
}

// After a switch of address space: where translated code came from must still be there.
void Monitor::check_code_slots() {
  code_suspect_ = false;
  code_patience_ = 0;
  for (unsigned i = 0; i < code_slot_count_; ++i) {
    const GuestLinear base = code_slots_[i].base;
    const SlotEntries now = slot_entries(base);
    if (now == code_slots_[i].entries) continue;
    code_slots_[i].entries = now;
    ++statistics_.code_slots_checked;
    if (!cache_.check_slot(base.value(), *this)) code_slots_[i--] = code_slots_[--code_slot_count_];
  }
}

void Monitor::flush_code(CodeFlush reason) {
  ++statistics_.code_flushes[static_cast<unsigned>(reason)];
  cache_.flush();
  cache_.set_flat_guard(0);
  code_slot_count_ = 0;
}

}  // namespace undercroft
