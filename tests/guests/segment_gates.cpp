// Call gates from each ring to each inner ring with parameters, of 32 and 16 bits; interrupt and
// trap gates likewise; conforming targets; what is refused, with its error code; stacks of the TSS
// that cannot be used. "limits" on the command line adds what lax processors get wrong.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_gates";

namespace {

constexpr u8 code = 0x9a, conforming = 0x9e, data = 0x92, read_only = 0x90, not_present = 0x80;
constexpr u8 call_32 = 0x8c, call_16 = 0x84, flat = 0xc, bytes_32 = 4;
constexpr u8 level(u8 access, unsigned dpl) { return static_cast<u8>(access | dpl << 5); }
constexpr u16 gate_selector = test_selector(0, 3), target = test_selector(1);
constexpr unsigned vector = 0x82;

asm(R"(
.text
g_call:      pushl $0x11111111
             pushl $0x22222222
             pushl $0x33333333
             lcall *ring_arguments
             int $0x80
g_jump:      ljmp *ring_arguments
g_interrupt: int $0x82
             int $0x80
g_halt:      hlt
// The other side. g_stop begins its segment where that has a base.
g_stop:      int $0x80
g_return:    mov %cs, %eax
             mov %ss, %ebx
             mov 8(%esp), %ecx
             mov 16(%esp), %edx
             lret $12
g_iret:      mov %cs, %eax
             mov %ss, %ebx
             iret
)");
extern "C" char g_call[], g_jump[], g_interrupt[], g_halt[], g_stop[], g_return[], g_iret[];

u32 word_at(u32 address) { return *reinterpret_cast<u32*>(address); }

// What was pushed where the stack began, highest word first.
void print_stack(u32 top, unsigned words) {
  for (unsigned i = 1; i <= words; ++i) print(' ', hex(word_at(top - 4 * i)));
}

void print_refusal(const Trap& trap) {
  print(' ', trap.frame.vector, ':', hex(trap.frame.error, 4));
}

// A code segment of the ring whose base is g_stop, so that 16 bits reach it.
void make_target(unsigned ring, u8 access = code) {
  test_entry(1) = make_segment(address_of(g_stop), 0xfff, level(access, ring), bytes_32);
}
void use_gate(u64 gate, u16 rpl = 3) {
  test_entry(0) = gate;
  ring_arguments[0] = 0xdeadbeef;  // ignored
  ring_arguments[1] = test_selector(0, rpl);
}

void calls_inward() {
  for (unsigned from = 1; from < 4; ++from) {
    for (unsigned to = 0; to < from; ++to) {
      make_target(to);
      for (const u8 type : {call_32, call_16}) {
        for (const u8 parameters : {0, 1, 3, 31}) {
          use_gate(make_gate(target, 0, level(type, 3), parameters));
          const Trap trap = run_in_ring(from, g_call);
          print("call ", type == call_32 ? 32 : 16, " from ", from, " to ", to, ", ", parameters,
                ": ", trap.frame.vector, ' ', hex(trap.frame.cs & 0xffff, 4), ':',
                hex(trap.frame.eip));
          if (to) print(" esp -", inner_stack_top(to) - trap.frame.esp);
          print_stack(inner_stack_top(to), parameters == 31 ? 8 : 4 + parameters);
          put('\n');
        }
      }
      use_gate(make_gate(ring_code(to), address_of(g_return), level(call_32, 3), 3));
      const Trap trap = run_in_ring(from, g_call);
      line("  and back: ", trap.frame.vector, ' ', hex(trap.frame.cs & 0xffff, 4), " was ",
           hex(trap.frame.eax & 0xffff, 4), ' ', hex(trap.frame.ebx & 0xffff, 4), " parameters ",
           hex(trap.frame.ecx), ' ', hex(trap.frame.edx), " esp -",
           ring_stack_top(from) - trap.frame.esp);
    }
  }
}

// Call gates that stay in the ring: to its own code, and to conforming code of an inner one.
void calls_within() {
  for (unsigned ring = 1; ring < 4; ++ring) {
    for (const u8 type : {call_32, call_16}) {
      make_target(ring);
      use_gate(make_gate(target, 0, level(type, 3), 3));
      Trap trap = run_in_ring(ring, g_call);
      print("call ", type == call_32 ? 32 : 16, " within ", ring, ": ", trap.frame.vector, ' ',
            hex(trap.frame.cs & 0xffff, 4), " esp -", ring_stack_top(ring) - trap.frame.esp);
      print_stack(ring_stack_top(ring), 5);
      put('\n');
      make_target(0, conforming);
      trap = run_in_ring(ring, g_call);
      print("  conforming: ", trap.frame.vector);
      if (option("limits")) print(' ', hex(trap.frame.cs & 0xffff, 4));
      line(" esp -", ring_stack_top(ring) - trap.frame.esp);
    }
    make_target(ring);
    use_gate(make_gate(target, 0, level(call_32, 3)));
    const Trap own = run_in_ring(ring, g_jump);
    make_target(ring - 1);
    const Trap inner = run_in_ring(ring, g_jump);
    make_target(ring - 1, conforming);
    const Trap conform = run_in_ring(ring, g_jump);
    print("jump in ", ring, ": own ", own.frame.vector, ' ', hex(own.frame.cs & 0xffff, 4),
          " inner");
    print_refusal(inner);
    line(" conforming ", conform.frame.vector, ' ',
         hex(option("limits") ? conform.frame.cs & 0xffff : 0, 4));
  }
}

void refused_gates() {
  const u32 at = 0;
  test_entry(2) = make_segment(0, 0xfffff, data, flat);
  test_entry(3) = make_segment(0, 0xfffff, code & ~not_present, flat);
  test_entry(4) = make_segment(0, 0xfffff, level(code, 3), flat);
  const struct {
    const char* name;
    u64 gate;
    u16 rpl;
  } cases[] = {{"of ring 0", make_gate(kernel_code, at, level(call_32, 0)), 0},
               {"of ring 1", make_gate(kernel_code, at, level(call_32, 1)), 1},
               {"of ring 2", make_gate(kernel_code, at, level(call_32, 2)), 2},
               {"RPL 3", make_gate(kernel_code, at, level(call_32, 2)), 3},
               {"absent", make_gate(kernel_code, at, level(call_32 & ~not_present, 3)), 3},
               {"null target", make_gate(0, at, level(call_32, 3)), 3},
               {"null target, RPL", make_gate(3, at, level(call_32, 3)), 3},
               {"beyond", make_gate(0x7f8, at, level(call_32, 3)), 3},
               {"no LDT", make_gate(0xc, at, level(call_32, 3)), 3},
               {"data", make_gate(test_selector(2), at, level(call_32, 3)), 3},
               {"itself", make_gate(gate_selector, at, level(call_32, 3)), 3},
               {"absent code", make_gate(test_selector(3), at, level(call_16, 3)), 3},
               {"outer code", make_gate(test_selector(4), at, level(call_32, 3)), 3},
               {"interrupt gate", make_gate(kernel_code, at, level(0x8e, 3)), 3},
               {"trap gate", make_gate(kernel_code, at, level(0x8f, 3)), 3},
               {"LDT", make_segment(0, 0xff, level(0x82, 3), 0), 3},
               {"reserved", make_gate(kernel_code, at, level(0x88, 3)), 3}};
  for (const auto& one : cases) {
    use_gate(one.gate, one.rpl);
    print("gate ", one.name, ':');
    for (const unsigned ring : {1u, 2u, 3u}) {
      // What is allowed would go to nowhere sensible.
      const bool allowed = (test_entry(0) >> 45 & 3) >= ring && one.rpl < 3;
      if (allowed) continue;
      const bool outer_code = ring == 3 && one.gate == make_gate(test_selector(4), at, 0xec);
      if (outer_code) continue;
      for (const char* form : {g_call, g_jump}) print_refusal(run_in_ring(ring, form));
    }
    put('\n');
  }
}

void interrupts_inward() {
  for (unsigned from = 0; from < 4; ++from) {
    for (unsigned to = 0; to <= from; ++to) {
      make_target(to);
      for (const u8 type : {0x8e, 0x8f, 0x86, 0x87}) {
        set_gate(vector, make_gate(target, 0, level(type, 3)));
        const Trap trap = run_in_ring(from, g_interrupt);
        print("int ", hex(type, 2), " from ", from, " to ", to, ": ", trap.frame.vector, ' ',
              hex(trap.frame.cs & 0xffff, 4), " flags ", hex(trap.frame.eflags & ~0x8d5u));
        if (to && to < from) print(" esp -", inner_stack_top(to) - trap.frame.esp);
        if (to == from && to) print(" esp -", ring_stack_top(to) - trap.frame.esp);
        if (to < from) print_stack(inner_stack_top(to), type & 8 ? 5 : 2);
        put('\n');
      }
      if (to == 0) continue;
      set_gate(vector, make_gate(ring_code(to), address_of(g_iret), level(0x8e, 3)));
      const Trap trap = run_in_ring(from, g_interrupt);
      line("  and back: ", trap.frame.vector, ' ', hex(trap.frame.cs & 0xffff, 4), " was ",
           hex(trap.frame.eax & 0xffff, 4), ' ', hex(trap.frame.ebx & 0xffff, 4), " esp -",
           ring_stack_top(from) - trap.frame.esp, " flags ", hex(trap.frame.eflags & ~0x8d5u));
    }
    make_target(0, conforming);
    set_gate(vector, make_gate(target, 0, level(0x8e, 3)));
    const Trap trap = run_in_ring(from, g_interrupt);
    line("int conforming from ", from, ": ", trap.frame.vector, ' ', hex(trap.frame.cs & 0xffff, 4),
         " flags ", hex(trap.frame.eflags & ~0x8d5u));
  }
}

void refused_interrupts() {
  const struct {
    const char* name;
    u16 selector;
  } cases[] = {{"null", 0},
               {"null, RPL", 3},
               {"beyond", 0x7f8},
               {"no LDT", 0xc},
               {"data", test_selector(2)},
               {"absent", test_selector(3)},
               {"outer code", test_selector(4)}};
  for (const auto& one : cases) {
    print("int to ", one.name, ':');
    set_gate(vector, make_gate(one.selector, 0, 0xee));
    for (const unsigned ring : {0u, 1u, 2u}) print_refusal(run_in_ring(ring, g_interrupt));
    put('\n');
  }
}

// An exception with an error code, handled in ring 1; and in a ring that is not inner.
void exceptions_inward() {
  const u64 usual = get_gate(13);
  make_target(1);
  for (const u8 type : {0x8e, 0x86}) {
    set_gate(13, make_gate(target, 0, type));
    for (const unsigned from : {1u, 2u, 3u}) {
      const Trap trap = run_in_ring(from, g_halt);
      const u32 top = from == 1 ? ring_stack_top(1) : inner_stack_top(1);
      print("#GP by ", hex(type, 2), " from ", from, " to 1: ", trap.frame.vector, ' ',
            hex(trap.frame.cs & 0xffff, 4), " esp -", top - trap.frame.esp);
      // RF is in the saved flags, but not everywhere.
      const bool wide = type & 8;
      const unsigned flags_at = from == 1 ? 1 : 3;
      for (unsigned i = 1; i <= (from == 1 ? 4u : 6u) / (wide ? 1 : 2); ++i) {
        print(' ', hex(word_at(top - 4 * i) & ~(wide && i == flags_at ? 0x10000u : 0)));
      }
      put('\n');
    }
  }
  set_gate(13, usual);
}

// Stacks of ring 1 in the TSS that cannot be used, for a call gate and for INT.
void bad_inner_stacks() {
  const struct {
    const char* name;
    u16 selector;
    bool everywhere;
  } cases[] = {{"null", 0, true},
               {"null, RPL 1", 1, true},
               {"RPL 0", static_cast<u16>(ring_data(1) & ~3), true},
               {"RPL 2", static_cast<u16>((ring_data(1) & ~3) | 2), true},
               {"DPL 0", kernel_data | 1, true},
               {"DPL 2", static_cast<u16>((ring_data(2) & ~3) | 1), true},
               {"read-only", test_selector(5, 1), true},
               {"absent", test_selector(6, 1), false},  // #SS; elsewhere #TS
               {"code", ring_code(1), true},
               {"beyond", 0x7f9, true},
               {"no LDT", 0xd, true},
               {"small", test_selector(7, 1), false}};
  test_entry(5) = make_segment(0, 0xfffff, level(read_only, 1), flat);
  test_entry(6) = make_segment(0, 0xfffff, level(data & ~not_present, 1), flat);
  test_entry(7) = make_segment(0, 0xfff, level(data, 1), bytes_32);
  make_target(1);
  use_gate(make_gate(target, 0, level(call_32, 3), 2));
  set_gate(vector, make_gate(target, 0, 0xee));
  for (const auto& one : cases) {
    if (!one.everywhere && !option("limits")) continue;
    print("inner stack ", one.name, ':');
    task_state().ss1 = one.selector;
    for (const unsigned ring : {2u, 3u}) {
      for (const char* form : {g_call, g_interrupt}) print_refusal(run_in_ring(ring, form));
    }
    put('\n');
  }
  task_state().ss1 = ring_data(1);
}

// Pages that are not there, or only for reading, below the inner stack and below the parameters.
void pages_of_stacks() {
  static Page stack;
  volatile u32& entry = low[stack.address() >> 22].entries[stack.address() / page_bytes % 1024];
  make_target(1);
  use_gate(make_gate(target, 0, level(call_32, 3), 2));
  set_gate(vector, make_gate(target, 0, 0xee));
  set_cr0(cr0() | cr0_wp);
  for (const u32 rights : {0u, present, present | writable}) {
    entry = (entry & ~all_rights) | rights;
    set_cr3(directory.address());
    task_state().esp1 = stack.address() + 0x800;
    for (const char* form : {g_call, g_interrupt}) {
      const Trap trap = run_in_ring(3, form);
      print("inner stack with rights ", rights, ": ", trap.frame.vector);
      if (trap.frame.vector == 14) {
        print(" error ", hex(trap.frame.error), " page ", trap.cr2 >> 12 == stack.address() >> 12);
      }
      put('\n');
    }
  }
  task_state().esp1 = inner_stack_top(1);
  entry = entry | all_rights;
  set_cr3(directory.address());
  set_cr0(cr0() & ~cr0_wp);
}

// A 16-bit stack with a base for ring 1, and a TSS that ends before the stack of ring 1, or whose
// stacks have 16 bits.
void other_stacks_and_tasks() {
  const u32 base = inner_stack_top(1) - 0x200;
  test_entry(8) = make_segment(base, 0xffff, level(data, 1), 0);
  task_state().ss1 = test_selector(8, 1);
  task_state().esp1 = 0x200;
  make_target(1);
  use_gate(make_gate(target, 0, level(call_32, 3), 2));
  set_gate(vector, make_gate(target, 0, 0xee));
  for (const char* form : {g_call, g_interrupt}) {
    const Trap trap = run_in_ring(3, form);
    print("16-bit stack: ", trap.frame.vector, ' ', hex(trap.frame.ss & 0xffff, 4), ':',
          hex(trap.frame.esp & 0xffff, 4));
    print_stack(inner_stack_top(1), 6);
    put('\n');
  }
  task_state().ss1 = ring_data(1);
  task_state().esp1 = inner_stack_top(1);

  for (const u32 limit : {0x13u, 0x10u, 0xcu}) {
    gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), limit, 0x89, 0);
    asm volatile("ltr %0" : : "r"(tss_selector));
    print("TSS limit ", hex(limit, 2), ':');
    for (const char* form : {g_call, g_interrupt}) print_refusal(run_in_ring(3, form));
    put('\n');
  }

  // Low memory, for 16-bit stack pointers.
  static u16 short_task[22];
  short_task[1] = 0x3800;
  short_task[2] = kernel_data;
  short_task[3] = 0x3400;
  short_task[4] = ring_data(1);
  test_entry(9) = make_segment(reinterpret_cast<u32>(short_task), 43, 0x81, 0);
  asm volatile("ltr %0" : : "r"(test_selector(9)));
  for (const char* form : {g_call, g_interrupt}) {
    const Trap trap = run_in_ring(3, form);
    print("16-bit TSS, access ", hex(access_byte(test_entry(9)), 2), ": ", trap.frame.vector, ' ',
          hex(trap.frame.ss & 0xffff, 4), ':', hex(trap.frame.esp));
    print_stack(0x3400, 4);
    put('\n');
  }
  gdt()[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task_state()), 103, 0x89, 0);
  asm volatile("ltr %0" : : "r"(tss_selector));
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  calls_inward();
  calls_within();
  refused_gates();
  interrupts_inward();
  refused_interrupts();
  exceptions_inward();
  bad_inner_stacks();
  pages_of_stacks();
  other_stacks_and_tasks();
}
