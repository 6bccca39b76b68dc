// Code that changes code: its own immediates, instructions ahead in the same straight run, copies,
// code across pages, through an alias mapping, by string instructions. A branch stands between each
// change and its use, as the manual asks (SDM volume 3, 8.1.3).
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "selfmod";

namespace {

struct alignas(4096) CodePages {
  u8 bytes[3 * page_bytes];
};
CodePages code;
constexpr u32 alias = 0x40000000;
PageTable alias_table;

u32 call(const void* function) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(function) : "ecx", "edx", "memory", "cc");
  return result;
}

// mov $value, %eax; ret
void write_constant(volatile u8* at, u32 value) {
  at[0] = 0xb8;
  for (unsigned i = 0; i < 4; ++i) at[1 + i] = static_cast<u8>(value >> 8 * i);
  at[5] = 0xc3;
}

// The routine increments its own immediate each time that it runs.
asm(R"(
.data
.balign 4096
counter_code:
  mov $0, %eax
  incl counter_code + 1
  jmp 1f
1:ret

// Patches the instruction after the jump from NOPs to INC EAX, in the same page, and undoes it.
ahead_code:
  xor %eax, %eax
  movb $0x40, ahead_target
  movb $0x40, ahead_target + 1
  jmp ahead_target
ahead_target:
  nop
  nop
  movb $0x90, ahead_target
  movb $0x90, ahead_target + 1
  jmp 1f
1:ret

// A loop whose body grows: each round turns one more NOP into INC EAX.
growing_code:
  xor %eax, %eax
  mov $growing_body, %edx
  mov $8, %ecx
1:movb $0x40, (%edx)
  inc %edx
  jmp growing_body
growing_body:
  .fill 8, 1, 0x90
  loop 1b
  ret
.text
)");
extern "C" char counter_code[], ahead_code[], growing_code[];

void own_code() {
  u32 sum = 0;
  for (u32 i = 0; i < 100; ++i) sum += call(counter_code);
  line("own immediate, 100 calls: ", sum);
  line("instruction ahead: ", call(ahead_code), " and again ", call(ahead_code));
  line("growing loop: ", call(growing_code));
}

void rewritten_code() {
  u32 sum = 0;
  for (u32 i = 0; i < 1000; ++i) {
    write_constant(code.bytes + 64, i);
    sum += call(code.bytes + 64);
  }
  line("1000 rewrites: ", sum);
  // Many small functions, called in turn while one of them changes.
  for (u32 i = 0; i < 128; ++i) write_constant(code.bytes + 16 * i, i);
  sum = 0;
  for (u32 round = 0; round < 16; ++round) {
    for (u32 i = 0; i < 128; ++i) sum += call(code.bytes + 16 * i);
    write_constant(code.bytes + 16 * round, 10000);
  }
  line("128 functions, 16 rounds: ", sum);
  // An unchanged page between: data beside code.
  write_constant(code.bytes, 7);
  volatile u32& counter = *reinterpret_cast<volatile u32*>(code.bytes + 512);
  counter = 0;
  for (u32 i = 0; i < 500; ++i) counter = counter + call(code.bytes);
  line("data beside code: ", u32{counter});
}

void across_pages() {
  u32 sum = 0;
  for (u32 offset = 1; offset < 6; ++offset) {
    u8* at = code.bytes + page_bytes - offset;
    for (u32 i = 0; i < 20; ++i) {
      write_constant(at, 0x01020304u * i);
      sum += call(at);
      at[offset < 5 ? offset : 4] ^= 0x80;  // the first byte of the second page
      sum += call(at);
    }
  }
  line("across a page: ", hex(sum));
}

void string_instructions() {
  u8 source[6];
  u32 sum = 0;
  for (u32 i = 0; i < 50; ++i) {
    write_constant(source, i * i);
    u32 count = 6;
    void *to = code.bytes + 128, *from = source;
    asm volatile("rep movsb" : "+c"(count), "+D"(to), "+S"(from) : : "memory");
    sum += call(code.bytes + 128);
  }
  line("rep movs: ", sum);
  u32 count = 100;
  void* to = code.bytes + 256;
  asm volatile("rep stosb" : "+c"(count), "+D"(to) : "a"(0x40) : "memory");  // INC EAX
  code.bytes[256 + 100] = 0xc3;
  u32 result = 0;
  asm volatile("call *%1" : "+a"(result) : "r"(code.bytes + 256) : "memory", "cc");
  line("100 increments: ", result);
}

void through_an_alias() {
  map_low_memory();
  for (u32 i = 0; i < 3; ++i) {
    alias_table.entries[i] = (reinterpret_cast<u32>(code.bytes) + i * page_bytes) | all_rights;
  }
  directory.entries[alias >> 22] = alias_table.address() | all_rights;
  enable_paging();
  u32 sum = 0;
  for (u32 i = 0; i < 100; ++i) {
    write_constant(reinterpret_cast<u8*>(alias + 64), i);
    sum += call(code.bytes + 64);
    write_constant(code.bytes + 64, 3 * i);
    sum += call(reinterpret_cast<void*>(alias + 64));
  }
  line("through an alias: ", sum);
  // The same linear address with other code behind it.
  write_constant(code.bytes + 64, 1);
  write_constant(code.bytes + page_bytes + 64, 1000);
  sum = 0;
  for (u32 i = 0; i < 20; ++i) {
    alias_table.entries[0] =
        (reinterpret_cast<u32>(code.bytes) + (i & 1) * page_bytes) | all_rights;
    invlpg(alias);
    sum += call(reinterpret_cast<void*>(alias + 64));
  }
  line("remapped code: ", sum);
  alias_table.entries[0] = reinterpret_cast<u32>(code.bytes) | present;
  invlpg(alias);
  line("read-only code: ", call(reinterpret_cast<void*>(alias + 64)));
  set_cr0(cr0() | cr0_wp);
  line("and written: ", attempt([] { memory_at(alias + 64) = 0; }));
  // Ring 3 changes its own code.
  write_constant(code.bytes + 64, 5);
  const u8 user_code_bytes[] = {0xc6, 0x05, 0,   0, 0, 0, 0x42,  // movb $0x42, target
                                0xeb, 0x00,                      // jmp target
                                0x90, 0xcd, 0x80};               // target: nop; int $0x80
  for (u32 i = 0; i < sizeof user_code_bytes; ++i) code.bytes[i] = user_code_bytes[i];
  *reinterpret_cast<u32*>(code.bytes + 2) = reinterpret_cast<u32>(code.bytes + 9);
  UserState state;
  state.eip = reinterpret_cast<u32>(code.bytes);
  set_gate(0x80, get_gate(0x80) | u64{0x60} << 40);
  u32 edx = 0;
  for (u32 i = 0; i < 20; ++i) {
    code.bytes[9] = 0x90;
    edx += run_user(state).frame.edx - 0x44444444;  // INC EDX ran
  }
  line("ring 3 changes itself: ", edx);
}

}  // namespace

void test() {
  own_code();
  rewritten_code();
  across_pages();
  string_instructions();
  through_an_alias();
}
