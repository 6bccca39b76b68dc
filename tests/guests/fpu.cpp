// x87 and SSE: CR0.TS, EM and MP with #NM, lazy switching of two contexts, exact results, the
// control words. Results are printed as bits.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "fpu";

namespace {

struct alignas(16) FxsaveArea {
  u32 words[128];
};
FxsaveArea contexts[2];
volatile u32 switches;
u32 owner, current;

void bits(const char* name, const double& value) {
  const u32* words = reinterpret_cast<const u32*>(&value);
  line(name, hex(words[1]), ' ', hex(words[0]));
}

void exact_results() {
  asm volatile("clts; fninit");
  u16 control = 0, status = 0xffff;
  asm volatile("fnstcw %0; fnstsw %1" : "=m"(control), "=m"(status));
  line("after fninit: control ", hex(control, 4), " status ", hex(status, 4));
  double result;
  asm volatile("fldpi; fstpl %0" : "=m"(result));
  bits("pi: ", result);
  asm volatile("fld1; fld1; faddp; fsqrt; fstpl %0" : "=m"(result));
  bits("square root of 2: ", result);
  asm volatile("fld1; fldpi; fdivrp; fstpl %0" : "=m"(result));
  bits("pi and 1: ", result);
  u32 integer = 12345;
  asm volatile("fildl %1; fildl %1; fmulp; fstpl %0" : "=m"(result) : "m"(integer));
  bits("12345 squared: ", result);
  asm volatile("fldz; fld1; fdivp; fstpl %0; fnstsw %1; fnclex" : "=m"(result), "=m"(status));
  bits("divided by zero: ", result);
  line("status ", hex(status & 0xff, 2));
  u32 flags_seen = 0;
  asm volatile("fld1; fldz; fcomip; fstp %%st(0); pushf; pop %0" : "=r"(flags_seen));
  line("0 compared with 1: ", hex(flags_seen & 0x45, 2));
}

void refused() {
  for (u32 mode = 0; mode < 6; ++mode) {  // TS and EM together: processors differ
    const u32 value = (cr0() & ~(cr0_mp | cr0_em | cr0_ts)) | mode << 1;
    const auto under = [&](void (*code)()) {
      set_cr0(value);
      const Trap trap = attempt([&] { code(); });
      set_cr0(value & ~(cr0_em | cr0_ts));
      return trap.happened() ? trap.frame.vector : 99;
    };
    print("ts ", mode >> 2, " em ", mode >> 1 & 1, " mp ", mode & 1);
    print(": x87 ", under([] { asm volatile("fninit"); }));
    print(" wait ", under([] { asm volatile("fwait"); }));
    print(" mmx ", under([] { asm volatile("pxor %mm0, %mm0"); }));
    print(" sse ", under([] { asm volatile("xorps %xmm0, %xmm0"); }));
    line(" fxsave ", under([] { asm volatile("fxsave contexts_alias" : : : "memory"); }));
  }
  set_cr4(cr4() & ~cr4_osfxsr);
  line("sse without OSFXSR: ", attempt([] { asm volatile("xorps %xmm0, %xmm0"); }).frame.vector);
  set_cr4(cr4() | cr4_osfxsr);
}
asm(".bss\n.balign 16\ncontexts_alias: .skip 512\n.text");

// What a kernel does with #NM: gives the unit to who asks, saving the other's state.
void lazy_switch(TrapFrame&) {
  asm volatile("clts");
  switches = switches + 1;
  if (owner == current) return;
  asm volatile("fxsave %0" : "=m"(contexts[owner]));
  asm volatile("fxrstor %0" : : "m"(contexts[current]));
  owner = current;
}

void lazy_contexts() {
  asm volatile("clts; fninit");
  asm volatile("fldz; fxsave %0" : "=m"(contexts[0]));
  asm volatile("fxsave %0" : "=m"(contexts[1]));
  set_handler(7, lazy_switch);
  owner = current = 0;
  const u32 steps[2] = {3, 1000};
  for (u32 round = 0; round < 50; ++round) {
    current = round & 1;
    set_cr0(cr0() | cr0_ts | cr0_mp);
    asm volatile("fiaddl %0" : : "m"(steps[current]));
    asm volatile("cvtsi2ss %0, %%xmm1; addss %%xmm1, %%xmm2" : : "m"(steps[current]));
  }
  u32 sums[2];
  for (current = 0; current < 2; ++current) {
    set_cr0(cr0() | cr0_ts);
    asm volatile("fistl %0" : "=m"(sums[current]));
    print("context ", current, ": ", sums[current]);
    u32 single;
    asm volatile("cvttss2si %%xmm2, %0" : "=r"(single));
    line(" and ", single);
  }
  line("switches: ", u32{switches});
  set_handler(7, nullptr);
  asm volatile("clts");
}

void sse_results() {
  alignas(16) float a[4] = {1.0f, 2.0f, 3.0f, 4.0f}, thirds[4] = {2.0f, 1.0f, 2.0f, 1.0f}, b[4];
  asm volatile("movaps %1, %%xmm0; addps %%xmm0, %%xmm0; sqrtps %%xmm0, %%xmm0; movaps %%xmm0, %0"
               : "=m"(b)
               : "m"(a));
  const u32* words = reinterpret_cast<const u32*>(b);
  line("sqrtps: ", hex(words[0]), ' ', hex(words[1]), ' ', hex(words[2]), ' ', hex(words[3]));
  u32 mxcsr = 0;
  asm volatile("stmxcsr %0" : "=m"(mxcsr));
  line("mxcsr: ", hex(mxcsr));
  mxcsr = 0x1f80 | 0x6000;  // toward zero
  asm volatile("ldmxcsr %0" : : "m"(mxcsr));
  asm volatile("movaps %1, %%xmm0; divps %2, %%xmm0; movaps %%xmm0, %0"
               : "=m"(b)
               : "m"(thirds), "m"(a));
  words = reinterpret_cast<const u32*>(b);
  line("divps toward zero: ", hex(words[0]), ' ', hex(words[1]), ' ', hex(words[2]));
  // Operands on a page that is not there: the fault comes with nothing changed.
  map_low_memory();
  enable_paging();
  line("movups from nothing: ", attempt([] { asm volatile("movups 0x40000000, %xmm0"); }));
  line("fld from nothing: ", attempt([] { asm volatile("fldl 0x40000000"); }));
  line("fst to nothing: ", attempt([] { asm volatile("fstl 0x40000ffc"); }));
}

}  // namespace

void test() {
  set_cr0((cr0() & ~(cr0_em | cr0_ts)) | cr0_mp);
  set_cr4(cr4() | cr4_osfxsr);
  exact_results();
  refused();
  lazy_contexts();
  sse_results();
}
