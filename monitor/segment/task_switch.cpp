// See task_switch.hpp.
#include "task_switch.hpp"

#include "code_segment.hpp"
#include "stack.hpp"

namespace undercroft {

namespace {

// Where a TSS keeps its fields (SDM volume 3, figures 7-2 and 7-10). General registers follow one
// another in ModRM's order, segment selectors in the order of Segment.
struct TssLayout {
  std::uint32_t smallest_limit;
  unsigned word;  // size of EIP, EFLAGS and the general registers
  std::uint32_t eip, eflags, general, selectors;
  unsigned selector_stride, selector_count;
  std::uint32_t ldt;
  std::uint32_t saved_begin, saved_end;  // the dynamic fields, written when a task is left
};
constexpr TssLayout layout_32{0x67, 4, 0x20, 0x24, 0x28, 0x48, 4, 6, 0x60, 0x20, 0x60};
constexpr TssLayout layout_16{0x2b, 2, 0x0e, 0x10, 0x12, 0x22, 2, 4, 0x2a, 0x0e, 0x2a};
constexpr std::uint32_t cr3_offset = 0x1c, trap_offset = 0x64;

constexpr const TssLayout& layout_of(bool is_32_bit) { return is_32_bit ? layout_32 : layout_16; }
constexpr bool is_32_bit_tss(const DescriptorCache& tr) { return tr.type() & 8; }

struct TaskState {
  std::uint32_t cr3 = 0, eip = 0, eflags = 0;
  std::array<std::uint32_t, 8> general{};
  std::array<std::uint16_t, 6> selectors{};
  std::uint16_t ldt = 0;
  bool trap = false;
};

Guarded<TaskState> read_task(LinearMemory& memory, GuestLinear tss, bool is_32_bit) {
  const TssLayout& layout = layout_of(is_32_bit);
  const auto field = [&](std::uint32_t offset, unsigned size) {
    return memory.read(tss + offset, size, Privilege::supervisor);
  };
  TaskState task;
  task.eip = TRY(field(layout.eip, layout.word));
  task.eflags = TRY(field(layout.eflags, layout.word));
  for (unsigned i = 0; i < 8; ++i) {
    const std::uint32_t value = TRY(field(layout.general + i * layout.word, layout.word));
    task.general[i] = is_32_bit ? value : value | 0xffff0000;  // as the 386 and Bochs load them
  }
  for (unsigned i = 0; i < layout.selector_count; ++i) {
    task.selectors[i] =
        static_cast<std::uint16_t>(TRY(field(layout.selectors + i * layout.selector_stride, 2)));
  }
  task.ldt = static_cast<std::uint16_t>(TRY(field(layout.ldt, 2)));
  if (!is_32_bit) return task;
  task.cr3 = TRY(field(cr3_offset, 4));
  task.trap = TRY(field(trap_offset, 2)) & 1;
  return task;
}

// The caller has probed the whole range.
Guarded<Done> save_task(const Vcpu& vcpu, LinearMemory& memory, std::uint32_t eip,
                        std::uint32_t flags) {
  const TssLayout& layout = layout_of(is_32_bit_tss(vcpu.tr));
  const GuestLinear tss(vcpu.tr.base);
  const auto field = [&](std::uint32_t offset, std::uint32_t value, unsigned size) {
    const std::uint32_t word = size == 2 ? value & 0xffff : value;
    return memory.write(tss + offset, word, size, Privilege::supervisor);
  };
  TRY(field(layout.eip, eip, layout.word));
  TRY(field(layout.eflags, flags, layout.word));
  for (unsigned i = 0; i < 8; ++i) {
    TRY(field(layout.general + i * layout.word, vcpu.general[i], layout.word));
  }
  for (unsigned i = 0; i < layout.selector_count; ++i) {
    TRY(field(layout.selectors + i * layout.selector_stride, vcpu.segments[i].selector, 2));
  }
  return Done{};
}

Guarded<Done> write_busy(LinearMemory& memory, GuestLinear entry, bool busy) {
  const std::uint32_t access = TRY(memory.read_to_modify(entry + 5, 1, Privilege::supervisor));
  const std::uint32_t changed = busy ? access | 2 : access & ~2u;
  return memory.write(entry + 5, changed, 1, Privilege::supervisor);
}

// The new TSS descriptor: SDM volume 3, 7.3 steps 3 and 4. IRET reports #TS, the others #GP.
Guarded<TableEntry> find_task(const Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector,
                              TaskSwitchKind kind) {
  const bool returning = kind == TaskSwitchKind::interrupt_return;
  const Vector vector = returning ? Vector::invalid_tss : Vector::general_protection;
  if (selector::in_ldt(selector) || selector::is_null(selector)) {
    return refuse_selector(vector, selector);
  }
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector, vector));
  if (!entry.descriptor.is_tss() || entry.descriptor.is_busy_tss() != returning) {
    return refuse_selector(vector, selector);
  }
  TRY(require_present(entry.descriptor, selector));
  const TssLayout& layout = layout_of(entry.descriptor.is_32_bit_tss());
  if (entry.descriptor.limit() < layout.smallest_limit) {
    return refuse_selector(Vector::invalid_tss, selector);
  }
  return entry;
}

