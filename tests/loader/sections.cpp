// The kernel's ELF section headers, as both forms of boot information hand them on.
#include "boot_report.hpp"

namespace report {
namespace {

constexpr u32 allocated = 2, no_bits = 8, string_table = 3;

void print_section(const SectionHeader& section, u32 names) {
  const char* const name = reinterpret_cast<const char*>(names + section.name);
  print("section ", name, " type ", section.type, " flags ", section.flags, " size ", section.size);
  if (section.flags & allocated) {
    line(" at ", hex(section.address));
    return;
  }
  line(", loaded: ", section.address != 0);
  if (section.address == 0 || section.type == no_bits) return;
  check(is_apart_from_kernel(section.address, section.address + section.size),
        "a section is apart");
  line("  sum ", hex(checksum(section.address, section.size)));
}

}  // namespace

void print_sections(const SectionHeader* headers, u32 count, u32 names) {
  line(count, " sections");
  if (names >= count || headers[names].type != string_table || headers[names].address == 0) return;
  for (u32 i = 0; i < count; ++i) print_section(headers[i], headers[names].address);
}

}  // namespace report
