// Instructions that user code may execute and that tell of the processor's own registers: SGDT,
// SIDT, SLDT, STR, SMSW, CPUID, PUSHF, LAR and LSL of descriptors that a kernel makes. With the
// word "tables" only those that a processor can be told to refuse to user code.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "user_reads";

namespace {

Page stack;

asm(R"(
.text
r_sgdt:     sgdt (%esp)
            mov (%esp), %eax
            mov 4(%esp), %edx
            int $0x80
r_sidt:     sidt (%esp)
            mov (%esp), %eax
            mov 4(%esp), %edx
            int $0x80
r_sldt:     sldt %eax
            mov $-1, %edx
            sldt (%esp)
            mov (%esp), %dx
            int $0x80
r_str:      str %eax
            str (%esp)
            mov (%esp), %dx
            int $0x80
r_smsw:     smsw %eax
            and $0xffff, %eax
            smsw (%esp)
            mov (%esp), %dx
            int $0x80
r_pushf:    stc
            pushf
            pop %eax
            pushfw
            pop %dx
            int $0x80
r_selectors:mov %cs, %eax
            shl $16, %eax
            mov %ss, %ax
            mov %ds, %edx
            int $0x80
r_cpuid:    mov %esi, %eax
            xor %ecx, %ecx
            cpuid
            xor %ebx, %eax
            xor %ecx, %edx
            int $0x80
r_lar:      xor %eax, %eax
            lar %si, %eax
            setz %bl
            and $0xfff0ffff, %eax  # bits 16 to 19 are undefined (SDM volume 2)
            xor %edx, %edx
            lsl %si, %edx
            setz %bh
            int $0x80
r_verify:   xor %eax, %eax
            verr %si
            setz %al
            verw %si
            setz %ah
            xor %edx, %edx
            int $0x80
)");
extern "C" char r_sgdt[], r_sidt[], r_sldt[], r_str[], r_smsw[], r_pushf[], r_selectors[],
    r_cpuid[], r_lar[], r_verify[];

// Ring 3 with ESI as given; the trap that ends it.
Trap run(char* code, u32 esi = 0, u32 eflags = 0x202) {
  UserState state;
  state.eip = reinterpret_cast<u32>(code);
  state.esp = stack.address() + page_bytes - 64;
  state.eflags = eflags;
  alignas(16) static u8 entry[16];
  // mov esi, imm32; jmp code
  entry[0] = 0xbe;
  __builtin_memcpy(entry + 1, &esi, 4);
  entry[5] = 0xe9;
  const u32 distance = state.eip - (reinterpret_cast<u32>(entry) + 10);
  __builtin_memcpy(entry + 6, &distance, 4);
  state.eip = reinterpret_cast<u32>(entry);
  return run_user(state);
}

void tell(const char* what, const Trap& trap) {
  if (trap.frame.vector != 0x80) return line(what, ": ", trap);
  line(what, ": eax ", hex(trap.frame.eax), " edx ", hex(trap.frame.edx), " ebx ",
       hex(trap.frame.ebx & 0xffff, 4));
}

void tables() {
  tell("sgdt", run(r_sgdt));
  tell("sidt", run(r_sidt));
  tell("sldt", run(r_sldt));
  tell("str", run(r_str));
  tell("smsw", run(r_smsw));
  set_cr0(cr0() | cr0_ts | cr0_mp);
  tell("smsw after a change", run(r_smsw));
  set_cr0(cr0() & ~cr0_ts);
  gdt()[10] = make_segment(stack.address(), 15, 0x82, 0);
  asm volatile("lldt %0" : : "r"(u16{10 * 8}));
  tell("sldt after a change", run(r_sldt));
}

// What ring 0 is told, in the same form.
bool same_as_in_ring_0(u32 leaf) {
  u32 a, b, c, d;
  asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(0));
  const Trap trap = run(r_cpuid, leaf);
  constexpr u32 without_apic_id = 0x00ffffff;  // which processor asks
  if (leaf == 1)
    return ((trap.frame.eax ^ a ^ b) & without_apic_id) == 0 && trap.frame.edx == (d ^ c);
  return trap.frame.eax == (a ^ b) && trap.frame.edx == (d ^ c);
}

void others() {
  tell("pushf", run(r_pushf));
  for (const u32 iopl : {0x1000u, 0x2000u, 0x3000u}) tell("pushf", run(r_pushf, 0, 0x202 | iopl));
  tell("pushf with IF clear", run(r_pushf, 0, 2));
  tell("pushf with ID", run(r_pushf, 0, 0x200202));
  tell("selectors", run(r_selectors));
  for (const u32 leaf : {0u, 1u, 2u, 0x80000000u, 0x80000001u, 0x80000002u}) {
    line("cpuid ", hex(leaf), " as in ring 0: ", same_as_in_ring_0(leaf));
  }
  // Of each type, open to ring 3 and not. LAR of limit bits is not defined, so there are none.
  for (u32 access = 0x80; access < 0x100; access += access == 0x9f ? 0x41 : 1) {
    gdt()[11] = make_segment(0x1000, 0x4321, static_cast<u8>(access), 8);
    const Trap rights = run(r_lar, 11 * 8 + 3), verified = run(r_verify, 11 * 8 + 3);
    line("descriptor ", hex(access, 2), ": lar ", hex(rights.frame.eax), " lsl ",
         hex(rights.frame.edx), " zf ", hex(rights.frame.ebx & 0xffff, 4), " verr, verw ",
         hex(verified.frame.eax & 0xffff, 4));
  }
}

// Code that has run in ring 3, and then may not.
void rights() {
  constexpr u32 alias_slot = 8;
  static Page code;
  const u32 alias = alias_slot * 0x400000 + code.address();
  volatile u32& entry = low[code.address() >> 22].entries[code.address() / page_bytes % 1024];
  volatile u32& slot = directory.entries[alias_slot];
  code.words[0] = 0x80cd40;  // inc eax; int 0x80
  const auto run_alias = [&](const char* when) {
    UserState state;
    state.eip = alias;
    state.esp = stack.address() + page_bytes;
    line(when, ": ", run_user(state));
  };
  slot = low[code.address() >> 22].address() | all_rights;
  run_alias("open to ring 3");
  slot = slot & ~user;
  invlpg(alias);
  run_alias("closed by the directory");
  slot = slot | user;
  invlpg(alias);
  run_alias("open again");
  entry = entry & ~user;
  invlpg(alias);
  run_alias("closed by the table");
  entry = entry | user;
  slot = slot & ~user;
  set_cr3(directory.address());
  run_alias("closed, and CR3 loaded");
  slot = 0;
  invlpg(alias);
  run_alias("gone");
}

}  // namespace

void test() {
  set_gate(0x80, get_gate(0x80) | u64{0x6000} << 32);
  map_low_memory();
  enable_paging();
  tables();
  if (option("tables")) return;
  others();
  rights();
}
