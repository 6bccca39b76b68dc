// INT 13h. With the word "disk" drive 80h is there: 5000 sectors, each holding its number times a
// constant; else it is not, and only that is shown.
#include <initializer_list>

#include "runtime/bios.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;
using bios::call;
using bios::Registers;

const char* const test_name = "bios_disk";

namespace {

constexpr u32 first_disk = 0x80, mark = 2654435761u, sector_bytes = 512;
constexpr u32 packet = bios::buffer, parameters = bios::buffer + 0x100,
              data = bios::buffer + 0x1000;

template <class T>
volatile T& at(u32 address) {
  asm("" : "+r"(address));
  return *reinterpret_cast<volatile T*>(address);
}

void show(const char* name, const Registers& r) {
  line(name, ": carry ", r.carry(), " ah ", hex(r.ah(), 2));
}

void clear() {
  for (u32 i = 0; i < 8 * sector_bytes; i += 4) at<u32>(data + i) = 0xeeeeeeee;
}

void show_sectors(u32 count) {
  for (u32 i = 0; i <= count; ++i) {
    const u32 first = at<u32>(data + i * sector_bytes);
    const u32 last = at<u32>(data + i * sector_bytes + sector_bytes - 4);
    line("  ", hex(first), first == last ? " whole" : " NOT WHOLE");
  }
}

Registers by_cylinder(u32 function, u32 count, u32 cylinder, u32 head, u32 sector) {
  return call(0x13, {.eax = function << 8 | count,
                     .ebx = data - bios::buffer,
                     .ecx = (cylinder & 0xff) << 8 | (cylinder >> 2 & 0xc0) | sector,
                     .edx = head << 8 | first_disk,
                     .es = bios::buffer_segment});
}

Registers by_packet(u32 function, u32 count, u32 sector) {
  at<u16>(packet) = 16;
  at<u16>(packet + 2) = static_cast<u16>(count);
  at<u32>(packet + 4) = static_cast<u32>(bios::buffer_segment) << 16 | (data - bios::buffer);
  at<u32>(packet + 8) = sector;
  at<u32>(packet + 12) = 0;
  return call(0x13, {.eax = function << 8, .edx = first_disk, .ds = bios::buffer_segment});
}

void what_it_is() {
  show("reset", call(0x13, {.edx = first_disk}));
  const Registers geometry = call(0x13, {.eax = 0x0800, .edx = first_disk});
  line("parameters: carry ", geometry.carry(), " ah ", geometry.ah(), ", last cylinder ",
       (geometry.ecx >> 8 & 0xff) | (geometry.ecx & 0xc0) << 2, ", last head ",
       geometry.edx >> 8 & 0xff, ", sectors ", geometry.ecx & 0x3f, ", drives ",
       geometry.edx & 0xff);
  line("  as in the data area ", at<u8>(0x475) == (geometry.edx & 0xff));
  const Registers type = call(0x13, {.eax = 0x1500, .edx = first_disk});
  line("type: carry ", type.carry(), ' ', type.ah());
  const Registers extensions = call(0x13, {.eax = 0x4100, .ebx = 0x55aa, .edx = first_disk});
  line("extensions: carry ", extensions.carry(), " bx ", hex(extensions.ebx & 0xffff, 4),
       ", packets ", extensions.ecx & 1, ", drive parameters ", extensions.ecx >> 2 & 1);
  at<u16>(parameters) = 26;
  const Registers r =
      call(0x13, {.eax = 0x4800, .edx = first_disk, .esi = 0x100, .ds = bios::buffer_segment});
  line("drive parameters: carry ", r.carry(), " ah ", r.ah(), ", bytes ", at<u16>(parameters), ' ',
       at<u32>(parameters + 4), ' ', at<u32>(parameters + 8), ' ', at<u32>(parameters + 12),
       ", sectors ", at<u32>(parameters + 16), " of ", at<u16>(parameters + 24));
}

void reads() {
  clear();
  const Registers one = by_cylinder(2, 1, 0, 0, 1);
  line("first sector: carry ", one.carry(), " ah ", one.ah(), " al ", one.eax & 0xff);
  show_sectors(1);
  const Registers across = by_cylinder(2, 3, 1, 2, 63);
  line("three behind a track's end: carry ", across.carry(), " ah ", across.ah(), " al ",
       across.eax & 0xff);
  show_sectors(3);
  line("  expected ", hex((1 * 16 * 63 + 2 * 63 + 62) * mark));
  clear();
  const Registers packed = by_packet(0x42, 2, 4321);
  line("by packet: carry ", packed.carry(), " ah ", packed.ah(), ", blocks ", at<u16>(packet + 2));
  show_sectors(2);
  show("verify", by_cylinder(4, 2, 0, 0, 1));
  show("verify by packet", by_packet(0x44, 2, 4321));
}

void writes() {
  for (u32 i = 0; i < 2 * sector_bytes; i += 4)
    at<u32>(data + i) = i < sector_bytes ? 0x11111111 : 0x22222222;
  const Registers r = by_cylinder(3, 2, 0, 1, 1);
  line("write: carry ", r.carry(), " ah ", r.ah(), " al ", r.eax & 0xff);
  for (u32 i = 0; i < sector_bytes; i += 4) at<u32>(data + i) = 0x33333333;
  show("write by packet", by_packet(0x43, 1, 65));
  clear();
  by_packet(0x42, 4, 62);
  show_sectors(4);
}

void errors() {
  const Registers beyond = by_packet(0x42, 1, 5000);
  line("beyond the end: carry ", beyond.carry());
  line("  cylinder: carry ", by_cylinder(2, 1, 900, 0, 1).carry());
  line("  sector 0: carry ", by_cylinder(2, 1, 0, 0, 0).carry());
  show("no such function", call(0x13, {.eax = 0x7f00, .edx = first_disk}));
  show("status", call(0x13, {.eax = 0x0100, .edx = first_disk}));
  show("second drive", call(0x13, {.eax = 0x0800, .edx = first_disk + 1}));
}

}  // namespace

void test() {
  bios::prepare();
  if (!option("disk")) {
    show("no disk", call(0x13, {.eax = 0x0800, .edx = first_disk}));
    show("no extensions", call(0x13, {.eax = 0x4100, .ebx = 0x55aa, .edx = first_disk}));
    return line("disks: ", at<u8>(0x475));
  }
  what_it_is();
  reads();
  writes();
  errors();
}
