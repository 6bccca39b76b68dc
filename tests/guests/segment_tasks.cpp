// Hardware task switches: by JMP, CALL, INT, exceptions and IRET, to a TSS and through task gates,
// of 32 and 16 bits, nested, in ring 0 and ring 3, with another LDT and another page directory;
// busy bits, NT, the back link, what is saved and loaded; what is refused, before the switch and in
// the new task. "limits" on the command line adds what lax processors get wrong.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_tasks";

extern "C" {
// What a task has seen of itself, and where it is to go then.
struct {
  u32 tr, flags, cr0, cr3, esp, eax, ds, fs, ldt, access_first, access_second, word;
} seen;
u8* access_first;   // the access byte of the first task's descriptor
u8* access_second;  // of the second's
u32 task_leave;
u32 observed_word;  // a word whose page the directories map differently
}

namespace {

constexpr u8 available_32 = 0x89, available_16 = 0x81, task_gate = 0x85, not_present = 0x80;
constexpr u8 level(u8 access, unsigned dpl) { return static_cast<u8>(access | dpl << 5); }
constexpr u32 nested_task = 0x4000;
constexpr u16 second = test_selector(0), third = test_selector(1), gate = test_selector(2),
              short_task = test_selector(3);

asm(R"(
.text
// A task's life: look around, leave, and again when it comes back.
k_body:      mov %eax, seen + 20
             str %eax
             mov %eax, seen
             pushf
             popl seen + 4
             mov %cr0, %eax
             mov %eax, seen + 8
             mov %cr3, %eax
             mov %eax, seen + 12
             mov %esp, seen + 16
             mov %ds, seen + 24
             mov %fs, seen + 28
             sldt %eax
             mov %eax, seen + 32
             mov access_first, %eax
             mov (%eax), %al
             mov %al, seen + 36
             mov access_second, %eax
             mov (%eax), %al
             mov %al, seen + 40
             mov observed_word, %eax
             mov (%eax), %eax
             mov %eax, seen + 44
             mov $0x5ec0d7a5, %eax
             jmp *task_leave
k_iret:      iret
             jmp k_body
k_jump:      ljmp $0x30, $0
             jmp k_body
k_call:      lcall $0x48, $0
             jmp k_body
k_error:     addl $4, %esp
             iret
             jmp k_body
k_trap:      int $0x80
// A task of ring 3: user code may not see much, so it stops, goes back, or asks for a task itself.
u_stop:      int $0x80
u_iret:      iret
             jmp u_iret
u_back:      ljmp $0x30, $0
             jmp u_back
u_jump:      mov $0x12345678, %eax
             ljmp *ring_arguments
             int $0x80
u_call:      mov $0x12345678, %eax
             lcall *ring_arguments
             int $0x80
u_int:       mov $0x12345678, %eax
             int $0x83
             int $0x80
u_nested:    pushf
             orl $0x4000, (%esp)
             popf
             iret
// A task of 16 bits, in a segment that begins here; its DS is flat.
.code16
s_body:      str %ax
             mov %eax, (%si)
             mov %esp, 4(%si)
             mov %edi, 8(%si)
             pushfl
             popl 12(%si)
             iretl
             jmp s_body
.code32
)");
extern "C" char k_body[], k_iret[], k_jump[], k_call[], k_error[], k_trap[], u_stop[], u_iret[],
    u_back[], u_jump[], u_call[], u_int[], u_nested[], s_body[];

TaskState tasks[2];
u32 stacks[2][256], kernel_stacks[2][512];
PageTable other_directory, other_table;
Page pages[2];
u64 local_table[2];

// A 32-bit task of the ring; number 0 is the second task, 1 the third.
TaskState& make_task(unsigned number, unsigned ring, const char* code) {
  TaskState& task = tasks[number];
  task = TaskState{};
  task.cr3 = directory.address();
  task.eip = address_of(code);
  task.eflags = 2;
  task.esp = reinterpret_cast<u32>(stacks[number] + 256);
  task.esp0 = reinterpret_cast<u32>(kernel_stacks[number] + 512);
  task.ss0 = kernel_data;
  task.cs = ring_code(ring);
  task.ss = task.ds = task.es = task.fs = task.gs = ring_data(ring);
  task.io_map = 104;
  test_entry(number) = make_segment(reinterpret_cast<u32>(&task), 103, available_32, 0);
  return task;
}

// TR and all descriptors as at the start.
void first_task() {
  set_cr3(directory.address());
  gdt()[tss_selector / 8] =
      make_segment(reinterpret_cast<u32>(&task_state()), 103, available_32, 0);
  asm volatile("ltr %0; lldt %1; clts" : : "r"(tss_selector), "r"(u16{0}));
  set_cr0(cr0() & ~cr0_ts);
}

u32 now_flags() { return flags() & nested_task; }
u16 task_register() {
  u16 value;
  asm volatile("str %0" : "=r"(value));
  return value;
}

void report(const char* name) {
  line(name, ": tr ", hex(seen.tr, 4), " flags ", hex(seen.flags & 0x4202, 4), " ts ",
       (seen.cr0 & cr0_ts) != 0, " eax ", hex(seen.eax), " ds ", hex(seen.ds & 0xffff, 4), " fs ",
       hex(seen.fs & 0xffff, 4), " ldt ", hex(seen.ldt, 4), " access ",
       hex(seen.access_first & 0xff, 2), ' ', hex(seen.access_second & 0xff, 2));
  line("  then: tr ", hex(task_register(), 4), " ts ", (cr0() & cr0_ts) != 0, " nt ",
       now_flags() != 0, " access ", hex(*access_first, 2), ' ', hex(*access_second, 2), " link ",
       hex(tasks[0].link & 0xffff, 4), " saved flags ", hex(tasks[0].eflags & 0x4202, 4), " esp -",
       reinterpret_cast<u32>(stacks[0] + 256) - tasks[0].esp);
  seen = {};
  set_cr0(cr0() & ~cr0_ts);
}

void jump_to(u16 selector) {
  const struct [[gnu::packed]] {
    u32 offset;
    u16 segment;
  } pointer = {0xdeadbeef, selector};
  asm volatile("ljmp *%0" : : "m"(pointer) : "memory", "cc", "eax");
}
void call_to(u16 selector) {
  const struct [[gnu::packed]] {
    u32 offset;
    u16 segment;
  } pointer = {0xdeadbeef, selector};
  asm volatile("lcall *%0" : : "m"(pointer) : "memory", "cc", "eax");
}

void there_and_back() {
  access_first = reinterpret_cast<u8*>(&gdt()[tss_selector / 8]) + 5;
  access_second = reinterpret_cast<u8*>(&test_entry(0)) + 5;
  make_task(0, 0, k_body).eax = 0xaaaa0001;
  task_leave = address_of(k_jump);
  asm volatile("mov %0, %%fs" : : "r"(u32{ring_data(3)}));
  jump_to(second);
  report("jump and jump");
  line("  saved: fs ", hex(task_state().fs & 0xffff, 4), " cs ", hex(task_state().cs & 0xffff, 4),
       " eax ", hex(tasks[0].eax), " eip +", tasks[0].eip - address_of(k_jump), " ldt ",
       hex(tasks[0].ldt & 0xffff, 4), " cr3 ", tasks[0].cr3 == directory.address());
  jump_to(second);
  report("again");
  make_task(0, 0, k_body);
  test_entry(2) = make_gate(second, 0, task_gate);
  jump_to(gate);
  report("by a gate");
  asm volatile("mov %0, %%fs" : : "r"(u32{kernel_data}));

  task_leave = address_of(k_iret);
  make_task(0, 0, k_body);
  call_to(second);
  report("call and iret");
  call_to(second);
  report("again");
  call_to(gate);
  report("by a gate");

  make_task(0, 0, k_body);
  set_gate(0x83, make_gate(second, 0, task_gate));
  asm volatile("int $0x83" : : : "memory");
  report("int and iret");
  asm volatile("sti; int $0x83; cli" : : : "memory");
  report("again, IF set");
}

void nested_tasks() {
  make_task(0, 0, k_call);
  TaskState& last = make_task(1, 0, k_body);
  last.eax = 0xbbbb0002;
  task_leave = address_of(k_iret);
  call_to(second);  // second calls third, third returns, second looks around and returns
  line("nested: links ", hex(tasks[0].link & 0xffff, 4), ' ', hex(tasks[1].link & 0xffff, 4),
       " access ", hex(access_byte(test_entry(0)), 2), ' ', hex(access_byte(test_entry(1)), 2),
       " flags ", hex(tasks[0].eflags & 0x4000, 4), ' ', hex(tasks[1].eflags & 0x4000, 4));
  report("nested");
}

// An exception's error code is on the new task's stack, of its width.
void exceptions() {
  const u64 usual = get_gate(13);
  make_task(0, 0, k_body);
  set_gate(13, make_gate(second, 0, task_gate));
  task_leave = address_of(k_trap);
  const Trap trap = attempt([] { asm volatile("mov %0, %%ds" : : "r"(0x7f8)); });
  line("#GP by a task gate: ", trap.frame.vector, " esp -",
       reinterpret_cast<u32>(stacks[0] + 256) - seen.esp, " error ", hex(stacks[0][255]),
       " saved eip in the kernel ", task_state().eip >= 0x100000, " tr ", hex(task_register(), 4));
  first_task();
  // The handler goes back to an instruction that works by then.
  make_task(0, 0, k_error);
  test_entry(4) = 0;
  set_gate(13, make_gate(second, 0, task_gate));
  const Trap again = run_in_ring(3, u_stop);
  line("undisturbed: ", again.frame.vector);
  set_gate(13, usual);
  first_task();
}

void other_address_space() {
  for (unsigned i = 0; i < pages_of_a_table; ++i) {
    other_directory.entries[i] = directory.entries[i];
    other_table.entries[i] = low[pages[0].address() >> 22].entries[i];
  }
  other_table.entries[pages[0].address() / page_bytes % 1024] = pages[1].address() | all_rights;
  other_directory.entries[pages[0].address() >> 22] = other_table.address() | all_rights;
  pages[0].words[0] = 0x01010101;
  pages[1].words[0] = 0x02020202;
  observed_word = pages[0].address();
  local_table[1] = make_segment(0, 0xfffff, 0x92, 0xc);
  test_entry(4) = make_segment(reinterpret_cast<u32>(local_table), 15, 0x82, 0);
  TaskState& task = make_task(0, 0, k_body);
  task.cr3 = other_directory.address();
  task.ldt = test_selector(4);
  task.fs = 0xc;
  task_leave = address_of(k_iret);
  call_to(second);
  line("other directory: ", seen.cr3 == other_directory.address(), " word ", hex(seen.word),
       " back ", hex(pages[0].words[0]));
  report("other LDT");
  u16 ldt;
  asm volatile("sldt %0" : "=r"(ldt));
  line("  ldt back ", hex(ldt, 4));
  // Set by the switch, but not everywhere.
  if (option("limits")) line("  accessed ", hex(access_byte(local_table[1]), 2));
}

// From ring 3, to tasks of ring 0 and 3.
void user_tasks() {
  observed_word = pages[0].address();
  test_entry(2) = make_gate(second, 0, level(task_gate, 3));
  set_gate(0x83, make_gate(second, 0, level(task_gate, 3)));
  for (const unsigned ring : {0u, 3u}) {
    for (const char* form : {u_jump, u_call, u_int}) {
      for (const u16 selector : {u16{gate | 3}, u16{second | 3}}) {
        make_task(0, ring, ring ? u_iret : k_body);
        test_entry(0) |= u64{0x60} << 40;
        if (form == u_jump) tasks[0].eip = address_of(ring ? u_stop : k_body);
        task_leave = address_of(form == u_jump ? k_trap : k_iret);
        ring_arguments[1] = selector;
        const Trap trap = run_in_ring(3, form);
        line(form == u_jump   ? "jump"
             : form == u_call ? "call"
                              : "int",
             " from 3 to ", ring, " by ", selector == second + 3 ? "TSS" : "gate", ": ",
             trap.frame.vector, " cs ", hex(trap.frame.cs & 0xffff, 4), " eax ",
             hex(trap.frame.eax), " saved ", hex(task_state().eax), ' ',
             hex(task_state().cs & 0xffff, 4), " tr ", hex(task_register(), 4), " access ",
             hex(*access_first, 2), ' ', hex(*access_second, 2));
        seen = {};
        first_task();
      }
    }
  }
  // A user task that goes back by a jump.
  make_task(0, 3, u_back);
  gdt()[tss_selector / 8] |= u64{0x60} << 40;
  ring_arguments[1] = gate | 3;
  const Trap trap = run_in_ring(3, u_jump);
  line("user jumps back: ", trap.frame.vector, ' ', hex(trap.frame.cs & 0xffff, 4), " error ",
       hex(trap.frame.error, 4));
  first_task();
  // NT set by hand, with a link that leads nowhere.
  for (const u32 link : {0u, 0x7f8u, u32{kernel_data}, u32{second}, 0xcu}) {
    make_task(0, 3, u_iret);
    task_state().link = link;
    const Trap refused = run_in_ring(3, u_nested);
    line("iret to ", hex(link, 4), ": ", refused.frame.vector, ' ', hex(refused.frame.error, 4));
    first_task();
  }
  task_state().link = 0;
}

// Refused before anything is switched, for JMP, CALL and INT.
void refused_tasks() {
  const u64 task = make_segment(reinterpret_cast<u32>(&tasks[0]), 103, available_32, 0);
  const auto with_access = [&](u8 access) {
    return (task & ~(u64{0xff} << 40)) | u64{access} << 40;
  };
  const struct {
    const char* name;
    u64 entry;
  } cases[] = {
      {"busy", with_access(0x8b)},
      {"absent", with_access(available_32 & ~not_present)},
      {"small", make_segment(reinterpret_cast<u32>(&tasks[0]), 102, available_32, 0)},
      {"small, 16 bits", make_segment(reinterpret_cast<u32>(&tasks[0]), 42, available_16, 0)},
      {"data", with_access(0x92)},
      {"nothing", 0}};
  for (const auto& one : cases) {
    print("task ", one.name, ':');
    for (unsigned form = 0; form < 5; ++form) {
      make_task(0, 0, k_body);
      task_leave = address_of(k_trap);
      test_entry(0) = one.entry;
      test_entry(2) = make_gate(second, 0, task_gate);
      set_gate(0x83, make_gate(second, 0, task_gate));
      const Trap trap = attempt([=] {
        if (form == 0) jump_to(second);
        if (form == 1) call_to(second);
        if (form == 2) jump_to(gate);
        if (form == 3) call_to(gate);
        if (form == 4) asm volatile("int $0x83");
      });
      print(' ', trap.frame.vector, ':', hex(trap.frame.error, 4));
      check(task_register() == tss_selector && *access_first == 0x8b, "the task is the old one");
    }
    put('\n');
  }
  const struct {
    const char* name;
    u64 gate;
  } gates[] = {{"absent", make_gate(second, 0, task_gate & ~not_present)},
               {"null", make_gate(0, 0, task_gate)},
               {"beyond", make_gate(0x7f8, 0, task_gate)},
               {"data", make_gate(kernel_data, 0, task_gate)},
               {"itself", make_gate(gate, 0, task_gate)},
               {"in the LDT", make_gate(second | 4, 0, task_gate)}};
  for (const auto& one : gates) {
    // #TS elsewhere.
    if (one.gate == gates[5].gate && !option("limits")) continue;
    make_task(0, 0, k_body);
    test_entry(2) = one.gate;
    set_gate(0x83, one.gate);
    print("task gate ", one.name, ':');
    for (unsigned form = 0; form < 3; ++form) {
      const Trap trap = attempt([=] {
        if (form == 0) jump_to(gate);
        if (form == 1) call_to(gate);
        if (form == 2) asm volatile("int $0x83");
      });
      print(' ', trap.frame.vector, ':', hex(trap.frame.error, 4));
    }
    put('\n');
  }
}

enum class Field : u8 { cs, ss, ds, gs, ldt };
void set_field(TaskState& task, Field field, u16 value) {
  switch (field) {
    case Field::cs:
      task.cs = value;
      return;
    case Field::ss:
      task.ss = value;
      return;
    case Field::ds:
      task.ds = value;
      return;
    case Field::gs:
      task.gs = value;
      return;
    case Field::ldt:
      task.ldt = value;
      return;
  }
}

// Refused in the new task, which is of ring 3: its stack of ring 0 takes the exception.
void broken_tasks() {
  test_entry(5) = make_segment(0, 0xfffff, 0x7a, 0xc);  // absent code
  test_entry(6) = make_segment(0, 0xfffff, 0x72, 0xc);  // absent data
  test_entry(7) = make_segment(0, 0xfffff, 0xf8, 0xc);  // execute-only
  test_entry(8) = make_segment(0, 0xfffff, 0xf0, 0xc);  // read-only
  const struct {
    const char* name;
    Field field;
    u16 value;
  } cases[] = {{"cs null", Field::cs, 3},
               {"cs beyond", Field::cs, 0x7fb},
               {"cs data", Field::cs, user_data},
               {"cs of ring 0", Field::cs, kernel_code | 3},
               {"cs absent", Field::cs, test_selector(5, 3)},
               {"ss null", Field::ss, 0},
               {"ss beyond", Field::ss, 0x7fb},
               {"ss of ring 0", Field::ss, kernel_data | 3},
               {"ss RPL 0", Field::ss, user_data & ~3},
               {"ss read-only", Field::ss, test_selector(8, 3)},
               {"ss absent", Field::ss, test_selector(6, 3)},
               {"ds beyond", Field::ds, 0x7fb},
               {"ds of ring 0", Field::ds, kernel_data},
               {"ds execute-only", Field::ds, test_selector(7, 3)},
               {"ds absent", Field::ds, test_selector(6, 3)},
               {"gs beyond", Field::gs, 0x7fb},
               {"gs absent", Field::gs, test_selector(6, 3)},
               {"gs null", Field::gs, 0},
               {"ldt data", Field::ldt, user_data},
               {"ldt in itself", Field::ldt, 0xc},
               {"ldt beyond", Field::ldt, 0x7f8}};
  for (const auto& one : cases) {
    // Where CS or SS is not loaded, lax processors do not know their privilege level.
    const bool lax = one.field != Field::ds && one.field != Field::gs;
    if (lax && !option("limits")) continue;
    TaskState& task = make_task(0, 3, u_stop);
    set_field(task, one.field, one.value);
    test_entry(0) |= u64{0x60} << 40;
    ring_arguments[1] = second | 3;
    const Trap trap = run_in_ring(3, u_call);
    // EIP is the old task's elsewhere.
    const u32 eip = option("limits") ? trap.frame.eip - address_of(u_stop) : 0;
    line("new task with ", one.name, ": ", trap.frame.vector, ' ', hex(trap.frame.error, 4), " at ",
         hex(trap.frame.cs & 0xffff, 4), ":+", eip, " tr ", hex(task_register(), 4), " access ",
         hex(*access_first, 2), ' ', hex(*access_second, 2));
    first_task();
  }
}

void short_tasks() {
  static struct [[gnu::packed]] {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss,
        ds, ldt;
  } task;
  static u32 record[4];
  task = {};
  task.flags = 2;
  task.sp = 0x3000;
  task.cs = test_selector(9);
  task.ss = test_selector(11);
  task.di = 0x1234;
  task.ax = 0x4321;
  // DS brings the record within what 16-bit registers reach.
  task.ds = test_selector(10);
  task.si = 0x10;
  test_entry(9) = make_segment(address_of(s_body), 0xffff, 0x9a, 0);
  test_entry(10) = make_segment(reinterpret_cast<u32>(record) - 0x10, 0xfffff, 0x92, 0xc);
  test_entry(11) = make_segment(0, 0xffff, 0x92, 0);
  test_entry(3) = make_segment(reinterpret_cast<u32>(&task), 43, available_16, 0);
  for (unsigned i = 0; i < 2; ++i) {
    const Trap trap = attempt([] { call_to(short_task); });
    line("16-bit task: ", trap.happened() ? trap.frame.vector : 0, " tr ",
         hex(record[0] & 0xffff, 4), " sp ", hex(record[1] & 0xffff, 4), " di ",
         hex(record[2] & 0xffff, 4), " flags ", hex(record[3] & 0x4202, 4), " saved ip ",
         hex(task.ip, 4), " ax ", hex(task.ax, 4), " link ", hex(task.link, 4), " flags ",
         hex(task.flags & 0x4202, 4), " access ", hex(access_byte(test_entry(3)), 2), " tr ",
         hex(task_register(), 4));
  }
  first_task();
}

void pages_of_tasks() {
  static Page pair[2];
  TaskState* const across = reinterpret_cast<TaskState*>(pair[1].address() - 32);
  volatile u32& entry = low[pair[1].address() >> 22].entries[pair[1].address() / page_bytes % 1024];
  make_task(0, 0, k_body);
  *across = tasks[0];
  test_entry(0) = make_segment(reinterpret_cast<u32>(across), 103, available_32, 0);
  entry = entry & ~present;
  set_cr3(directory.address());
  const Trap trap = attempt([] { call_to(second); });
  line("half of a task: ", trap.frame.vector, ' ', hex(trap.frame.error), " page ",
       trap.cr2 >> 12 == pair[1].address() >> 12, " tr ", hex(task_register(), 4), " access ",
       hex(*access_first, 2), ' ', hex(*access_second, 2));
  entry = entry | present;
  set_cr3(directory.address());
  task_leave = address_of(k_iret);
  call_to(second);
  report("both halves");
  // Local breakpoints end with the task, and the T bit stops it at its first instruction.
  if (!option("limits")) return;
  TaskState& task = make_task(0, 3, u_stop);
  task.trap = 1;
  const Trap stopped = attempt([] { call_to(second); });
  line("T bit: ", stopped.frame.vector, " +", stopped.frame.eip - address_of(u_stop));
  first_task();
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  observed_word = pages[0].address();
  task_state().cr3 = directory.address();  // a switch reads it, but does not save it
  there_and_back();
  nested_tasks();
  exceptions();
  other_address_space();
  user_tasks();
  refused_tasks();
  broken_tasks();
  short_tasks();
  pages_of_tasks();
}
