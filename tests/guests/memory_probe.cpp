// Memory as the map offers it: every page between 1 and 60 MB holds its own number, nothing shows
// through from elsewhere, and the monitor's text is nowhere. The word "full" on the command line
// scans the 4 GB of the address space page by page instead of by 64 KB.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/paging.hpp"

using namespace guest;

const char* const test_name = "memory_probe";

extern "C" char image_begin[], image_end[];

namespace {

constexpr u32 first_page = 0x100000 / page_bytes, end_page = 60 * 0x100000 / page_bytes;
// Where no firmware or loader has worked before: fresh memory must hold nothing of anybody's.
constexpr u32 first_unused = 16 * 256, end_unused = 40 * 256;
constexpr u32 planted = 0x1234568;

// What the monitor's image holds, kept inverted so that this image does not hold it too.
constexpr u32 inverted_marker[2] = {~u32{0x65646e55}, ~u32{0x6f726372}};  // "Undercro"

bool in_map(u32 page) {
  const BootInformation& boot = boot_information();
  for (u32 at = boot.map_address; at < boot.map_address + boot.map_length;) {
    const MapEntry& entry = *reinterpret_cast<const MapEntry*>(at);
    const u64 begin = u64{page} * page_bytes;
    if (entry.type == 1 && entry.base <= begin && begin + page_bytes <= entry.base + entry.length) {
      return true;
    }
    at += entry.size + 4;
  }
  return false;
}

bool in_image(u32 page) {
  return page * page_bytes < (reinterpret_cast<u32>(image_end) + 0xffff) &&
         (page + 1) * page_bytes > reinterpret_cast<u32>(image_begin);
}

// The string instruction keeps the scan short where every instruction is interpreted.
u32 find_markers(u32 begin, u32 bytes) {
  u32 found = 0, at = begin, words = bytes / 4;
  while (words != 0) {
    bool equal;
    asm volatile("repne scasl"
                 : "=@ccz"(equal), "+D"(at), "+c"(words)
                 : "a"(~inverted_marker[0])
                 : "memory");
    if (!equal) break;
    if (words != 0 && memory_at(at) == ~inverted_marker[1]) ++found;
  }
  return found;
}

// The search must be able to find something.
void plant_a_marker() {
  memory_at(planted) = ~inverted_marker[0];
  memory_at(planted + 4) = ~inverted_marker[1];
  check(find_markers(planted - page_bytes, 2 * page_bytes) == 1, "a planted marker is found");
  memory_at(planted) = 0;
  memory_at(planted + 4) = 0;
}

void scan_for_the_monitor() {
  // The loader's name stands in low memory, in the boot information.
  line("markers in RAM: ",
       find_markers(first_page * page_bytes, (end_page - first_page) * page_bytes));
  const u32 step = option("full") ? page_bytes : 16 * page_bytes;
  u32 found = 0;
  for (u32 address = 0x4000000; address != 0; address += step) {
    if (address >= 0xfe000000 && address < 0xff000000) continue;  // APIC and HPET registers
    if (memory_at(address) == ~inverted_marker[0]) found += find_markers(address, page_bytes);
  }
  line("markers above RAM: ", found);
}

void every_page_is_its_own() {
  u32 pages = 0, used_before = 0, wrong = 0;
  for (u32 page = first_page; page < end_page; ++page) {
    if (!in_map(page) || in_image(page)) continue;
    ++pages;
    if (page < first_unused || page >= end_unused) continue;
    for (u32 word = 0; word < pages_of_a_table; word += 64) {
      used_before += memory_at(page * page_bytes + 4 * word) != 0;
    }
  }
  for (u32 page = first_page; page < end_page; ++page) {
    if (!in_map(page) || in_image(page)) continue;
    for (u32 word = 0; word < pages_of_a_table; word += 511) {
      memory_at(page * page_bytes + 4 * word) = page * 2654435761u + word;
    }
  }
  for (u32 page = first_page; page < end_page; ++page) {
    if (!in_map(page) || in_image(page)) continue;
    for (u32 word = 0; word < pages_of_a_table; word += 511) {
      wrong += memory_at(page * page_bytes + 4 * word) != page * 2654435761u + word;
    }
  }
  line("pages: ", end_page - first_page,
       " all in the map or image: ", pages + 64 > end_page - first_page);
  line("used before: ", used_before, " wrong after: ", wrong);
}

void low_memory() {
  u32 pages = 0;
  for (u32 page = 0; page < 0xa0; ++page) pages += in_map(page);
  line("pages of low memory: ", pages, " at 640 KB: ", in_map(0xa0), " at 960 KB: ", in_map(0xf0));
  // How much of it the firmware keeps for itself is its own affair.
  line("lower and upper memory told: ", boot_information().memory_lower >= 600, " ",
       boot_information().memory_upper >= 60 * 1024);
}

}  // namespace

void test() {
  low_memory();
  plant_a_marker();
  scan_for_the_monitor();
  every_page_is_its_own();
}
