// SSE's own exceptions: every one of MXCSR's six masked and unmasked, scalar, packed and into
// integer and MMX registers, in rings 0 and 3; with CR4.OSXMMEXCPT clear; operands that are not
// aligned; MXCSR's reserved bits. TCG raises none of them, so most of it is for the word "limits".
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "simd_exceptions";

namespace {

constexpr u32 cr4_osxmmexcpt = 0x400, all_masked = 0x1f80, all_flags = 0x3f;
constexpr unsigned exceptions = 6, first_mask = 7;
constexpr u32 one = 0x3f800000, three = 0x40400000, minus_one = 0xbf800000, largest = 0x7f7fffff,
              smallest = 0x00800000, denormal = 0x00000001, quiet = 0x7fc00000,
              signalling = 0x7fa00000, infinity = 0x7f800000, huge = 0x4f800000;

struct Registers {
  u32 xmm[4];
  u32 mmx[2], general, flags, mxcsr;
};
extern "C" {
u32 simd_first[4], simd_second[4], simd_control;
}

// The destination is XMM0, MM0 or EAX.
#define SNIPPETS(what)                                                                             \
  what(addss, "addss %xmm1, %xmm0") what(mulss, "mulss %xmm1, %xmm0")                              \
      what(divss, "divss %xmm1, %xmm0") what(sqrtss, "sqrtss %xmm1, %xmm0")                        \
          what(minss, "minss %xmm1, %xmm0") what(cmpltss, "cmpltss %xmm1, %xmm0")                  \
              what(comiss, "comiss %xmm1, %xmm0") what(ucomiss, "ucomiss %xmm1, %xmm0")            \
                  what(cvtss2si, "cvtss2si %xmm1, %eax")                                           \
                      what(cvttss2si, "cvttss2si simd_second, %eax")                               \
                          what(cvtps2pi, "cvtps2pi %xmm1, %mm0") what(divps, "divps %xmm1, %xmm0") \
                              what(mulps, "mulps %xmm1, %xmm0")
#define CODE(name, code) "x_" #name ": " code "; int $0x80\n"
asm(".text\n" SNIPPETS(CODE) CODE(movaps, "movaps simd_first + 4, %xmm0")
        CODE(addps, "addps simd_first + 8, %xmm0") CODE(movups, "movups simd_first + 4, %xmm0")
            CODE(ldmxcsr, "ldmxcsr simd_control"));
#define LABEL(name, code) x_##name[],
extern "C" char SNIPPETS(LABEL) x_movaps[], x_addps[], x_movups[], x_ldmxcsr[];
struct Snippet {
  const char* name;
  const char* code;
};
#define ROW(name, code) {#name, x_##name},
const Snippet snippets[] = {SNIPPETS(ROW)};

struct Operands {
  const char* name;
  u32 first[4], second[4];
};
const Operands operands[] = {
    {"exact", {one, one, one, one}, {one, one, one, one}},
    {"inexact", {one, one, one, one}, {three, three, three, three}},
    {"by zero", {one, three, one, one}, {0, 0, one, one}},
    {"zero by zero", {0, one, one, one}, {0, one, one, one}},
    {"overflow", {largest, one, one, one}, {largest, one, one, one}},
    {"underflow", {smallest, one, one, one}, {0x3f7fffff, one, one, one}},
    {"denormal", {one, one, one, one}, {denormal, one, one, one}},
    {"negative", {one, one, one, one}, {minus_one, one, one, one}},
    {"signalling", {one, one, one, one}, {signalling, one, one, one}},
    {"quiet", {one, one, one, one}, {quiet, one, one, one}},
    {"infinity", {infinity, one, one, one}, {infinity, one, one, one}},
    {"beyond integers", {one, one, one, one}, {huge, huge, one, one}},
    {"several", {one, largest, 0, one}, {three, smallest, 0, denormal}},
};

Trap run(unsigned ring, const char* code, const Operands& values, u32 mxcsr) {
  for (unsigned i = 0; i < 4; ++i) {
    simd_first[i] = values.first[i];
    simd_second[i] = values.second[i];
  }
  simd_control = mxcsr;
  asm volatile(
      "ldmxcsr simd_control; movups simd_first, %xmm0; movups simd_second, %xmm1; pcmpeqb %mm0, "
      "%mm0");
  return run_in_ring(ring, code);
}

Registers registers(const Trap& trap) {
  Registers now{};
  asm volatile("movups %%xmm0, %0; movq %%mm0, %1; emms; stmxcsr %2"
               : "=m"(now.xmm), "=m"(now.mmx), "=m"(now.mxcsr));
  now.general = trap.frame.eax;
  now.flags = trap.frame.eflags & 0x45;
  return now;
}

void put_result(const Snippet& snippet, const Registers& now) {
  if (snippet.code == x_cvtss2si || snippet.code == x_cvttss2si) return put(hex(now.general));
  if (snippet.code == x_comiss || snippet.code == x_ucomiss) return put(hex(now.flags, 2));
  if (snippet.code == x_cvtps2pi) return print(hex(now.mmx[0]), ' ', hex(now.mmx[1]));
  if (snippet.code != x_divps && snippet.code != x_mulps) return put(hex(now.xmm[0]));
  for (const u32 word : now.xmm) print(hex(word), ' ');
}

// What a raised exception must leave alone.
bool kept(const Snippet& snippet, const Registers& now, const Operands& values, const Trap& trap) {
  for (unsigned i = 0; i < 4; ++i) {
    if (now.xmm[i] != values.first[i]) return false;
  }
  if (now.mmx[0] != 0xffffffff || now.mmx[1] != 0xffffffff) return false;
  return trap.frame.eip == address_of(snippet.code) && trap.frame.error == 0;
}

// '.' if nothing was raised, else x for #XM and u for #UD; '!' if something had changed.
void put_outcome(const Snippet& snippet, unsigned ring, const Operands& values, u32 mxcsr) {
  const Trap trap = run(ring, snippet.code, values, mxcsr);
  const Registers now = registers(trap);
  if (trap.frame.vector == 0x80) return put('.');
  put(trap.frame.vector == 19 ? 'x' : trap.frame.vector == 6 ? 'u' : '?');
  if (!kept(snippet, now, values, trap)) put('!');
  print(hex(now.mxcsr & all_flags, 2));
}

void unmasked(const Snippet& snippet, const Operands& values, unsigned ring) {
  print(" ring ", ring, ' ');
  for (unsigned exception = 0; exception < exceptions; ++exception) {
    put_outcome(snippet, ring, values, all_masked & ~(1u << (first_mask + exception)));
  }
  put(' ');
  put_outcome(snippet, ring, values, 0);
  set_cr4(cr4() & ~cr4_osxmmexcpt);
  put_outcome(snippet, ring, values, 0);
  set_cr4(cr4() | cr4_osxmmexcpt);
}

void arithmetic() {
  line("masked: result and flags; unmasked one by one, all, all without OSXMMEXCPT:");
  for (const Snippet& snippet : snippets) {
    for (const Operands& values : operands) {
      print(snippet.name, ' ', values.name, ": ");
      const Trap trap = run(3, snippet.code, values, all_masked);
      const Registers now = registers(trap);
      put_result(snippet, now);
      if (option("limits")) {
        print(" flags ", hex(now.mxcsr & all_flags, 2));
        unmasked(snippet, values, 0);
        unmasked(snippet, values, 3);
      }
      line();
    }
  }
}

void alignment() {
  const Snippet cases[] = {{"movaps", x_movaps}, {"addps", x_addps}, {"movups", x_movups}};
  for (const Snippet& snippet : cases) {
    for (const unsigned ring : {0u, 3u}) {
      const Trap trap = run(ring, snippet.code, operands[0], all_masked);
      line(snippet.name, " not aligned, ring ", ring, ": ", trap.frame.vector, ' ',
           hex(trap.frame.error), " at +", trap.frame.eip - address_of(snippet.code));
    }
  }
}

void reserved_bits() {
  for (unsigned bit = 16; bit < 32; ++bit) {
    for (const unsigned ring : {0u, 3u}) {
      const Trap trap = run(ring, x_ldmxcsr, operands[0], all_masked);
      simd_control = all_masked | 1u << bit;
      const Trap refused = run_in_ring(ring, x_ldmxcsr);
      print(trap.frame.vector == 0x80 ? "" : "!", refused.frame.vector, ' ');
    }
  }
  line("for MXCSR bits 16 to 31, MXCSR ", hex(registers(last_trap()).mxcsr));
}

}  // namespace

void test() {
  set_cr0((cr0() & ~(cr0_em | cr0_ts)) | cr0_mp);
  set_cr4(cr4() | cr4_osfxsr | cr4_osxmmexcpt);
  asm volatile("fninit");
  map_low_memory();
  enable_paging();
  prepare_rings();
  arithmetic();
  if (!option("limits")) return;
  alignment();
  reserved_bits();
}
