// What the loader handed over: command line, modules with their strings and contents. File names at
// the beginning of a string are the loader's business and not printed.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "modules";

extern "C" char image_begin[], image_end[];

namespace {

struct Module {
  u32 start, end, string, reserved;
};

// FNV-1a over the bytes.
u32 checksum(u32 start, u32 end) {
  u32 sum = 2166136261u;
  for (u32 at = start; at != end; ++at) sum = (sum ^ *reinterpret_cast<u8*>(at)) * 16777619u;
  return sum;
}

const char* last_word(u32 string) {
  const char *text = reinterpret_cast<const char*>(string), *word = text;
  for (; *text; ++text) {
    if (*text == ' ') word = text + 1;
  }
  return word;
}

}  // namespace

void test() {
  const BootInformation& boot = boot_information();
  line("command line, memory map: ", (boot.flags & 0x44) == 0x44);
  line("words: one ", option("one"), " two ", option("two"), " three ", option("three"));
  const Module* modules = reinterpret_cast<const Module*>(boot.modules);
  const u32 count = boot.flags & 8 ? boot.module_count : 0;
  line("modules: ", count);
  u32 previous_end = reinterpret_cast<u32>(image_end);
  for (u32 i = 0; i < count; ++i) {
    const Module& module = modules[i];
    line(module.end - module.start, " bytes, sum ", hex(checksum(module.start, module.end)), ", ",
         last_word(module.string));
    check(module.start % 4096 == 0, "a module begins on a page");
    check(module.start >= previous_end, "a module overlaps nothing");
    previous_end = module.end;
  }
}
