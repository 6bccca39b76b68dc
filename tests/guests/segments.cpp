// Segmentation: loads and their checks, hidden descriptor caches, accessed bits, far jumps, calls
// and returns, call gates, the LDT, bases that matter. Limits are tested with the word "limits" on
// the command line: not every emulated processor enforces them.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "segments";

namespace {

// Test descriptors by index from first_free_descriptor.
constexpr u16 selector(unsigned index, unsigned rpl = 0) {
  return static_cast<u16>((first_free_descriptor + index) * 8 + rpl);
}
u64& entry(unsigned index) { return gdt()[first_free_descriptor + index]; }

constexpr u8 data = 0x92, read_only = 0x90, code = 0x9a, execute_only = 0x98, conforming = 0x9e,
             ldt_type = 0x82, call_gate = 0x8c;
constexpr u8 flat = 0xc, bytes_32 = 0x4;
volatile u32 cells[4] = {0x11110000, 0x22220000, 0x33330000, 0x44440000};
u64 local_table[4];
u32 base_of_cells() { return reinterpret_cast<u32>(cells); }

Trap load_ds(u16 value) {
  return attempt([=] { asm volatile("mov %0, %%ds" : : "r"(u32{value})); });
}
Trap load_ss(u16 value) {
  return attempt([=] {
    asm volatile("mov %%ss, %%eax; mov %0, %%ss; mov %%eax, %%ss" : : "r"(u32{value}) : "eax");
  });
}
u32 read_fs(u32 offset) {
  u32 value;
  asm volatile("mov %%fs:(%1), %0" : "=r"(value) : "r"(offset));
  return value;
}
void load_fs(u16 value) { asm volatile("mov %0, %%fs" : : "r"(u32{value})); }

void checks_of_loads() {
  entry(0) = make_segment(0, 0xfffff, data, flat);
  entry(1) = make_segment(0, 0xfffff, read_only, flat);
  entry(2) = make_segment(0, 0xfffff, code, flat);
  entry(3) = make_segment(0, 0xfffff, execute_only, flat);
  entry(4) = make_segment(0, 0xfffff, data & 0x7f, flat);  // not present
  entry(5) = make_segment(0, 0xfffff, ldt_type, 0);
  entry(6) = make_segment(0, 0xfffff, data | 0x60, flat);  // DPL 3
  entry(7) = make_segment(0, 0xfffff, conforming, flat);
  const struct {
    const char* name;
    u16 value;
  } cases[] = {{"null", 0},
               {"null, RPL 3", 3},
               {"data", selector(0)},
               {"data, RPL 3", selector(0, 3)},
               {"read-only", selector(1)},
               {"code", selector(2)},
               {"execute-only", selector(3)},
               {"not present", selector(4)},
               {"system", selector(5)},
               {"DPL 3", selector(6)},
               {"DPL 3, RPL 3", selector(6, 3)},
               {"conforming, RPL 3", selector(7, 3)},
               {"beyond the table", 0x7f8},
               {"LDT without one", 0xc},
               {"empty entry", selector(40)}};
  for (const auto& one : cases) {
    const Trap ds = load_ds(one.value), ss = load_ss(one.value);
    print(one.name, ": ds ");
    if (ds.happened()) print(ds.frame.vector, ' ', hex(ds.frame.error, 4));
    print(", ss ");
    if (ss.happened()) print(ss.frame.vector, ' ', hex(ss.frame.error, 4));
    put('\n');
  }
  for (unsigned i = 0; i < 8; ++i) print(hex(static_cast<u32>(entry(i) >> 40) & 0xff, 2), ' ');
  line("access bytes after");
}

void caches() {
  entry(0) = make_segment(base_of_cells(), 0xfffff, data, flat);
  load_fs(selector(0));
  line("base: ", hex(read_fs(0)), ' ', hex(read_fs(4)));
  entry(0) = make_segment(base_of_cells() + 8, 0xfffff, data, flat);
  line("table changed: ", hex(read_fs(0)));
  load_fs(selector(0));
  line("reloaded: ", hex(read_fs(0)));
  entry(0) = 0;
  line("entry gone: ", hex(read_fs(4)));
  u16 seen;
  asm volatile("mov %%fs, %0" : "=r"(seen));
  line("selector: ", hex(seen, 4));
  line("reload: ", attempt([] { load_fs(selector(0)); }));
  entry(0) = make_segment(base_of_cells() + 12, 0xfffff, data, flat);
  asm volatile("push %0; pop %%gs" : : "r"(u32{selector(0)}));
  u32 value;
  asm volatile("mov %%gs:-4, %0" : "=r"(value));  // a base that wraps
  line("negative offset: ", hex(value));
  struct [[gnu::packed]] {
    u32 offset;
    u16 segment;
  } pointer = {4, selector(0)};
  entry(0) = make_segment(base_of_cells(), 0xfffff, data, flat);
  asm volatile("lfs %1, %%eax; mov %%fs:(%%eax), %0" : "=r"(value) : "m"(pointer) : "eax");
  line("lfs: ", hex(value));
  // String instructions: source by an override, destination always by ES.
  u32 buffer[2] = {};
  asm volatile("movsl %%fs:(%%esi), %%es:(%%edi)" : : "S"(8), "D"(buffer) : "memory");
  line("movs by fs: ", hex(buffer[0]));
  load_fs(0);
  line("null: ", attempt([] {
         if (option("limits")) read_fs(0);
       }));
}

void stack_segment() {
  // A stack segment with a base: pushes land elsewhere in linear space.
  static u32 stack[64];
  entry(1) = make_segment(reinterpret_cast<u32>(stack), 0xfffff, data, flat);
  u32 first, second;
  asm volatile(
      "mov %%esp, %%edi; mov %%ss, %%esi\n"
      "mov %2, %%ss; mov $256, %%esp\n"
      "push $0x1234; call 1f; 1: push %%ss; pop %1; add $8, %%esp; mov %%esp, %0\n"
      "mov %%esi, %%ss; mov %%edi, %%esp"
      : "=&r"(first), "=&r"(second)
      : "r"(u32{selector(1)})
      : "esi", "edi", "memory");
  line("stack elsewhere: esp ", first, " ss ", hex(second, 4), " pushed ", hex(stack[63]));
}

asm(R"(
.text
far_target:   mov %cs, %eax
              lret
gate_target:  mov %cs, %eax
              mov 8(%esp), %edx
              lret $4
// Runs in a segment whose base is its own address.
based_code:   mov %cs, %eax
              call 1f
1:            pop %edx
              lret
.code16
code_16:      mov $0x1234, %dx
              mov %cs, %ax
              inc %dx
              lretl
.code32
)");
extern "C" char far_target[], gate_target[], based_code[], code_16[];

struct [[gnu::packed]] FarPointer {
  u32 offset;
  u16 segment;
};

u32 far_call(u16 segment, u32 offset, u32* other = nullptr) {
  const FarPointer pointer = {offset, segment};
  u32 result, second;
  asm volatile("lcall *%2" : "=a"(result), "=&d"(second) : "m"(pointer) : "ecx", "memory");
  if (other) *other = second;
  return result & 0xffff;
}

void far_transfers() {
  const u32 target = reinterpret_cast<u32>(far_target);
  entry(2) = make_segment(0, 0xfffff, code, flat);
  entry(3) = make_segment(reinterpret_cast<u32>(based_code), 0xfff, code, bytes_32);
  entry(4) = make_segment(0, 0xfffff, code & 0x7f, flat);
  entry(5) = make_gate(selector(2), reinterpret_cast<u32>(gate_target), call_gate);
  entry(6) = make_gate(selector(0), 0, call_gate);  // leads to data
  entry(7) = make_segment(0, 0xfffff, conforming, flat);
  line("far call: ", hex(far_call(selector(2), target), 4), " and back");
  line("conforming: ", hex(far_call(selector(7), target), 4));
  u32 other = 0;
  const u32 segment = far_call(selector(3), 0, &other);
  line("code with a base: ", hex(segment, 4), " eip ", other);
  u32 result, parameter;
  const FarPointer gate = {0, selector(5)};
  asm volatile("push $0x77; lcall *(%2)"
               : "=a"(result), "=&d"(parameter)
               : "r"(&gate), "m"(gate)
               : "ecx", "memory");
  line("call gate: ", hex(result & 0xffff, 4), " parameter ", hex(parameter, 2));
  u32 now;
  asm volatile("ljmp %1, $1f; 1: mov %%cs, %0" : "=r"(now) : "i"(selector(2)));
  line("far jump: ", hex(now & 0xffff, 4));
  asm volatile("ljmp %0, $1f; 1:" : : "i"(kernel_code));
  // 16-bit code: the segment's base brings it within 64 KB.
  entry(8) = make_segment(reinterpret_cast<u32>(code_16), 0xffff, code, 0);
  const u32 segment_16 = far_call(selector(8), 0, &other);
  line("16-bit code: ", hex(segment_16, 4), ' ', hex(other & 0xffff, 4));
}

void refused_transfers() {
  const u32 target = reinterpret_cast<u32>(far_target);
  const struct {
    const char* name;
    u16 segment;
  } cases[] = {{"null", 0},
               {"data", selector(0)},
               {"not present", selector(4)},
               {"bad gate", selector(6)},
               {"beyond", 0x7f8},
               {"RPL 3", selector(2, 3)},
               {"empty", selector(41)}};
  for (const auto& one : cases) {
    line("far call, ", one.name, ": ", attempt([&] { far_call(one.segment, target); }));
  }
  line("far return to data: ", attempt([] {
         asm volatile("push %0; push $0; lret" : : "r"(u32{selector(0)}));
       }));
  line("iret to null: ", attempt([] { asm volatile("pushf; push $0; push $0; iret"); }));
}

void local_descriptor_table() {
  local_table[1] = make_segment(base_of_cells() + 4, 0xfffff, data, flat);
  entry(5) = make_segment(reinterpret_cast<u32>(local_table), sizeof local_table - 1, ldt_type, 0);
  asm volatile("lldt %0" : : "r"(selector(5)));
  u16 seen;
  asm volatile("sldt %0" : "=r"(seen));
  load_fs(0xc);
  line("ldt ", hex(seen, 4), ": ", hex(read_fs(0)));
  line("beyond it: ", load_ds(0x24));
  load_fs(0xc);
  asm volatile("lldt %0" : : "r"(u16{0}));
  line("cache without it: ", hex(read_fs(0)));
  line("load without it: ", load_ds(0xc));
  line("lldt of data: ", attempt([] { asm volatile("lldt %0" : : "r"(selector(0))); }));
  line("ltr of a busy TSS: ", attempt([] { asm volatile("ltr %0" : : "r"(tss_selector)); }));
  asm volatile("str %0" : "=r"(seen));
  line("str ", hex(seen, 4), ", type ", hex(static_cast<u32>(gdt()[6] >> 40) & 0xf, 1));
}

void questions() {
  entry(0) = make_segment(0x1000, 0x12345, data, bytes_32);
  const u16 selectors[] = {0, kernel_code, user_data, tss_selector, selector(0), selector(40)};
  for (const u16 one : selectors) {
    u32 rights = 0, limit = 0, flags_of_lar, flags_of_lsl, flags_of_verr, flags_of_verw;
    asm volatile("lar %2, %0; pushf; pop %1" : "+r"(rights), "=r"(flags_of_lar) : "r"(u32{one}));
    asm volatile("lsl %2, %0; pushf; pop %1" : "+r"(limit), "=r"(flags_of_lsl) : "r"(u32{one}));
    asm volatile("verr %1; pushf; pop %0" : "=r"(flags_of_verr) : "r"(one));
    asm volatile("verw %1; pushf; pop %0" : "=r"(flags_of_verw) : "r"(one));
    line(hex(one, 4), ": lar ", hex(rights & 0xf0ff00), ' ', flags_of_lar >> 6 & 1, " lsl ",
         hex(limit), ' ', flags_of_lsl >> 6 & 1, " verr ", flags_of_verr >> 6 & 1, " verw ",
         flags_of_verw >> 6 & 1);
  }
  struct [[gnu::packed]] {
    u16 limit;
    u32 base;
  } table;
  asm volatile("sgdt %0" : "=m"(table));
  line("sgdt: limit ", hex(table.limit, 4), ' ', table.base == reinterpret_cast<u32>(gdt()));
  u32 word;
  asm volatile("smsw %0" : "=r"(word));
  line("smsw: ", hex(word & 0xf, 1));
  u16 low = 0x10;
  asm volatile("arpl %1, %0" : "+r"(low) : "r"(u16{3}));
  line("arpl: ", hex(low, 4));
}

}  // namespace

void test() {
  checks_of_loads();
  caches();
  stack_segment();
  far_transfers();
  refused_transfers();
  local_descriptor_table();
  questions();
}
