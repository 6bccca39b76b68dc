#include "processor.hpp"

#include <initializer_list>

#include "memory.hpp"

namespace sandbox::processor {
namespace {

using namespace guest;

alignas(8) u64 ldt[ldt_descriptors];
alignas(8) u8 fault_stack[512];
alignas(8) u8 trap_stack[1024];

struct FullTaskState {
  u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, general[8], segments[6], ldtr;
  u16 trap, io_map;
};
static_assert(sizeof(FullTaskState) == 104);
FullTaskState fault_task, other_task;
// With an I/O bitmap for the ports up to 37fh.
struct MainTaskState : FullTaskState {
  u32 ports[29];
} main_task;

u32 end_of(const void* stack, u32 size) { return reinterpret_cast<u32>(stack) + size; }

u64 available_task(const void* task, u8 access = 0x89) {
  return make_segment(reinterpret_cast<u32>(task), sizeof(FullTaskState) - 1, access, 0);
}

u16 task_register() {
  u32 value;
  asm volatile("str %0" : "=r"(value));
  return static_cast<u16>(value);
}

// It runs in a ring that depends on the sequence's number, and ends at its first instruction.
void make_other_task(u32 ring) {
  constexpr u16 code[] = {kernel_code, ring1_code * 8 | 1, ring2_code * 8 | 2, user_code};
  constexpr u16 data[] = {kernel_data, ring1_data * 8 | 1, ring2_data * 8 | 2, user_data};
  other_task = {};
  other_task.esp0 = end_of(trap_stack, sizeof trap_stack);
  other_task.ss0 = kernel_data;
  other_task.cr3 = directory.address();
  other_task.eip = trampoline;
  other_task.eflags = 2;
  for (unsigned r = 0; r < 8; ++r) other_task.general[r] = 0x11111111 * r;
  other_task.general[4] = base + 0x6800;
  for (unsigned s = 0; s < 6; ++s) other_task.segments[s] = data[ring];
  other_task.segments[1] = code[ring];
  other_task.io_map = sizeof(FullTaskState);
  gdt()[other_task_entry] = available_task(&other_task, 0xe9);
}

u32 main_task_limit = sizeof(FullTaskState) - 1;

void load_main_task() {
  gdt()[fault_tss_entry] = available_task(&fault_task);
  // The limit is the sequence's.
  const u32 at = reinterpret_cast<u32>(&main_task);
  gdt()[tss_selector / 8] = make_segment(at, main_task_limit, 0x89, 0);
  asm volatile("ltr %0" : : "r"(tss_selector));
}

void make_tasks() {
  main_task.io_map = sizeof(FullTaskState);
  main_task.esp0 = end_of(trap_stack, sizeof trap_stack);
  main_task.ss0 = kernel_data;
  fault_task = {};
  fault_task.cr3 = directory.address();
  fault_task.eip = reinterpret_cast<u32>(double_fault_entry);
  fault_task.eflags = 2;
  fault_task.general[4] = end_of(fault_stack, sizeof fault_stack);
  fault_task.io_map = sizeof(FullTaskState);
  for (unsigned s = 0; s < 6; ++s) fault_task.segments[s] = kernel_data;
  fault_task.segments[1] = kernel_code;
  load_main_task();
}

void make_gates() {
  const u32 stubs = reinterpret_cast<u32>(sequence_stubs);
  for (unsigned vector = 0; vector < 256; ++vector) {
    const bool open = vector == 3 || vector == 4 || vector >= 0x80;
    set_gate(vector, make_gate(kernel_code, stubs + 16 * vector, open ? 0xee : 0x8e));
  }
  set_gate(8, make_gate(fault_tss_entry * 8, 0, 0x85));
  set_gate(other_task_vector, make_gate(other_task_entry * 8, 0, 0xe5));
}

void set(u64& entry, u64 wanted) {
  if (entry != wanted) entry = wanted;
}

u32 segment_base(u64 descriptor) {
  return static_cast<u32>(descriptor >> 16 & 0xffffff) |
         static_cast<u32>(descriptor >> 32 & 0xff000000);
}

constexpr bool has_error_code(u32 vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

void take_from_task(State& state) {
  const bool other = fault_task.link / 8 == other_task_entry;
  const FullTaskState& task = other ? other_task : main_task;
  for (unsigned r = 0; r < 8; ++r) state.general[r] = task.general[r];
  u32* const segments[] = {&state.es, &state.cs, &state.ss, &state.ds, &state.fs, &state.gs};
  for (unsigned s = 0; s < 6; ++s) *segments[s] = task.segments[s] & 0xffff;
  state.eip = task.eip;
  state.eflags = task.eflags;
  state.error = memory_at(end_of(fault_stack, sizeof fault_stack) - 4);
}

void take_from_stack(State& state) {
  u32& esp = state.general[4];
  const u64 descriptor = (state.ss & 4 ? ldt : gdt())[(state.ss & 0xffff) / 8];
  const bool is_32_bit = descriptor >> 54 & 1;
  u32 frame = segment_base(descriptor) + (is_32_bit ? esp : esp & 0xffff);
  const auto next = [&] {
    const u32 value = memory::take(frame);
    frame += 4;
    esp += 4;
    return value;
  };
  state.error = has_error_code(state.vector) ? next() : 0;
  state.eip = next();
  state.cs = next() & 0xffff;
  state.eflags = next();
  const bool from_v86 = state.eflags & vm_flag;
  if (!from_v86 && (state.cs & 3) == 0) return;
  const u32 outer_esp = next();
  state.ss = next() & 0xffff;
  esp = outer_esp;
  if (!from_v86) return;
  u32* const segments[] = {&state.es, &state.ds, &state.fs, &state.gs};
  for (unsigned s = 0; s < 4; ++s) *segments[s] = memory_at(frame + 4 * s) & 0xffff;
}

// Of a Sequence or a State.
template <class Registers>
Entry entry_of(const Registers& from) {
  Entry entry;
  for (unsigned r = 0; r < 8; ++r) entry.general[r] = from.general[r];
  entry.es = from.es;
  entry.cs = entry.far_target[1] = from.cs;
  entry.ss = entry.far_stack[1] = from.ss;
  entry.ds = from.ds;
  entry.fs = from.fs;
  entry.gs = from.gs;
  entry.eip = entry.far_target[0] = from.eip;
  entry.far_stack[0] = from.general[4];
  entry.eflags = from.eflags;
  return entry;
}

}  // namespace

void make() {
  gdt()[ring1_code] = make_segment(0, 0xfffff, 0xbb, 0xc);
  gdt()[ring1_data] = make_segment(0, 0xfffff, 0xb3, 0xc);
  gdt()[ring2_code] = make_segment(0, 0xfffff, 0xdb, 0xc);
  gdt()[ring2_data] = make_segment(0, 0xfffff, 0xd3, 0xc);
  gdt()[conforming_code] = make_segment(0, 0xfffff, 0x9f, 0xc);
  gdt()[ldt_entry] = make_segment(reinterpret_cast<u32>(ldt), sizeof ldt - 1, 0x82, 0);
  make_gates();
  make_tasks();
}

void prepare(const Sequence& sequence) {
  for (unsigned i = 0; i < random_descriptors; ++i) set(gdt()[first_random + i], sequence.gdt[i]);
  for (unsigned i = 0; i < ldt_descriptors; ++i) set(ldt[i], sequence.ldt[i]);
  for (unsigned i = 0; i < random_gates; ++i) set_gate(first_gate + i, sequence.gates[i]);
  asm volatile("lldt %0" : : "r"(sequence.ldtr));
  main_task.ss1 = sequence.ss1;
  main_task.esp1 = sequence.esp1;
  main_task.ss2 = sequence.ss2;
  main_task.esp2 = sequence.esp2;
  for (u32& word : main_task.ports) word = sequence.ports;
  if (main_task_limit != sequence.task_limit) {
    main_task_limit = sequence.task_limit;
    load_main_task();
  }
  make_other_task(sequence.number & 3);
  for (unsigned i = 0; i < saved_task_words; ++i) (&main_task.eip)[i] = 0;
  asm volatile("mov %0, %%cr2" : : "r"(0));
  asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0));
  for (const u32 msr : {0x174u, 0x175u, 0x176u}) write_msr(msr, 0);
}

