// Segment loads and far transfers in all four rings: which DPL and RPL each ring may load, far JMP,
// CALL, RET and IRET to code of every level, conforming or not, returns to every outer ring and the
// data registers that they empty. "limits" on the command line adds what lax processors do not do.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_rings";

namespace {

constexpr u8 data = 0x92, read_only = 0x90, code = 0x9a, execute_only = 0x98, conforming = 0x9e,
             conforming_only = 0x9c, not_present = 0x80;
constexpr u8 flat = 0xc;
constexpr unsigned rings = 4;
constexpr u8 level(u8 access, unsigned dpl) { return static_cast<u8>(access | dpl << 5); }

asm(R"(
.text
r_load_ds:   mov ring_arguments, %eax
             mov %eax, %ds
             mov %ds, %eax
             int $0x80
r_pop_fs:    pushl ring_arguments
             pop %fs
             mov %fs, %eax
             int $0x80
r_load_ss:   mov ring_arguments, %eax
             mov %ss, %ecx
             mov %eax, %ss
             mov %ss, %eax
             mov %ecx, %ss
             int $0x80
r_lss:       mov %ss, %ecx
             lss ring_arguments + 4, %eax
             mov %ecx, %ss
             int $0x80
r_call:      lcall *ring_arguments
             mov $1, %edx
             int $0x80
r_jump:      ljmp *ring_arguments
r_target:    mov %cs, %eax
             lret
r_arrived:   mov %cs, %eax
             mov %ss, %ebx
             mov %ds, %ecx
             int $0x80
// SS:ESP, CS:EIP of the arguments, with 8 bytes released.
r_return:    mov %esp, %edx
             pushl ring_arguments + 8
             pushl ring_arguments + 12
             pushl $0x11
             pushl $0x22
             pushl ring_arguments + 4
             pushl ring_arguments
             lret $8
r_iret:      mov %esp, %edx
             pushl ring_arguments + 8
             pushl ring_arguments + 12
             pushl $0x246
             pushl ring_arguments + 4
             pushl ring_arguments
             iret
// The same with operands of 16 bits, into a segment that begins at r_arrived.
r_return_16: pushw ring_arguments + 8
             pushw ring_arguments + 12
             pushw $0x11
             pushw $0x22
             pushw ring_arguments + 4
             pushw $0
             lretw $4
r_iret_16:   pushw ring_arguments + 8
             pushw ring_arguments + 12
             pushw $0x246
             pushw ring_arguments + 4
             pushw $0
             iretw
)");
extern "C" char r_load_ds[], r_pop_fs[], r_load_ss[], r_lss[], r_call[], r_jump[], r_target[],
    r_arrived[], r_return[], r_iret[], r_return_16[], r_iret_16[];

// "ok" and the value, or vector:error code.
void print_outcome(const Trap& trap) {
  if (trap.frame.vector == 0x80) {
    print(" ok:", hex(trap.frame.eax & 0xffff, 4));
  } else {
    print(' ', trap.frame.vector, ':', hex(trap.frame.error, 4));
  }
}

void loads() {
  const struct {
    const char* name;
    u8 access;
  } kinds[] = {{"data", data},
               {"read-only", read_only},
               {"code", code},
               {"execute-only", execute_only},
               {"conforming", conforming},
               {"conforming execute-only", conforming_only},
               {"absent", data & ~not_present},
               {"LDT", 0x82}};
  const struct {
    const char* name;
    const char* code;
  } forms[] = {{"ds", r_load_ds}, {"fs", r_pop_fs}, {"ss", r_load_ss}, {"lss", r_lss}};
  for (const auto& form : forms) {
    for (const auto& kind : kinds) {
      for (unsigned ring = 0; ring < rings; ++ring) {
        print(form.name, ' ', kind.name, ", ring ", ring, ':');
        for (unsigned both = 0; both < 16; ++both) {
          const unsigned dpl = both >> 2, rpl = both & 3;
          test_entry(0) = make_segment(0, 0xfffff, level(kind.access, dpl), flat);
          ring_arguments[0] = test_selector(0, rpl);
          ring_arguments[1] = 0x1234;
          ring_arguments[2] = test_selector(0, rpl);
          print_outcome(run_in_ring(ring, form.code));
          // The accessed bit goes with success.
          if (access_byte(test_entry(0)) & 1) put(kind.access == 0x82 ? '?' : '*');
        }
        put('\n');
      }
    }
  }
}

// A call that comes back, so that only the outcome and what became of the table are seen.
void calls() {
  const struct {
    const char* name;
    u8 access;
  } kinds[] = {{"code", code},
               {"conforming", conforming},
               {"data", data},
               {"absent", code & ~not_present},
               {"absent conforming", conforming & ~not_present}};
  for (const auto& kind : kinds) {
    for (unsigned ring = 0; ring < rings; ++ring) {
      for (const char* form : {r_call, r_jump}) {
        const bool jump = form == r_jump;
        print(jump ? "jump " : "call ", kind.name, ", ring ", ring, ':');
        for (unsigned both = 0; both < 16; ++both) {
          const unsigned dpl = both >> 2, rpl = both & 3;
          test_entry(0) = make_segment(0, 0xfffff, level(kind.access, dpl), flat);
          ring_arguments[0] = address_of(jump ? r_arrived : r_target);
          ring_arguments[1] = test_selector(0, rpl);
          print_outcome(run_in_ring(ring, form));
          if (option("limits") && (access_byte(test_entry(0)) & 1)) put('*');
        }
        put('\n');
      }
    }
  }
}

// Far returns and IRET from each ring to each RPL.
void returns() {
  const struct {
    const char* name;
    u8 access;
  } kinds[] = {{"code", code}, {"conforming", conforming}, {"absent", code & ~not_present}};
  const struct {
    const char* name;
    const char* code;
  } forms[] = {{"lret", r_return}, {"iret", r_iret}};
  for (const auto& form : forms) {
    for (const auto& kind : kinds) {
      for (unsigned ring = 0; ring < rings; ++ring) {
        print(form.name, ' ', kind.name, ", ring ", ring, ':');
        for (unsigned both = 0; both < 16; ++both) {
          const unsigned dpl = both >> 2, rpl = both & 3;
          test_entry(0) = make_segment(0, 0xfffff, level(kind.access, dpl), flat);
          ring_arguments[0] = address_of(r_arrived);
          ring_arguments[1] = test_selector(0, rpl);
          ring_arguments[2] = ring_data(rpl);
          ring_arguments[3] = ring_stack_top(rpl) - 64;
          const Trap trap = run_in_ring(ring, form.code);
          print_outcome(trap);
          if (trap.frame.vector != 0x80) continue;
          print('/', hex(trap.frame.ebx & 0xffff, 4), '/', hex(trap.frame.ecx & 0xffff, 4));
          if (rpl > ring) print('+', ring_stack_top(rpl) - trap.frame.esp);
        }
        put('\n');
      }
    }
  }
}

void return_stacks() {
  const struct {
    const char* name;
    u16 selector;
  } stacks[] = {{"null", 3},
                {"RPL 0", user_data & ~3u},
                {"kernel's", kernel_data | 3},
                {"read-only", test_selector(1, 3)},
                {"code", user_code},
                {"beyond", 0x7fb}};
  test_entry(1) = make_segment(0, 0xfffff, level(read_only, 3), flat);
  test_entry(2) = make_segment(0, 0xfffff, level(data & ~not_present, 3), flat);
  for (const char* form : {r_return, r_iret}) {
    print(form == r_return ? "lret" : "iret", " to bad stacks:");
    for (const auto& stack : stacks) {
      ring_arguments[0] = address_of(r_arrived);
      ring_arguments[1] = user_code;
      ring_arguments[2] = stack.selector;
      ring_arguments[3] = ring_stack_top(3);
      print(' ', stack.name);
      print_outcome(run_in_ring(0, form));
    }
    if (option("limits") && form == r_return) {  // elsewhere #NP, for IRET always
      ring_arguments[2] = test_selector(2, 3);
      print(" absent");
      print_outcome(run_in_ring(0, form));
    }
    put('\n');
  }
}

void short_operands() {
  for (unsigned ring = 1; ring < rings; ++ring) {
    test_entry(3) = make_segment(address_of(r_arrived), 0xffff, level(code, ring), 4);
    const u32 base = ring_stack_top(ring) - 0x200;
    test_entry(4) = make_segment(base, 0xffff, level(data, ring), 0);
    ring_arguments[1] = test_selector(3, ring);
    ring_arguments[2] = test_selector(4, ring);
    ring_arguments[3] = 0x100;
    for (const char* form : {r_return_16, r_iret_16}) {
      const Trap trap = run_in_ring(0, form);
      line(form == r_return_16 ? "lretw" : "iretw", " to ring ", ring, ": ", trap.frame.vector, ' ',
           hex(trap.frame.cs & 0xffff, 4), ':', hex(trap.frame.eip), ' ',
           hex(trap.frame.ss & 0xffff, 4), ':', hex(trap.frame.esp & 0xffff, 4), " flags ",
           hex(trap.frame.eflags & 0xffff, 4));
    }
  }
}

asm(R"(
.text
// In ring 0 with data segments as the arguments say; then out to ring 3.
r_keep:      pushl $0x2b
             pushl $0
             pushl $0x23
             pushl $1f
             mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov ring_arguments + 8, %ecx
             mov ring_arguments + 12, %edx
             mov %ebx, %es
             mov %ecx, %fs
             mov %edx, %gs
             mov %eax, %ds
             lret
1:           int $0x80
// By SYSEXIT nothing is emptied.
r_sysexit:   mov ring_arguments, %eax
             mov $1f, %edx
             mov %esp, %ecx
             mov %eax, %es
             mov %eax, %ds
             sysexit
1:           mov %ds, %eax
             mov %es, %ebx
             mov %eax, %ecx
             mov ring_arguments, %edx
             int $0x80
)");
extern "C" char r_keep[], r_sysexit[];

void emptied_registers() {
  test_entry(0) = make_segment(0, 0xfffff, level(code, 0), flat);
  test_entry(1) = make_segment(0, 0xfffff, level(conforming, 0), flat);
  test_entry(2) = make_segment(0, 0xfffff, level(data, 2), flat);
  test_entry(3) = make_segment(0, 0xfffff, level(data, 3), flat);
  const u16 choices[] = {kernel_data,
                         test_selector(0),
                         test_selector(1),
                         test_selector(2, 2),
                         test_selector(3),
                         test_selector(3, 3),
                         0};
  for (const u16 choice : choices) {
    for (u32& argument : ring_arguments) argument = choice;
    const Trap trap = run_in_ring(0, r_keep);
    line("out with ", hex(choice, 4), ": ds ", hex(trap.frame.ds & 0xffff, 4), " es ",
         hex(trap.frame.es & 0xffff, 4), " fs ", hex(trap.frame.fs & 0xffff, 4), " gs ",
         hex(trap.frame.gs & 0xffff, 4));
  }
  // A null selector with an RPL becomes 0 in all of them, but not everywhere in FS and GS.
  for (u32& argument : ring_arguments) argument = 3;
  if (!option("limits")) ring_arguments[2] = ring_arguments[3] = 0;
  const Trap trap = run_in_ring(0, r_keep);
  line("out with null: ", hex(trap.frame.ds & 0xffff, 4), ' ', hex(trap.frame.es & 0xffff, 4), ' ',
       hex(trap.frame.fs & 0xffff, 4), ' ', hex(trap.frame.gs & 0xffff, 4));
}

void kernel_segments_in_user_code() {
  write_msr(0x174, kernel_code);
  write_msr(0x175, task_state().esp0);
  ring_arguments[0] = kernel_data;
  for (unsigned i = 0; i < 3; ++i) {
    const Trap trap = run_in_ring(0, r_sysexit);
    line("sysexit: ", trap.frame.vector, " ds ", hex(trap.frame.eax & 0xffff, 4), " es ",
         hex(trap.frame.ebx & 0xffff, 4), " read ", hex(trap.frame.edx));
  }
  write_msr(0x174, 0);
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  loads();
  calls();
  returns();
  return_stacks();
  short_operands();
  emptied_registers();
  kernel_segments_in_user_code();
}
