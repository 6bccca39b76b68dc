// EFLAGS at every privilege level with every IOPL: PUSHF, POPF, IRET, CLI, STI, ports; the gates'
// DPL against INT n, INT3, INTO and ICEBP; BOUND, NT, RF, ID, and what CR4 and CPUID say of the
// virtual interrupt flag. AC is alignment.cpp's, TF single_step.cpp's.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "flags";

namespace {

constexpr u32 always_one = 2, nested_task = 0x4000, resume = 0x10000;
// What the arithmetic instructions of a snippet leave behind is of no interest here; VIF and VIP
// (bits 19 and 20) are there only where VME is, which not every processor offers.
constexpr u32 system_flags = 0x277700;
constexpr u32 system_and_direction = system_flags | 0x400;

asm(R"(
.text
f_pushf:     pushf
             pop %eax
             int $0x80
f_pushfw:    mov $0, %eax
             pushfw
             pop %ax
             int $0x80
f_popf_all:  pushl $0x003d7ed7         # everything but TF and VM
             popf
             pushf
             pop %eax
             int $0x80
f_popf_none: pushl $0
             popf
             pushf
             pop %eax
             int $0x80
f_popfw:     pushl $0
             popf
             pushw $0x7ed7
             popfw
             pushf
             pop %eax
             int $0x80
f_iret_all:  pushl $0x003d3ed7
             push %cs
             pushl $f_pushf
             iret
f_iret_none: pushl $0
             push %cs
             pushl $f_pushf
             iret
f_popf_vm:   pushl $0x20002
             popf
             pushf
             pop %eax
             int $0x80
f_iret_vm:   pushl $0x20002
             push %cs
             pushl $f_pushf
             iret
f_cli:       cli
             pushf
             pop %eax
             int $0x80
f_sti:       sti
             pushf
             pop %eax
             int $0x80
f_in:        in $0x80, %al
             int $0x80
f_lahf:      pushl $0xad7
             popf
             mov $0, %eax
             lahf
             mov %eax, %ebx
             mov $0xff00, %eax
             sahf
             pushf
             pop %eax
             int $0x80
f_int:       int $0x50
f_int3:      int3
f_int3_long: int $3
f_into:      mov $0x7fffffff, %eax
             inc %eax
             into
             int $0x80
f_into_not:  xor %eax, %eax
             into
             int $0x80
f_icebp:     .byte 0xf1
             int $0x80
f_bound:     pushl $9
             pushl $0xfffffffb         # -5 to 9
             mov f_value, %eax
             bound %eax, (%esp)
             int $0x80
f_boundw:    pushw $9
             pushw $0xfffb
             mov f_value, %eax
             bound %ax, (%esp)
             int $0x80
f_bound_rm:  .byte 0x62, 0xc0
f_nested:    iret
.data
.global f_value
f_value:     .long 0
.text
)");
extern "C" char f_pushf[], f_pushfw[], f_popf_all[], f_popf_none[], f_popfw[], f_iret_all[],
    f_iret_none[], f_popf_vm[], f_iret_vm[], f_cli[], f_sti[], f_in[], f_lahf[], f_int[], f_int3[],
    f_int3_long[], f_into[], f_into_not[], f_icebp[], f_bound[], f_boundw[], f_bound_rm[],
    f_nested[];
extern "C" volatile u32 f_value;

// The vector and, where there is one, the error code; for a snippet that ran to its end what it
// left in EAX.
void outcome(const char* name, const Trap& trap, u32 mask = system_flags) {
  print(' ', name, ' ');
  if (trap.frame.vector == 0x80) return print(hex(trap.frame.eax & mask, 6));
  print('#', trap.frame.vector, '(', hex(trap.frame.error, 4), ')');
}

void privilege_matrix() {
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    for (unsigned iopl = 0; iopl < 4; ++iopl) {
      const u32 flags = always_one | iopl << 12;
      const u32 enabled = flags | interrupt_flag;
      print("cpl ", cpl, " iopl ", iopl, ':');
      outcome("pushf", run_in_ring(cpl, f_pushf, enabled));
      outcome("word", run_in_ring(cpl, f_pushfw, enabled));
      outcome("cli", run_in_ring(cpl, f_cli, enabled));
      outcome("sti", run_in_ring(cpl, f_sti, flags));
      outcome("in", run_in_ring(cpl, f_in, enabled), 0);
      put('\n');
      print(" popf all", ':');
      outcome("", run_in_ring(cpl, f_popf_all, flags), system_and_direction);
      outcome("none", run_in_ring(cpl, f_popf_none, enabled));
      outcome("word", run_in_ring(cpl, f_popfw, flags), system_and_direction);
      outcome("iret all", run_in_ring(cpl, f_iret_all, flags), system_and_direction);
      outcome("none", run_in_ring(cpl, f_iret_none, enabled));
      put('\n');
    }
  }
}

// Only IRET at CPL 0 sets VM; TCG's does so in the other rings, too.
void virtual_mode_flag() {
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    print("VM at ", cpl, ':');
    outcome("popf", run_in_ring(cpl, f_popf_vm, always_one));
    if (cpl != 0 && option("limits")) outcome("iret", run_in_ring(cpl, f_iret_vm, always_one));
    put('\n');
  }
}

void other_flags() {
  for (const unsigned cpl : {0u, 3u}) {
    const Trap trap = run_in_ring(cpl, f_lahf, always_one);
    line("lahf at ", cpl, ": ", hex(trap.frame.ebx & 0xffff, 4), " sahf ",
         hex(trap.frame.eax & 0x8ff, 4));
  }
}

