#include "monitor.hpp"

#include <algorithm>

#include "slow_clock.hpp"
#include "window_layout.hpp"

namespace undercroft {
namespace {

// DR6 bits (SDM volume 3, 17.2.3).
constexpr std::uint32_t dr6_single_step = 1u << 14;
constexpr std::uint32_t dr6_task_switch = 1u << 15;

// Interpreted instructions between two looks at the host's interrupts.
constexpr unsigned instructions_per_poll = 128;

// Frames looked at in one round of the loop, so that the guest's interrupts do not wait for all.
constexpr std::uint32_t frames_per_sweep = 256;

}  // namespace

Monitor::Monitor(const Foundation& f, const MonitorOptions& options)
    : processor_(f.processor),
      clock_(f.clock),
      input_(f.input),
      console_(f.console),
      vm_(f.vm),
      options_(options),
      linear_(vcpu_, f.vm.memory, options.absent),
      watched_memory_(vcpu_, linear_),
      interpreter_(watched_memory_, *this),
      shadow_(f.vm.pool, f.vm.memory, f.processor, *this),
      cache_(f.window, f.window_image, f.vm.memory.slots()),
      screen_(f.vm.pc, f.vm.video, f.display),
      native_code_(f.window, f.window_image, f.vm.memory.slots()),
      descriptors_(f.processor.gdt_image(View::user), f.processor.ldt_image(View::user)),
      table_writes_(*this),
      code_writes_(*this),
      cpu_page_frame_(f.vm.memory.slots().map(f.window_image + window::cpu_page)),
      cpu_page_(*cpu_page_frame_.as<VirtualCpuPage>()),
      hop_countdown_(options.window_hop),
      sweep_countdown_(options.withdraw_every) {
  vm_.memory.add_watcher(Watcher::page_table, shadow_);
  vm_.memory.add_watcher(Watcher::page_table, table_writes_);
  vm_.memory.add_watcher(Watcher::descriptor_table, *this);
  vm_.memory.add_watcher(Watcher::translated_code, code_writes_);
  shadow_.set_budget(vm_.pool.free_frames() / 12);
  shadow_.take_frames();
  vm_.withdrawal.set_unmapper(shadow_);
  vm_.video.set_unmapper(shadow_);
  cache_.flush();
  for (unsigned s = 0; s < kernel_segments_.size(); ++s) note_guard_base(s);
}

RunEnd Monitor::run(const Vcpu& start) {
  vcpu_ = start;
  use_address_space();
  fpu_control_changed(vcpu_);
  while (!end_) {
    service();
    tend_frames();
    if (end_) break;
    if (window_suspect_) keep_window_clear();
    if (code_suspect_) check_code_slots();
    switch (engine()) {
      case Engine::direct:
        run_directly();
        break;
      case Engine::translate:
        run_translated();
        break;
      case Engine::interpret:
        run_interpreted();
        break;
    }
  }
  screen_.finish();
  return *end_;
}

// Direct execution is for CPL 3 and V86 mode unless user=translate, the cache for CPL 0 and for
// user code whose IF or IOPL the processor cannot have, in flat 32-bit segments with nothing
// unusual in EFLAGS; the interpreter takes the rest, the one instruction in an interrupt shadow,
// what stands on the page of an armed breakpoint, and everything while a breakpoint on ports is
// armed or A20 is masked.
Monitor::Engine Monitor::engine() {
  if (!vcpu_.protected_mode() || vcpu_.a20_masked) return Engine::interpret;
  if (breakpoints_armed(vcpu_) && breakpoint_may_strike()) return Engine::interpret;
  if (vcpu_.interrupt_shadow != InterruptShadow::none) return Engine::interpret;
  if (vcpu_.nmi_blocked) return Engine::interpret;  // which sees every IRET
  if (!options_.translate_user) {
    if (vcpu_.virtual_8086()) return virtual_8086_is_exact() ? Engine::direct : Engine::interpret;
    if (vcpu_.cpl == 3 && flags_allow_direct_execution()) {
      return direct_execution_is_exact() ? Engine::direct : Engine::interpret;
    }
  }
  if (interprets_kernel() || !can_translate()) return Engine::interpret;
  return cache_is_current() ? Engine::translate : Engine::interpret;
}

bool Monitor::breakpoint_may_strike() const {
  const GuestLinear address(vcpu_[Segment::cs].base + vcpu_.eip);
  return shadow_.hides(address) || port_breakpoints_armed(vcpu_);
}

bool Monitor::can_translate() const {
  constexpr std::uint32_t unusual = eflags::trap | eflags::nested_task | eflags::virtual_8086;
  const bool user = vcpu_.cpl == 3;
  const DescriptorCache& cs = vcpu_[Segment::cs];
  if (user && (vcpu_.cr0 & cr0::alignment_mask) && (vcpu_.eflags & eflags::alignment_check)) {
    return false;
  }
  return (vcpu_.cpl == 0 || user) && vcpu_.protected_mode() && cs.base == 0 &&
         cs.limit == 0xffffffff && cs.is_32_bit() && vcpu_[Segment::ss].is_32_bit() &&
         vcpu_[Segment::ss].usable && !(vcpu_.eflags & unusual);
}

// Brings the devices up to the present time and lets them speak, if anything may have happened.
void Monitor::service() {
  if (attention_ || vm_.pc.needs_service() || screen_.waits()) {
    attention_ = false;
    tables_suspect_ = true;  // a device may write to memory
    const std::uint64_t now = clock_.now();
    vm_.pc.advance(now);
    screen_.tend(now);
    take_host_input();
    watch_the_guest(now);
    const PcRequest request = vm_.pc.request();
    switch (request.kind) {
      case PcRequest::Kind::none:
        break;
      case PcRequest::Kind::power_off:
        return end_run(RunEnd::Kind::power_off);
      case PcRequest::Kind::reset:
        return end_run(RunEnd::Kind::reset);
      case PcRequest::Kind::exit:
        end_run(RunEnd::Kind::exit);
        end_->value = request.value;
        return;
    }
    arm_alarm(now);
  }
  if (vcpu_.halted) wait_while_halted();
  deliver_pending_interrupt();
}

void Monitor::tend_frames() {
  if (vm_.withdrawal.starved()) {
    return end_run(RunEnd::Kind::stopped, "no machine frame is left for the guest's memory");
  }
  if (options_.withdraw_every == 0 || --sweep_countdown_ != 0) return;
  sweep_countdown_ = vm_.withdrawal.sweep(frames_per_sweep) ? options_.withdraw_every : 1;
}

// For the devices' next deadline, unless it is armed for that already.
void Monitor::arm_alarm(std::uint64_t now) {
  const std::uint64_t deadline = std::min(vm_.pc.next_deadline(), screen_.deadline());
  if (deadline == alarm_) return;
  alarm_ = deadline;
  processor_.set_alarm(deadline > now ? host_span(deadline - now, options_.slowness) : 0);
}

void Monitor::host_interrupt(std::uint32_t vector) {
  processor_.acknowledge_interrupt(vector - host_interrupt_base);
  attention_ = true;
  alarm_ = 0;  // perhaps it was the alarm
}

void Monitor::take_host_input() {
  std::uint8_t byte;
  while (vm_.pc.can_take_serial_input() && input_.read_serial(byte)) vm_.pc.serial_input(byte);
  while (input_.read_command(byte)) obey(static_cast<char>(byte));
  while (vm_.pc.can_take_keyboard_input() && input_.read_keyboard(byte)) {
    vm_.pc.keyboard_input(byte);
  }
  MouseMovement movement;
  while (input_.read_mouse(movement)) vm_.pc.mouse_input(movement);
  if (lights_ != vm_.pc.keyboard_lights()) {
    lights_ = vm_.pc.keyboard_lights();
    input_.show_lights(lights_);
  }
  input_waits_ = !vm_.pc.can_take_serial_input() || !vm_.pc.can_take_keyboard_input();
}

void Monitor::deliver_pending_interrupt() {
  if (nmi_deliverable() && vcpu_.interrupt_shadow == InterruptShadow::none) {
    vm_.pc.take_nmi();
    inject(Event::nonmaskable());
  }
  if (!interruptible() || !vm_.pc.interrupt_pending()) return;
  ++statistics_.delivered_interrupts;
  inject(Event::external(vm_.pc.acknowledge_interrupt()));
  attention_ = true;  // the acknowledge may have started the next thing
}

bool Monitor::nmi_deliverable() const { return vm_.pc.nmi_pending() && !vcpu_.nmi_blocked; }

// With IF clear only an NMI can wake the guest, if it has made one possible.
void Monitor::wait_while_halted() {
  const bool nmi_may_come = !vcpu_.nmi_blocked && (vm_.pc.nmi_pending() || vm_.pc.nmi_may_come());
  if (!vcpu_.interrupts_enabled() && !nmi_may_come) return end_run(RunEnd::Kind::halted);
  vcpu_.interrupt_shadow = InterruptShadow::none;
  while (!nmi_deliverable() && !(vcpu_.interrupts_enabled() && vm_.pc.interrupt_pending())) {
    const std::uint64_t now = clock_.now();
    watch_the_guest(now);
    if (end_) return;
    arm_alarm(now);
    ++statistics_.idle;
    processor_.wait_for_interrupt();
    alarm_ = 0;
    const std::uint64_t awake = clock_.now();
    vm_.pc.advance(awake);
    screen_.tend(awake);
    take_host_input();
  }
  vcpu_.halted = false;
}

void Monitor::end_run(RunEnd::Kind kind, const char* reason) {
  if (end_) return;
  end_.emplace();
  end_->kind = kind;
  end_->reason = reason;
}

void Monitor::inject(const Event& event) {
  tables_suspect_ = true;
  if (event.kind == Event::Kind::exception) ++statistics_.injected[event.vector & 31];
  const Delivery delivery = deliver(vcpu_, linear_, *this, event);
  segments_exact_ = false;
  if (delivery.outcome == Delivery::Outcome::triple_fault) {
    end_run(RunEnd::Kind::triple_fault);
    end_->event = event;
    end_->chain = delivery;
  } else if (delivery.task_trap) {
    inject(Event::debug(dr6_task_switch));
  }
}

// One instruction, and those behind it for which run() would find nothing new.
void Monitor::run_interpreted() {
  const bool before = interruptible();
  do {
    if (!interpret_one()) return;
  } while (interprets_on() && interruptible() == before);
}

// Whether the loop has nothing else to do and would choose the interpreter again.
bool Monitor::interprets_on() const {
  if (attention_ || window_suspect_ || code_suspect_ || options_.withdraw_every != 0) return false;
  if (end_ || vm_.withdrawal.starved()) return false;
  if (vm_.pc.needs_service() || nmi_deliverable()) return false;
  if (!vcpu_.protected_mode() || vcpu_.a20_masked) return true;
  const bool no_other_engine = interprets_kernel() || !can_translate();
  return no_other_engine && vcpu_.cpl != 3 && !vcpu_.virtual_8086();
}

bool Monitor::interpret_one() {
  if (breakpoints_armed(vcpu_) && !(vcpu_.eflags & eflags::resume)) {
    const GuestLinear address(vcpu_[Segment::cs].base + vcpu_.eip);
    if (const auto hits = execution_breakpoints(vcpu_, address)) {
      inject(Event::debug(hits));
      return false;
    }
  }
  trace_.record_interpreted(vcpu_);
  const StepOutcome outcome = interpreter_.step(vcpu_);
  segments_exact_ = false;
  tables_suspect_ = true;
  if (outcome.instruction)
    ++statistics_.interpreted_operations[static_cast<unsigned>(outcome.instruction->operation)];
  switch (outcome.kind) {
    case StepOutcome::Kind::retired:
    case StepOutcome::Kind::unfinished:
    case StepOutcome::Kind::halted:
      ++statistics_.interpreted;
      poll_interrupts(outcome.kind == StepOutcome::Kind::unfinished);
      if (!outcome.single_step && !outcome.task_trap && !watched_memory_.has_hits()) {
        return !vcpu_.halted;
      }
      return !trapped(outcome) && !vcpu_.halted;
    case StepOutcome::Kind::exception:
      watched_memory_.take_hits();
      if (outcome.exception.vector == Vector::fpu_error && !(vcpu_.cr0 & cr0::numeric_error)) {
        wait_for_fpu_interrupt();
      } else {
        inject(Event::of(outcome.exception));
      }
      return false;
    case StepOutcome::Kind::software_event:
      ++statistics_.interpreted;
      inject(outcome.event);
      // What MOV SS has held back comes when the way into the handler is done (SDM volume 2, POP).
      if (const auto held = watched_memory_.take_hits()) inject(Event::debug(held));
      return false;
    case StepOutcome::Kind::unsupported:
      end_run(RunEnd::Kind::stopped, "an instruction that the interpreter does not know");
      return false;
  }
  return false;
}

// Raises the debug traps of an instruction that has retired. False: there is none.
bool Monitor::trapped(const StepOutcome& outcome) {
  // MOV SS holds its own breakpoints back, too, until the next instruction has retired.
  if (vcpu_.interrupt_shadow == InterruptShadow::mov_ss) return false;
  const auto bits = watched_memory_.take_hits() | (outcome.single_step ? dr6_single_step : 0);
  if (bits != 0) inject(Event::debug(bits));
  if (outcome.task_trap) inject(Event::debug(dr6_task_switch));
  return bits != 0 || outcome.task_trap;
}

// With CR0.NE clear an x87 error leaves the processor by FERR#, which a PC wires to IRQ 13, and the
// instruction that met it waits for an interrupt (SDM volume 1, 8.7.2).
void Monitor::wait_for_fpu_interrupt() {
  vm_.pc.raise_fpu_error();
  vcpu_.halted = true;
}

// The monitor runs with the host's interrupts off, and a guest that is interpreted may never enter
// the processor.
void Monitor::poll_interrupts(bool long_instruction) {
  if (!long_instruction && ++poll_countdown_ < instructions_per_poll) return;
  poll_countdown_ = 0;
  if (!processor_.poll_interrupts()) return;
  attention_ = true;
  alarm_ = 0;  // perhaps it was the alarm
}

// Runs the guest on the processor until it traps.
void Monitor::enter_processor(View view) {
  const std::uint64_t start = processor_.time_stamp();
  processor_.enter(context_);
  statistics_.ticks[static_cast<unsigned>(view)] += processor_.time_stamp() - start;
}

Exception Monitor::hardware_exception() const {
  const auto vector = static_cast<Vector>(context_.vector);
  switch (vector) {
    case Vector::double_fault:
    case Vector::invalid_tss:
    case Vector::segment_not_present:
    case Vector::stack_fault:
    case Vector::general_protection:
    case Vector::alignment_check:
      return Exception::with_code(vector, context_.error_code);
    default:
      return Exception::without_code(vector);
  }
}

// Loads the root of the view, if the processor does not have it, or has it with entries that are
// gone.
void Monitor::enter_view(View view) {
  if (view_ == view && !shadow_.flush_due()) return;
  shadow_.load(view);
  view_ = view;
  ++statistics_.root_loads;
}

}  // namespace undercroft
