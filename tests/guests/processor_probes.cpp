// How kernels find out what processor they are on, and set it up: EFLAGS.AC and ID, CPUID to its
// last leaf and beyond, the page attribute table and its bits in page entries, registers that a
// kernel expects by family and model, cache control, the time stamp counter's write.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "processor_probes";

namespace {

constexpr u32 msr_pat = 0x277, flag_ac = 1u << 18, flag_id = 1u << 21;
constexpr u32 reset_low = 0x00070406, reset_high = 0x00070406;
constexpr u32 pat_of_page = 0x80, pat_of_large_page = 0x1000, test_address = 0x800000;
alignas(4096) u32 page[1024];

struct Leaf {
  u32 eax, ebx, ecx, edx;
  bool operator==(const Leaf&) const = default;
};
Leaf cpuid(u32 leaf) {
  Leaf l{leaf, 0, 0, 0};
  asm volatile("cpuid" : "+a"(l.eax), "=b"(l.ebx), "+c"(l.ecx), "=d"(l.edx));
  return l;
}

struct Wide {
  u32 low, high;
};
Wide read_msr(u32 index) {
  Wide value{};
  asm volatile("rdmsr" : "=a"(value.low), "=d"(value.high) : "c"(index));
  return value;
}
void write_wide_msr(u32 index, Wide value) {
  asm volatile("wrmsr" : : "c"(index), "a"(value.low), "d"(value.high));
}

bool toggles(u32 flag) {
  const u32 before = flags();
  asm volatile("push %0; popf" : : "r"(before ^ flag));
  const u32 after = flags();
  asm volatile("push %0; popf" : : "r"(before));
  return ((before ^ after) & flag) != 0;
}

void identify() {
  line("AC toggles: ", toggles(flag_ac), " ID toggles: ", toggles(flag_id));
  const u32 last = cpuid(0).eax;
  bool as_last = true;
  for (const u32 leaf : {last + 1, 0x15u, 0x20u, 0x3fffffffu}) {
    if (leaf > last) as_last &= cpuid(leaf) == cpuid(last);
  }
  line("leaves beyond the last are as the last: ", as_last);
  const Leaf features = cpuid(1);
  constexpr u32 needed = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 9 | 1u << 11 | 1u << 13 | 1u << 16;
  line("PSE TSC MSR APIC SEP PGE PAT: ", hex(features.edx & needed));
}

// Some kernels do not start without a page attribute table.
void page_attributes() {
  const Wide at_start = read_msr(msr_pat);
  line("PAT: ", hex(at_start.high), ' ', hex(at_start.low));
  write_wide_msr(msr_pat, {0x00070406, 0x00010406});
  const Wide changed = read_msr(msr_pat);
  line("PAT: ", hex(changed.high), ' ', hex(changed.low));
  if (option("exact")) {
    for (const u32 type : {2u, 3u, 8u, 0xffu}) {
      line("type ", type, ": ", attempt([&] { write_wide_msr(msr_pat, {type, 0}); }).frame.vector);
    }
  }
  write_wide_msr(msr_pat, {reset_low, reset_high});
}

void attributes_of_pages() {
  PageTable& table = low[test_address / 0x400000];
  map_low_memory();
  set_cr4(cr4() | cr4_pse);
  enable_paging();
  const u32 frame = reinterpret_cast<u32>(page);
  for (u32 kind = 0; kind < 8; ++kind) {
    const u32 bits = (kind & 3) << 3 | (kind & 4 ? pat_of_page : 0);
    table.entries[0] = frame | present | writable | bits;
    invlpg(test_address);
    page[0] = 0x100 + kind;
    memory_at(test_address + 4) = kind;
    line("page ", hex(bits, 2), ": ", hex(memory_at(test_address)), ' ', page[1], " entry ",
         hex(table.entries[0] & 0xfff, 3));
  }
  for (const u32 bit : {0u, pat_of_large_page}) {
    directory.entries[test_address / 0x400000] = present | writable | large | bit;
    set_cr3(directory.address());
    line("large page ", hex(bit), ": ", hex(memory_at(test_address + frame)));
  }
}

void registers_by_model() {
  constexpr u32 counters[] = {0xc1, 0xc2, 0x186, 0x187}, others[] = {0x8b, 0x1d9};
  for (const u32 index : counters) {
    line("register ", hex(index, 3), ": ", attempt([&] {
           write_wide_msr(index, {0, 0});
         }),
         ", ", attempt([&] { read_msr(index); }));
  }
  for (const u32 index : others) line("register ", hex(index, 3), ": ", read_msr(index).low);
}

void controls() {
  const u32 cr0_before = cr0() & 0x9fffffff;
  set_cr0(cr0_before | 0x40000000);
  asm volatile("wbinvd" : : : "memory");
  line("cache disabled: ", (cr0() & 0x60000000) == 0x40000000);
  set_cr0(cr0_before);
  line("cache enabled: ", (cr0() & 0x60000000) == 0);
  constexpr u32 wanted = 0x10 | 0x80 | 0x100 | 0x200 | 0x400;  // PSE PGE PCE OSFXSR OSXMMEXCPT
  set_cr4(cr4() | wanted);
  line("cr4: ", hex(cr4() & wanted));
  line("time stamp written: ", attempt([] { write_wide_msr(0x10, {0, 0}); }));
  asm volatile("push $0; popf");
  line("flags: ", hex(flags()));
}

}  // namespace

void test() {
  identify();
  page_attributes();
  attributes_of_pages();
  registers_by_model();
  controls();
}
