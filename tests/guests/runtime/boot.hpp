// What the boot loader told, and the test's own entry.
#pragma once

#include "cpu.hpp"

namespace guest {

struct BootInformation {
  u32 flags, memory_lower, memory_upper, boot_device, command_line, module_count, modules,
      symbols[4], map_length, map_address;
};
struct [[gnu::packed]] MapEntry {
  u32 size;
  u64 base, length;
  u32 type;
};

// Whether the command line holds this word.
bool option(const char* word);
const BootInformation& boot_information();

// What EAX held: which form the information has. option() reads the first. "LINX" comes from no
// boot loader, but from a few instructions at the entry of a kernel that is started as a bzImage.
constexpr u32 multiboot1_magic = 0x2badb002, multiboot2_magic = 0x36d76289,
              linux_magic = 0x584e494c;
u32 boot_magic();

}  // namespace guest

// Each test kernel defines these.
extern const char* const test_name;
void test();