void open_gates() {
  for (const unsigned vector : {3u, 4u}) set_gate(vector, get_gate(vector) | u64{0x60} << 40);
}

// An INT n from each ring through gates of each DPL.
void gates() {
  for (unsigned dpl = 0; dpl < 4; ++dpl) {
    const u64 access = u64{0x60} << 40, level = u64{dpl} << 45;
    for (const unsigned vector : {1u, 3u, 4u, 0x50u}) {
      set_gate(vector, (get_gate(vector) & ~access) | level);
    }
    for (unsigned cpl = 0; cpl < 4; ++cpl) {
      print("gates of ", dpl, " from ", cpl, ':');
      struct Case {
        const char* name;
        const char* code;
      };
      for (const Case& one : {Case{"int", f_int}, Case{"int3", f_int3}, Case{"int 3", f_int3_long},
                              Case{"into", f_into}, Case{"icebp", f_icebp}}) {
        if (one.code == f_icebp && !option("limits")) continue;
        const Trap trap = run_in_ring(cpl, one.code, always_one);
        print(' ', one.name, " #", trap.frame.vector, '(', hex(trap.frame.error, 4), ")+",
              trap.frame.eip - reinterpret_cast<u32>(one.code));
      }
      put('\n');
    }
  }
  open_gates();
  for (const unsigned cpl : {0u, 3u}) {
    line("into without OF: #", run_in_ring(cpl, f_into_not, always_one).frame.vector);
  }
}

void bounds() {
  for (const unsigned cpl : {0u, 3u}) {
    print("bound at ", cpl, ':');
    for (const u32 value : {0xfffffffau, 0xfffffffbu, 0u, 9u, 10u, 0x80000000u, 0x7fffffffu}) {
      f_value = value;
      const Trap trap = run_in_ring(cpl, f_bound, always_one);
      const Trap word = run_in_ring(cpl, f_boundw, always_one);
      print(' ', trap.frame.vector, '/', word.frame.vector);
    }
    line(" of a register ", run_in_ring(cpl, f_bound_rm, always_one).frame.vector);
  }
}

// IRET with NT set returns to the task that the TSS links to; there is none.
void nested() {
  task_state().link = 0;
  for (unsigned cpl = 0; cpl < 4; ++cpl) {
    const Trap trap = run_in_ring(cpl, f_nested, always_one | nested_task);
    line("iret with NT at ", cpl, ": #", trap.frame.vector, " error ", hex(trap.frame.error, 4),
         " NT pushed ", (trap.frame.eflags & nested_task) != 0);
  }
  line("NT in the handler: ", (flags() & nested_task) != 0);
}

u32 cpuid_features() {
  u32 eax = 1, edx, ebx, ecx;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
  return edx;
}

// A feature of CR4 is there if CPUID says so, else its bit is reserved.
void features() {
  constexpr u32 virtual_mode = 1u << 1;
  struct Feature {
    const char* name;
    u32 cpuid, cr4;
  };
  for (const Feature& f :
       {Feature{"VME", virtual_mode, 1u << 0}, Feature{"PVI", virtual_mode, 1u << 1},
        Feature{"DE", 1u << 2, 1u << 3}, Feature{"TSD", 1u << 4, 1u << 2}}) {
    const Trap trap = attempt([&] { set_cr4(cr4() | f.cr4); });
    const bool set = (cr4() & f.cr4) != 0;
    set_cr4(cr4() & ~f.cr4);
    if (f.cpuid == virtual_mode && !option("limits")) continue;  // TCG lets the bits be set
    line(f.name, ": CR4 agrees with CPUID ", set == ((cpuid_features() & f.cpuid) != 0), ' ',
         trap.happened() ? trap.frame.vector == 13 : set);
  }
  constexpr u32 identification = 1u << 21;
  asm volatile("pushf; xorl %0, (%%esp); popf" : : "i"(identification) : "cc");
  line("ID can be changed: ", (flags() & identification) != 0);
  asm volatile("pushf; xorl %0, (%%esp); popf" : : "i"(identification) : "cc");
}

// POPF clears RF; IRET sets it.
Trap return_to(const char* code, u32 eflags) {
  return attempt([=] {
    asm volatile("push %0; push %%cs; push %1; iret" : : "r"(eflags), "r"(code));
  });
}

// RF: never pushed by PUSHF, pushed as 1 by faults, as 0 by software interrupts.
void resume_flag() {
  constexpr u32 with_resume = always_one | resume;
  for (const unsigned cpl : {0u, 3u}) {
    const Trap pushed =
        cpl == 0 ? return_to(f_pushf, with_resume) : run_in_ring(cpl, f_pushf, with_resume);
    line("RF at ", cpl, ": pushf ", (pushed.frame.eax & resume) != 0);
    if (!option("limits")) continue;
    const Trap software =
        cpl == 0 ? return_to(f_int3, with_resume) : run_in_ring(cpl, f_int3, with_resume);
    const Trap fault = run_in_ring(cpl, f_bound_rm, always_one);
    line(" int 80 ", (pushed.frame.eflags & resume) != 0, " int3 at once ",
         (software.frame.eflags & resume) != 0, " fault ", (fault.frame.eflags & resume) != 0);
  }
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  privilege_matrix();
  virtual_mode_flag();
  other_flags();
  gates();
  bounds();
  nested();
  features();
  resume_flag();
}
