// A page that is written and executed by turns, very often: each round changes an instruction and
// runs it, in the way of code generators and of kernels that patch themselves. With the word
// "ticks" on the command line each line tells the time-stamp ticks of one round, which no twin run
// compares.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "turns";

namespace {

constexpr u32 many = 100000, some = 10000;
alignas(4096) u8 code[2 * page_bytes];

u32 ticks() {
  u32 low;
  asm volatile("rdtsc" : "=a"(low) : : "edx");
  return low;
}
u32 call(const void* function) {
  u32 result;
  asm volatile("call *%1" : "=a"(result) : "r"(function) : "ecx", "edx", "memory", "cc");
  return result;
}
// mov $value, %eax; ret
void write_constant(volatile u8* at, u32 value) {
  at[0] = 0xb8;
  *reinterpret_cast<volatile u32*>(at + 1) = value;
  at[5] = 0xc3;
}

template <class Round>
void repeat(const char* name, u32 rounds, Round round) {
  const u32 start = ticks();
  u32 sum = 0;
  for (u32 i = 0; i < rounds; ++i) sum = sum * 5 + round(i);
  const u32 each = (ticks() - start) / rounds;
  print(name, ": ", hex(sum));
  if (option("ticks")) print(", ticks a round: ", each);
  put('\n');
}

}  // namespace

void test() {
  write_constant(code, 0);
  repeat("an immediate", many, [](u32 i) {
    *reinterpret_cast<volatile u32*>(code + 1) = i;
    return call(code);
  });
  write_constant(code + 64, 3);
  repeat("data beside code", some, [](u32 i) {
    *reinterpret_cast<volatile u32*>(code + 1024) = i;
    return call(code + 64) + *reinterpret_cast<volatile u32*>(code + 1024);
  });
  repeat("a new place each time", some, [](u32 i) {
    u8* const at = code + page_bytes + i % 500 * 8;
    write_constant(at, i);
    return call(at);
  });
  map_low_memory();
  enable_paging();
  repeat("an immediate, with paging", some, [](u32 i) {
    *reinterpret_cast<volatile u32*>(code + 1) = i;
    return call(code);
  });
  // And it is as fast as other code again when the writes end.
  u32 sum = 0;
  for (u32 i = 0; i < many; ++i) sum += call(code);
  line("and left alone: ", hex(sum));
}
