#include "v86_monitor.hpp"

#include "memory.hpp"

namespace sandbox::v86_monitor {
namespace {

using namespace guest;

constexpr u32 task_flags =
    0x4dd5;  // those that POPF and IRET change; IF and IOPL are the monitor's

u32 linear(u32 segment, u32 offset) { return segment * 16 + offset; }

// A word of the task, by the addresses and the rights that the task has.
bool reachable(u32 segment, u32 offset) {
  const u32 address = linear(segment, offset);
  return offset < 0xffff && memory::open_to_v86(address) && memory::open_to_v86(address + 1);
}

volatile u16& word_at(u32 segment, u32 offset) {
  return *reinterpret_cast<volatile u16*>(linear(segment, offset));
}

bool push(State& state, u32 value) {
  const u32 sp = (state.general[4] - 2) & 0xffff;
  if (!reachable(state.ss, sp)) return false;
  word_at(state.ss, sp) = static_cast<u16>(value);
  state.general[4] = (state.general[4] & 0xffff0000) | sp;
  return true;
}

bool pop(State& state, u32& value) {
  const u32 sp = state.general[4] & 0xffff;
  if (!reachable(state.ss, sp)) return false;
  value = word_at(state.ss, sp);
  state.general[4] = (state.general[4] & 0xffff0000) | ((sp + 2) & 0xffff);
  return true;
}

void set_flags(State& state, u32 value) {
  state.eflags = (state.eflags & ~task_flags) | (value & task_flags);
}

bool call_handler(State& state, u32 vector) {
  State changed = state;
  if (!push(changed, state.eflags) || !push(changed, state.cs) || !push(changed, state.eip + 2))
    return false;
  changed.cs = low_base / 16;
  changed.eip = v86_handlers + 16 * vector;
  state = changed;
  return true;
}

bool return_from_handler(State& state) {
  State changed = state;
  u32 flags;
  if (!pop(changed, changed.eip) || !pop(changed, changed.cs) || !pop(changed, flags)) return false;
  set_flags(changed, flags);
  state = changed;
  return true;
}

bool done(State& state, u32 opcode) {
  u32 flags;
  switch (opcode) {
    case 0xfa:
      state.eflags &= ~interrupt_flag;
      return true;
    case 0xfb:
      state.eflags |= interrupt_flag;
      return true;
    case 0x9c:
      return push(state, state.eflags);
    case 0x9d:
      if (!pop(state, flags)) return false;
      set_flags(state, flags);
      return true;
    default:
      return false;
  }
}

}  // namespace

bool served(const Sequence& sequence, State& state) {
  if (!(sequence.options & has_v86_monitor) || !(state.eflags & vm_flag) || state.vector != 13 ||
      !reachable(state.cs, state.eip))
    return false;
  const u32 bytes = word_at(state.cs, state.eip), vector = (bytes >> 8) - first_v86_vector;
  if ((bytes & 0xff) == 0xcd) return vector < v86_vectors && call_handler(state, vector);
  if ((bytes & 0xff) == 0xcf) return return_from_handler(state);
  if (!done(state, bytes & 0xff)) return false;
  ++state.eip;
  return true;
}

}  // namespace sandbox::v86_monitor
