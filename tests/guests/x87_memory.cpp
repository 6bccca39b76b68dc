// x87 instructions on memory that a monitor watches: a page whose code has run.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "x87_memory";

namespace {

alignas(4096) unsigned char page[4096];

u32 run_page() {
  u32 value;
  asm volatile("call *%1" : "=a"(value) : "r"(page) : "memory");
  return value;
}

// mov eax, value; ret
void put_code(u32 value) {
  page[0] = 0xb8;
  for (unsigned i = 0; i < 4; ++i) page[1 + i] = static_cast<unsigned char>(value >> (8 * i));
  page[5] = 0xc3;
}

}  // namespace

void test() {
  asm volatile("clts; fninit");
  put_code(1);
  line("code: ", run_page());
  asm volatile("fld1; fstps %0" : "=m"(*reinterpret_cast<float*>(page + 64)));
  line("stored beside it: ", hex(*reinterpret_cast<u32*>(page + 64)), " code: ", run_page());
  const u32 next = 0xc3010203;  // over the last bytes of the immediate, and RET
  asm volatile("flds %1; fstps %0" : "=m"(*reinterpret_cast<float*>(page + 2)) : "m"(next));
  line("stored into it: ", hex(run_page()));
}
