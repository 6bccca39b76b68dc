// See rings.hpp.
#include "rings.hpp"

#include <initializer_list>

extern "C" char trap_stack_end[];
guest::u32 ring_arguments[4];

namespace guest {
namespace {

constexpr unsigned stack_words = 256;
u32 outer_stacks[4][stack_words];
u32 inner_stacks[2][stack_words];

}  // namespace

u32 ring_stack_top(unsigned ring) {
  return reinterpret_cast<u32>(outer_stacks[ring] + stack_words);
}

u32 inner_stack_top(unsigned ring) {
  if (ring == 0) return reinterpret_cast<u32>(trap_stack_end);
  return reinterpret_cast<u32>(inner_stacks[ring - 1] + stack_words);
}

void prepare_rings() {
  for (const unsigned ring : {1u, 2u}) {
    const u8 level = static_cast<u8>(ring << 5);
    gdt()[ring_code(ring) / 8] = make_segment(0, 0xfffff, 0x9b | level, 0xc);
    gdt()[ring_data(ring) / 8] = make_segment(0, 0xfffff, 0x93 | level, 0xc);
  }
  TaskState& task = task_state();
  task.esp1 = inner_stack_top(1);
  task.ss1 = ring_data(1);
  task.esp2 = inner_stack_top(2);
  task.ss2 = ring_data(2);
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);
}

Trap run_in_ring(unsigned ring, const char* code, u32 eflags) {
  if (ring == 0) {
    return attempt([=] { asm volatile("push %0; popf; jmp *%1" : : "r"(eflags), "r"(code)); });
  }
  UserState state;
  state.ds = state.es = state.fs = state.gs = state.ss = ring_data(ring);
  state.cs = ring_code(ring);
  state.eip = address_of(code);
  state.eflags = eflags;
  state.esp = ring_stack_top(ring);
  return run_user(state);
}

}  // namespace guest