void enter(const Sequence& sequence) {
  sequence_entry = entry_of(sequence);
  set_cr4(sequence.cr4);
  set_cr0(sequence.cr0);
  enter_sequence();
}

void enter_again(const Sequence& sequence, const State& state) {
  sequence_entry = entry_of(state);
  set_cr4(sequence.cr4);
  set_cr0(state.cr0);
  enter_sequence();
}

void regain() {
  set_cr0(cr0_pg | 0x31);
  set_cr4(0);
  sequence_state.tr = task_register();
  if (sequence_state.tr != tss_selector) load_main_task();
}

void look(State& state) {
  asm volatile("mov %%dr6, %0" : "=r"(state.dr6));
  if (state.by_task) return take_from_task(state);
  take_from_stack(state);
}

// The trampoline's own frame, which `look` has taken, lies below.
u32 trap_stack_words(const State& state) {
  const u32 top = end_of(trap_stack, sizeof trap_stack), esp = state.general[4];
  return !state.by_task && state.tr == tss_selector && esp < top && esp >= top - 64
             ? (top - esp) / 4
             : 0;
}

u32 trap_stack_word(u32 index) {
  return memory_at(end_of(trap_stack, sizeof trap_stack) - 4 - 4 * index);
}

u32 saved_task_word(unsigned index) { return (&main_task.eip)[index]; }

u64 descriptor_before(const Sequence& sequence, unsigned index) {
  if (index < random_descriptors) return sequence.gdt[index];
  return sequence.ldt[index - random_descriptors];
}

u64 descriptor_after(unsigned index) {
  if (index < random_descriptors) return gdt()[first_random + index];
  return ldt[index - random_descriptors];
}

}  // namespace sandbox::processor