// Everything that is going to be written, so that a #PF comes before the commit point.
Guarded<Done> probe_switch(const Vcpu& vcpu, LinearMemory& memory, const TableEntry& entry,
                           bool nested) {
  const TssLayout& layout = layout_of(is_32_bit_tss(vcpu.tr));
  if (!vcpu.tr.usable || vcpu.tr.limit < layout.smallest_limit) {
    return refuse_selector(Vector::invalid_tss, vcpu.tr.selector);
  }
  TRY(memory.probe_write(GuestLinear(vcpu.tr.base) + layout.saved_begin,
                         layout.saved_end - layout.saved_begin, Privilege::supervisor));
  if (nested) {
    TRY(memory.probe_write(GuestLinear(entry.descriptor.base()), 2, Privilege::supervisor));
  } else {
    const GuestLinear old_entry = TRY(descriptor_address(vcpu, vcpu.tr.selector));
    TRY(memory.probe_write(old_entry + 5, 1, Privilege::supervisor));
  }
  return memory.probe_write(entry.address + 5, 1, Privilege::supervisor);
}

Guarded<Done> load_task_ldt(Vcpu& vcpu, LinearMemory& memory, std::uint16_t selector) {
  if (selector::is_null(selector)) return Done{};
  if (selector::in_ldt(selector)) return refuse_selector(Vector::invalid_tss, selector);
  const TableEntry entry = TRY(lookup_descriptor(vcpu, memory, selector, Vector::invalid_tss));
  if (!entry.descriptor.is_ldt() || !entry.descriptor.present()) {
    return refuse_selector(Vector::invalid_tss, selector);
  }
  vcpu.ldtr = entry.descriptor.cache(selector);
  return Done{};
}

// Segment registers of the new task, in its own context (SDM volume 3, table 7-1).
Guarded<Done> load_task_segments(Vcpu& vcpu, LinearMemory& memory, const TaskState& task) {
  if (vcpu.virtual_8086()) {
    for (unsigned i = 0; i < 6; ++i) vcpu.segments[i] = virtual_8086_segment(task.selectors[i]);
    return require_offset(vcpu.eip, 0xffff);
  }
  const std::uint16_t cs = task.selectors[static_cast<unsigned>(Segment::cs)];
  const TableEntry code = TRY(lookup_code(vcpu, memory, cs, Vector::invalid_tss));
  if (!may_return(code.descriptor, cs)) return refuse_selector(Vector::invalid_tss, cs);
  TRY(require_present(code.descriptor, cs));
  vcpu[Segment::cs] = TRY(mark_accessed(memory, code)).cache(cs);
  const std::uint16_t ss = task.selectors[static_cast<unsigned>(Segment::ss)];
  vcpu[Segment::ss] = TRY(stack_segment_for(vcpu, memory, ss, vcpu.cpl, Vector::invalid_tss));
  for (const Segment segment : {Segment::ds, Segment::es, Segment::fs, Segment::gs}) {
    const std::uint16_t selector = task.selectors[static_cast<unsigned>(segment)];
    vcpu[segment] = TRY(data_segment_for(vcpu, memory, selector, vcpu.cpl, Vector::invalid_tss));
  }
  return require_offset(vcpu.eip, vcpu[Segment::cs].limit);
}

