// Linux, Documentation/x86/zero-page.rst and boot.rst: what the 32-bit boot protocol hands over.
#include "boot_report.hpp"

namespace report {
namespace {

struct ZeroPage {
  u32 address;
  u8 byte(u32 offset) const { return *reinterpret_cast<const u8*>(address + offset); }
  u32 half(u32 offset) const { return *reinterpret_cast<const u16*>(address + offset); }
  u32 word(u32 offset) const { return *reinterpret_cast<const u32*>(address + offset); }
};

void print_screen(const ZeroPage& page) {
  line("screen: mode ", page.byte(0x06), ", ", page.byte(0x07), " x ", page.byte(0x0e), ", VGA ",
       page.byte(0x0f), ", points ", page.half(0x10));
}

void print_map(const ZeroPage& page) {
  for (u32 i = 0; i < page.byte(0x1e8); ++i) {
    const u32 at = page.address + 0x2d0 + 20 * i;
    print_map_entry(*reinterpret_cast<const u64*>(at), *reinterpret_cast<const u64*>(at + 8),
                    *reinterpret_cast<const u32*>(at + 16));
  }
}

// GRUB puts the kernel's name in front.
const char* without_image(const char* text) {
  constexpr char name[] = "BOOT_IMAGE=";
  for (u32 i = 0; name[i]; ++i) {
    if (text[i] != name[i]) return text;
  }
  while (*text && *text != ' ') ++text;
  return *text ? text + 1 : text;
}

void print_initrd(const ZeroPage& page) {
  const u32 start = page.word(0x218), size = page.word(0x21c);
  if (size == 0) return line("no initrd, at ", hex(start));
  line("initrd of ", size, " bytes, sum ", hex(checksum(start, size)));
  check(start % 4096 == 0, "the initrd begins on a page");
  check(is_apart_from_kernel(start, start + size), "the initrd is not where the kernel is");
  if (page.half(0x206) >= 0x203) {
    check(start + size - 1 <= page.word(0x22c), "the initrd lies below the kernel's limit");
  }
}

void print_segments() {
  u16 cs, ds, ss;
  asm volatile("mov %%cs, %0; mov %%ds, %1; mov %%ss, %2" : "=r"(cs), "=r"(ds), "=r"(ss));
  line("cs ", hex(cs, 4), " ds ", hex(ds, 4), " ss ", hex(ss, 4));
}

}  // namespace

void print_linux(u32 boot_params) {
  const ZeroPage page = {boot_params};
  print_segments();
  constexpr u32 can_use_heap = 0x80;  // of the 16-bit code, which does not run
  const u32 version = page.half(0x206);
  line("header ", hex(page.word(0x202)), " version ", hex(version, 4), " flags ",
       hex(page.byte(0x211) & ~can_use_heap, 2));
  check(page.byte(0x210) != 0, "a loader's type");
  line("setup_sects ", page.byte(0x1f1), " sentinel ", page.byte(0x1ef));
  if (version >= 0x205) {
    line("alignment ", hex(page.word(0x230)), " relocatable ", page.byte(0x234));
  }
  line("loaded where it was linked: ", page.word(0x214) == reinterpret_cast<u32>(image_begin));
  line("setup_data ", page.word(0x250), " subarchitecture ", page.word(0x23c));
  print_screen(page);
  line("command line \"", without_image(reinterpret_cast<const char*>(page.word(0x228))), '"');
  print_initrd(page);
  print_map(page);
}

}  // namespace report
