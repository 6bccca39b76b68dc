// Prints all that its boot loader has handed over, in the form of multiboot 1, multiboot 2 or
// Linux. Where a loader put things and how much memory there is are not printed: they may differ,
// but they are checked to make sense. Its headers are written by tests/system/loader_images.py.
#include "boot_report.hpp"

const char* const test_name = "boot_report";

// Room for a header of any kind, at the very beginning of the image.
[[gnu::section(".multiboot"), gnu::aligned(8), gnu::used]] const guest::u32 header_area[128] = {};

namespace report {

u32 checksum(u32 start, u32 bytes) {
  u32 sum = 2166136261u;
  for (u32 at = start; at != start + bytes; ++at)
    sum = (sum ^ *reinterpret_cast<u8*>(at)) * 16777619u;
  return sum;
}

bool is_apart_from_kernel(u32 start, u32 end) {
  return end <= reinterpret_cast<u32>(image_begin) || start >= reinterpret_cast<u32>(image_end);
}

void print_module(u32 start, u32 end, const char* text) {
  line("module of ", end - start, " bytes, sum ", hex(checksum(start, end - start)), ": \"", text,
       '"');
  check(start % 4096 == 0, "a module begins on a page");
  check(is_apart_from_kernel(start, end), "a module is not where the kernel is");
}

void print_map_entry(u64 base, u64 length, u32 type) {
  const u32 end = static_cast<u32>(base + length);
  if (base < 0x100000) {
    line("map: ", hex(static_cast<u32>(base)), " to ", hex(end), " type ", type);
  } else if (base == 0x100000) {
    line("map: memory from 1 MB on, type ", type);
  }
}

void print_framebuffer(const Framebuffer& screen) {
  line("framebuffer at ", hex(screen.address), " pitch ", screen.pitch, ", ", screen.width, " x ",
       screen.height, " x ", screen.depth, ", type ", screen.type);
}

}  // namespace report

void test() {
  using namespace report;
  u32 flags;
  asm volatile("pushf; pop %0" : "=r"(flags));
  line("interrupts: ", (flags & 0x200) != 0);
  switch (boot_magic()) {
    case multiboot1_magic:
      return print_information(reinterpret_cast<const Information1*>(&boot_information()));
    case multiboot2_magic:
      return print_information(reinterpret_cast<const Information2*>(&boot_information()));
    case linux_magic:
      return print_linux(reinterpret_cast<u32>(&boot_information()));
  }
}