// The commit point: registers and visible selectors of the new task, hidden parts not loaded yet.
Guarded<Done> become_task(Vcpu& vcpu, Environment& environment, const TaskState& task,
                          DescriptorCache tr, std::uint32_t added_flags) {
  constexpr std::uint32_t defined = 0x00277fd7;  // without VIF and VIP: see interrupt_return.cpp
  const bool is_32_bit = is_32_bit_tss(tr);
  vcpu.tr = tr;
  vcpu.cr0 |= cr0::task_switched;
  vcpu.general = task.general;
  vcpu.eip = task.eip;
  vcpu.eflags = ((task.eflags | added_flags) & defined) | eflags::always_one;
  for (unsigned i = 0; i < 6; ++i) vcpu.segments[i] = null_cache(task.selectors[i]);
  vcpu.ldtr = null_cache(task.ldt);
  const std::uint16_t cs = task.selectors[static_cast<unsigned>(Segment::cs)];
  vcpu.cpl = vcpu.virtual_8086() ? 3 : static_cast<std::uint8_t>(selector::rpl(cs));
  constexpr std::uint32_t local_breakpoints = 0x155;  // DR7.L0 to L3 and LE
  if (vcpu.dr7 & local_breakpoints) {
    vcpu.dr7 &= ~local_breakpoints;
    environment.debug_registers_changed(vcpu);
  }
  environment.fpu_control_changed(vcpu);
  if (!is_32_bit || !vcpu.paging()) return Done{};
  if (vcpu.cr4 & cr4::physical_address_extension) {
    const auto pointers = environment.page_pointers(task.cr3);
    // The manual says #GP(0) of MOV CR3 and nothing of this; Bochs raises #TS in the new task.
    if (!pointers) return refuse_selector(Vector::invalid_tss, tr.selector);
    vcpu.pdptes = *pointers;
  }
  vcpu.cr3 = task.cr3;
  environment.page_root_loaded(vcpu);
  return Done{};
}

// What happens in the new task before its first instruction.
Guarded<Transfer> start_task(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                             const TaskState& task, const TaskSwitchEvent& event) {
  const auto ldt_loaded = load_task_ldt(vcpu, memory, task.ldt);
  environment.descriptor_tables_changed(vcpu);
  if (!ldt_loaded.ok()) return Failure{ldt_loaded.error()};
  TRY(load_task_segments(vcpu, memory, task));
  if (event.error_code) {
    const unsigned size = is_32_bit_tss(vcpu.tr) ? 4 : 2;
    PushFrame frame(vcpu, size);
    frame.push(*event.error_code);
    vcpu[Register::esp] = TRY(frame.write(memory));
  }
  return Transfer{task.trap};
}

}  // namespace

Guarded<Transfer> task_switch(Vcpu& vcpu, LinearMemory& memory, Environment& environment,
                              std::uint16_t tss_selector, TaskSwitchKind kind,
                              std::uint32_t next_eip, const TaskSwitchEvent& event) {
  const TableEntry entry = TRY(find_task(vcpu, memory, tss_selector, kind));
  const bool nested = kind == TaskSwitchKind::call || kind == TaskSwitchKind::interrupt;
  const bool returning = kind == TaskSwitchKind::interrupt_return;
  const GuestLinear new_tss(entry.descriptor.base());
  TRY(probe_switch(vcpu, memory, entry, nested));
  const TaskState task = TRY(read_task(memory, new_tss, entry.descriptor.is_32_bit_tss()));

  if (!nested) {
    const GuestLinear old_entry = TRY(descriptor_address(vcpu, vcpu.tr.selector));
    TRY(write_busy(memory, old_entry, false));
  }
  std::uint32_t saved_flags = vcpu.eflags | event.saved_flags;
  if (returning) saved_flags &= ~eflags::nested_task;
  TRY(save_task(vcpu, memory, next_eip, saved_flags));
  if (nested) TRY(memory.write(new_tss, vcpu.tr.selector, 2, Privilege::supervisor));
  if (!returning) TRY(write_busy(memory, entry.address, true));

  const DescriptorCache tr = entry.descriptor.with_busy(true).cache(tss_selector);
  TRY(become_task(vcpu, environment, task, tr, nested ? eflags::nested_task : 0));
  return start_task(vcpu, memory, environment, task, event);
}

Guarded<StackPointer> inner_stack(const Vcpu& vcpu, LinearMemory& memory, unsigned level) {
  const bool is_32_bit = is_32_bit_tss(vcpu.tr);
  const unsigned word = is_32_bit ? 4 : 2;
  const std::uint32_t offset = is_32_bit ? 4 + 8 * level : 2 + 4 * level;
  if (!vcpu.tr.usable || offset + word + 1 > vcpu.tr.limit) {
    return refuse_selector(Vector::invalid_tss, vcpu.tr.selector);
  }
  const GuestLinear stack = GuestLinear(vcpu.tr.base) + offset;
  StackPointer pointer;
  pointer.esp = TRY(memory.read(stack, word, Privilege::supervisor));
  pointer.ss = static_cast<std::uint16_t>(TRY(memory.read(stack + word, 2, Privilege::supervisor)));
  return pointer;
}

}  // namespace undercroft
