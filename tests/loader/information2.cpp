// Multiboot2 Specification 2.0, section 3.6.
#include "boot_report.hpp"

namespace report {

struct Information2 {
  u32 total_size, reserved;
};
struct Tag {
  u32 type, size;
  u32 words[];

  const char* text(u32 offset) const { return reinterpret_cast<const char*>(this) + offset; }
};

namespace {

void print_map(const Tag& tag) {
  line("map entries of ", tag.words[0], " bytes, version ", tag.words[1]);
  for (u32 offset = 16; offset < tag.size; offset += tag.words[0]) {
    const u64* const entry = reinterpret_cast<const u64*>(tag.text(offset));
    print_map_entry(entry[0], entry[1], static_cast<u32>(entry[2]));
  }
}

void print_tag(const Tag& tag) {
  switch (tag.type) {
    case 1:
      return line("command line \"", tag.text(8), '"');
    case 2:
      return line("a loader's name: ", tag.text(8)[0] != 0);
    case 3:
      return print_module(tag.words[0], tag.words[1], tag.text(16));
    case 4:
      return line("mem_lower ", tag.words[0]);
    case 6:
      return print_map(tag);
    case 8:
      return print_framebuffer(*reinterpret_cast<const Framebuffer*>(tag.words));
    case 9:
      line("sections of ", tag.words[1], " bytes, names in ", tag.words[2]);
      return print_sections(reinterpret_cast<const SectionHeader*>(tag.words + 3), tag.words[0],
                            tag.words[2]);
    case 21:
      return line("image load base ", hex(tag.words[0]));
    default:
      return line("tag ", tag.type, " of ", tag.size, " bytes");
  }
}

}  // namespace

void print_information(const Information2* information) {
  const u32 start = reinterpret_cast<u32>(information);
  check(start % 8 == 0, "the information is aligned to 8");
  check(information->reserved == 0, "the reserved word");
  u32 at = start + 8;
  for (;;) {
    const Tag& tag = *reinterpret_cast<const Tag*>(at);
    if (tag.type == 0) {
      line("end tag of ", tag.size, " bytes");
      break;
    }
    print_tag(tag);
    at = (at + tag.size + 7) & ~7u;
  }
  check(at + 8 == start + information->total_size, "the end tag is the last");
}

}  // namespace report
