// The BIOS' services, called from real mode: screen, keyboard, memory, time, PCI. Only what every
// BIOS of a PC must answer alike is printed. INT 13h has a kernel of its own, bios_disk.
#include <initializer_list>

#include "runtime/bios.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;
using bios::call;
using bios::Registers;

const char* const test_name = "bios_services";

namespace {

template <class T>
volatile T& at(u32 address) {
  asm("" : "+r"(address));  // the first page is not a null pointer here
  return *reinterpret_cast<volatile T*>(address);
}

void sizes() {
  line("equipment: ", hex(call(0x11, {}).eax & 0x32, 2));  // FPU, 80 x 25 colour
  line("memory: ", call(0x12, {}).ax(), " KB");
}

void memory_map() {
  constexpr u32 smap = 0x534d4150;
  Registers r{.eax = 0xe820, .ecx = 20, .edx = smap, .es = bios::buffer_segment};
  bool formed = true, low_first = false;
  u32 ram_low = 0, ram_at_16m = 0, entries = 0;
  do {
    r.eax = 0xe820, r.ecx = 20, r.edx = smap, r.edi = 0, r.es = bios::buffer_segment;
    r = call(0x15, r);
    formed = formed && !r.carry() && r.eax == smap && r.ecx == 20;
    const u32 base = at<u32>(bios::buffer), length = at<u32>(bios::buffer + 8);
    const u32 type = at<u32>(bios::buffer + 16);
    if (entries++ == 0) low_first = base == 0;
    if (base == 0) ram_low = type;
    if (base <= 0x1000000 && 0x1000000 - base < length) ram_at_16m = type;
  } while (r.ebx != 0 && formed && entries < 32);
  line("E820: well formed ", formed, ", ends ", r.ebx == 0, ", first at 0 ", low_first,
       ", below 640 KB ", ram_low, ", at 16 MB ", ram_at_16m);
  const Registers wrong =
      call(0x15, {.eax = 0xe820, .ecx = 20, .edx = 0, .es = bios::buffer_segment});
  line("  without its word: carry ", wrong.carry(), " ah ", hex(wrong.ah(), 2));
}

void memory() {
  memory_map();
  const Registers wide = call(0x15, {.eax = 0xe801});
  line("E801: carry ", wide.carry(), ", ax ", hex(wide.ax(), 4), ", cx the same ",
       wide.ax() == (wide.ecx & 0xffff), ", dx as bx ", (wide.ebx & 0xffff) == (wide.edx & 0xffff));
  const Registers old = call(0x15, {.eax = 0x8800});
  line("88: carry ", old.carry(), ", most of 64 MB ", old.ax() > 60000);
}

void system() {
  const Registers table = call(0x15, {.eax = 0xc000});
  const u32 place = table.es * 16u + (table.ebx & 0xffff);
  line("C0: carry ", table.carry(), " ah ", table.ah(), ", an AT ", at<u8>(place + 2) == 0xfc,
       ", bytes ", at<u16>(place) >= 8);
  for (u32 function : {0xfa00u, 0x4d00u, 0xe8ffu}) {
    const Registers none = call(0x15, {.eax = function});
    line("INT 15h ", hex(function, 4), ": carry ", none.carry(), " ah ", hex(none.ah(), 2));
  }
  // The 8254's second channel has counted down, once, when a tenth of a second is over.
  out8(0x61, 0x01);
  out8(0x43, 0xb0);
  out8(0x42, 0xff);
  out8(0x42, 0xff);
  const Registers waited = call(0x15, {.eax = 0x8600, .ecx = 1, .edx = 0x86a0});
  line("86: carry ", waited.carry(), ", waits ", (in8(0x61) & 0x20) != 0);
  const Registers ebda = call(0x15, {.eax = 0xc100});
  line("C1: carry ", ebda.carry(), ", as in the data area ", ebda.es == at<u16>(0x40e));
}

void a20() {
  const Registers support = call(0x15, {.eax = 0x2403});
  line("A20 by: carry ", support.carry(), " ah ", support.ah(), " bx ", support.ebx & 3);
  for (u32 function : {0x2402u, 0x2400u, 0x2401u}) {
    const Registers r = call(0x15, {.eax = function});
    line("A20 ", hex(function, 4), ": carry ", r.carry(), " ah ", r.ah(), " al ",
         function == 0x2402 ? r.eax & 0xff : 0, ", low ", r.a20_low);
  }
}

void block_move() {
  constexpr u32 table = bios::buffer + 0x100, far = 0x300000;
  const auto descriptor = [](u32 place, u32 base) {
    at<u32>(place) = 0xffff | base << 16;
    at<u32>(place + 4) = (base >> 16 & 0xff) | 0x9300;
  };
  for (u32 i = 0; i < 64; i += 4) {
    at<u32>(table + i) = 0;
    at<u32>(far + i) = 0;
  }
  for (u32 i = 0; i < 32; ++i) at<u8>(bios::buffer + i) = static_cast<u8>(i * 7);
  descriptor(table + 0x10, bios::buffer);
  descriptor(table + 0x18, far);
  const Registers r =
      call(0x15, {.eax = 0x8700, .ecx = 13, .esi = 0x100, .es = bios::buffer_segment});
  bool moved = true;
  for (u32 i = 0; i < 26; ++i) moved = moved && at<u8>(far + i) == static_cast<u8>(i * 7);
  line("87: carry ", r.carry(), " ah ", r.ah(), ", moved ", moved, ", and no more ",
       at<u16>(far + 26) == 0, ", registers kept ", r.esi == 0x100 && r.es == bios::buffer_segment);
}

constexpr u32 text = 0xb8000;

u8 crtc(u8 index) {
  out8(0x3d4, index);
  return in8(0x3d5);
}

void show_cursor(const char* name) {
  const Registers r = call(0x10, {.eax = 0x0300});
  line(name, ": cursor ", hex(r.edx & 0xffff, 4), ", shown at ", crtc(0x0e) * 256 + crtc(0x0f));
}

void show_cells(const char* name, u32 row, u32 column, u32 count) {
  print(name, ':');
  for (u32 i = 0; i < count; ++i) print(' ', hex(at<u16>(text + row * 160 + (column + i) * 2), 4));
  put('\n');
}

void type(const char* string) {
  for (; *string; ++string) call(0x10, {.eax = 0x0e00u | static_cast<u8>(*string), .ebx = 7});
}

void place_cursor(u32 row, u32 column) { call(0x10, {.eax = 0x0200, .edx = row << 8 | column}); }

void screen_mode() {
  call(0x10, {.eax = 0x0003});
  const Registers state = call(0x10, {.eax = 0x0f00});
  line("mode: ", hex(state.ax(), 4), " page ", state.ebx >> 8 & 0xff);
  line("data area: ", at<u8>(0x449), ' ', at<u16>(0x44a), ' ', hex(at<u16>(0x44c), 4), ' ',
       at<u8>(0x484), ' ', at<u16>(0x485));
  show_cells("cleared", 0, 0, 2);
  show_cursor("mode 3");
  line("cursor's shape: ", hex(call(0x10, {.eax = 0x0300}).ecx & 0xffff, 4), ' ',
       hex(crtc(0x0a), 2), ' ', hex(crtc(0x0b), 2));
  call(0x10, {.eax = 0x0100, .ecx = 0x0607});
  line("as on a CGA: ", hex(crtc(0x0a) & 0x1f, 2), ' ', hex(crtc(0x0b) & 0x1f, 2));
  const Registers combination = call(0x10, {.eax = 0x1a00});
  line("combination: ", hex(combination.eax & 0xff, 2), ' ', hex(combination.ebx & 0xff, 2));
  const Registers ega = call(0x10, {.eax = 0x1200, .ebx = 0xff10});
  line("memory: ", hex(ega.ebx & 0xffff, 4));
  const Registers font = call(0x10, {.eax = 0x1130, .ebx = 0x0100});
  line("font: ", font.ecx & 0xffff, " rows ", font.edx & 0xff);
}

void screen_text() {
  place_cursor(5, 10);
  show_cursor("placed");
  type("AB\r\nC\a\bD");
  show_cursor("typed");
  show_cells("typed", 5, 10, 3);
  show_cells("  the next row", 6, 0, 2);
  place_cursor(7, 79);
  type("XY");
  show_cursor("over the end");
  call(0x10, {.eax = 0x0923, .ebx = 0x001e, .ecx = 3});
  show_cursor("cells");
  show_cells("cells", 8, 0, 5);
  call(0x10, {.eax = 0x0a40, .ebx = 0x0070, .ecx = 2});
  show_cells("characters alone", 8, 0, 5);
  line("read: ", hex(call(0x10, {.eax = 0x0800}).ax(), 4));
  const char string[] = "s\x1ft\x2f";
  for (u32 i = 0; i < 4; ++i) at<char>(bios::buffer + i) = string[i];
  call(0x10, {.eax = 0x1301,
              .ebx = 0x004e,
              .ecx = 4,
              .edx = 0x0a00,
              .ebp = 0,
              .es = bios::buffer_segment});
  show_cursor("string");
  show_cells("string", 10, 0, 5);
  call(0x10, {.eax = 0x1302,
              .ebx = 0x004e,
              .ecx = 2,
              .edx = 0x0b00,
              .ebp = 0,
              .es = bios::buffer_segment});
  show_cursor("string with attributes");
  show_cells("string with attributes", 11, 0, 3);
}

void screen_scroll() {
  place_cursor(24, 0);
  type("last\n");
  show_cursor("scrolled");
  show_cells("scrolled", 23, 0, 5);
  show_cells("  the last row", 24, 0, 2);
  show_cells("  the string", 9, 0, 3);
  call(0x10, {.eax = 0x0601, .ebx = 0x1700, .ecx = 0x1600, .edx = 0x1802});
  show_cells("rectangle up", 22, 0, 5);
  show_cells("  its last row", 24, 0, 5);
  call(0x10, {.eax = 0x0702, .ebx = 0x2700, .ecx = 0x1601, .edx = 0x1803});
  show_cells("rectangle down", 22, 0, 5);
  show_cells("  its last row", 24, 0, 5);
  call(0x10, {.eax = 0x0600, .ebx = 0x3000, .ecx = 0x0900, .edx = 0x0a04});
  show_cells("rectangle blanked", 9, 0, 6);
}

// As if the key had been pressed: the keyboard's next byte comes from the controller's command D2h.
void press(std::initializer_list<u8> codes) {
  for (const u8 code : codes) {
    out8(0x64, 0xd2);
    out8(0x60, code);
    bios::halt();
  }
}

void keys() {
  out8(0x21, 0xfd);
  at<u16>(0x41a) = at<u16>(0x41c);
  line("no key: zero ", call(0x16, {.eax = 0x0100}).zero());
  constexpr struct {
    const char* name;
    u8 codes[6];
  } rows[] = {{"a", {0x1e, 0x9e}},
              {"shift a", {0x2a, 0x1e, 0x9e, 0xaa}},
              {"control c", {0x1d, 0x2e, 0xae, 0x9d}},
              {"alt x", {0x38, 0x2d, 0xad, 0xb8}},
              {"shift 5", {0x36, 0x06, 0x86, 0xb6}},
              {"enter", {0x1c, 0x9c}},
              {"tab back", {0x2a, 0x0f, 0x8f, 0xaa}},
              {"escape", {0x01, 0x81}},
              {"F1", {0x3b, 0xbb}},
              {"shift F2", {0x2a, 0x3c, 0xbc, 0xaa}},
              {"control F3", {0x1d, 0x3d, 0xbd, 0x9d}},
              {"alt F4", {0x38, 0x3e, 0xbe, 0xb8}},
              {"F12", {0x58, 0xd8}},
              {"up", {0xe0, 0x48, 0xe0, 0xc8}},
              {"control left", {0x1d, 0xe0, 0x4b, 0xe0, 0xcb, 0x9d}},
              {"delete", {0xe0, 0x53, 0xe0, 0xd3}},
              {"enter of the pad", {0xe0, 0x1c, 0xe0, 0x9c}},
              {"slash of the pad", {0xe0, 0x35, 0xe0, 0xb5}},
              {"pad 7", {0x47, 0xc7}}};
  for (const auto& row : rows) {
    for (int twice = 0; twice < 2; ++twice) {
      for (const u8 code : row.codes) {
        if (code != 0) press({code});
      }
    }
    const Registers peeked = call(0x16, {.eax = 0x1100});
    const Registers wide = call(0x16, {.eax = 0x1000}), narrow = call(0x16, {.eax = 0x0000});
    line(row.name, ": ", hex(peeked.ax(), 4), ' ', hex(wide.ax(), 4), ' ', hex(narrow.ax(), 4),
         ", rest ", !call(0x16, {.eax = 0x1100}).zero());
  }
  press({0x2a, 0x1d});
  line("shifts: ", hex(call(0x16, {.eax = 0x0200}).eax & 0x0f, 2));
  press({0x9d, 0xaa, 0x3a, 0xba, 0x1e, 0x9e});
  line("caps lock: ", hex(call(0x16, {.eax = 0x0200}).eax & 0x4f, 2), ' ',
       hex(call(0x16, {.eax = 0x0000}).ax(), 4));
  press({0x3a, 0xba});
  const Registers put = call(0x16, {.eax = 0x0500, .ecx = 0x1234});
  line("put: ", put.eax & 0xff, ' ', hex(call(0x16, {.eax = 0x0000}).ax(), 4));
  out8(0x21, 0xff);
}

void time() {
  out8(0x21, 0xfe);
  const Registers first = call(0x1a, {});
  for (unsigned i = 0; i < 3; ++i) bios::halt();
  const Registers later = call(0x1a, {});
  const u32 before = first.ecx << 16 | (first.edx & 0xffff);
  const u32 after = later.ecx << 16 | (later.edx & 0xffff);
  line("ticks: ", after - before >= 3 || after < before, ", carry ", later.carry());
  const Registers clock = call(0x1a, {.eax = 0x0200});
  line("time: carry ", clock.carry(), ", hour ", (clock.ecx >> 8 & 0xff) < 0x24, ", minute ",
       (clock.ecx & 0xff) < 0x60, ", second ", (clock.edx >> 8 & 0xff) < 0x60);
  const Registers date = call(0x1a, {.eax = 0x0400});
  line("date: carry ", date.carry(), ", century ", hex(date.ecx >> 8 & 0xff, 2));
  const Registers none = call(0x1a, {.eax = 0x4200});
  line("INT 1Ah 42: carry ", none.carry());
}

void pci() {
  const Registers present = call(0x1a, {.eax = 0xb101});
  line("PCI: carry ", present.carry(), " ah ", present.ah(), ' ', hex(present.edx), " mechanism 1 ",
       present.eax & 1, ", last bus ", present.ecx & 0xff);
  const auto found = [](const char* name, const Registers& r) {
    line(name, ": carry ", r.carry(), " ah ", hex(r.ah(), 2), " bx ",
         hex(r.carry() ? 0 : r.ebx & 0xffff, 4));
  };
  found("440FX", call(0x1a, {.eax = 0xb102, .ecx = 0x1237, .edx = 0x8086}));
  found("  a second", call(0x1a, {.eax = 0xb102, .ecx = 0x1237, .edx = 0x8086, .esi = 1}));
  found("nobody's", call(0x1a, {.eax = 0xb102, .ecx = 0x1234, .edx = 0xfffe}));
  found("ISA bridge", call(0x1a, {.eax = 0xb103, .ecx = 0x060100}));
  found("class of nobody", call(0x1a, {.eax = 0xb103, .ecx = 0xfe0000}));
  for (const u32 function : {0xb108u, 0xb109u, 0xb10au}) {
    const Registers r = call(0x1a, {.eax = function, .edi = 0});
    line("read ", hex(function, 4), ": carry ", r.carry(), ' ', hex(r.ecx));
  }
  call(0x1a, {.eax = 0xb10c, .ebx = 0, .ecx = 0x0106, .edi = 4});
  line("written: ", hex(call(0x1a, {.eax = 0xb109, .ebx = 0, .edi = 4}).ecx & 0xffff, 4));
  line("nothing such: ah ", hex(call(0x1a, {.eax = 0xb1ff}).ah(), 2));
}

}  // namespace

void test() {
  bios::prepare();
  sizes();
  memory();
  out8(0x21, 0xfa);  // SeaBIOS waits by the clock's interrupt
  out8(0xa1, 0xfe);
  system();
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  a20();
  block_move();
  screen_mode();
  screen_text();
  screen_scroll();
  keys();
  time();
  pci();
}
