// A VGA as text kernels and font loaders use it: registers read back, protected ones,
// the palette, text memory as bytes, words and double words and through string instructions, fonts
// in plane 2, planes with all write and read modes, 256 colours, and text again, which is still
// there. Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "vga_registers";

namespace {

constexpr u16 sequencer = 0x3c4, graphics = 0x3ce, crtc = 0x3d4, attribute = 0x3c0;
constexpr u16 attribute_data = 0x3c1, input_status = 0x3da, palette_data = 0x3c9;

volatile u8* const text = reinterpret_cast<volatile u8*>(0xb8000);
volatile u8* const mono = reinterpret_cast<volatile u8*>(0xb0000);
volatile u8* const planes = reinterpret_cast<volatile u8*>(0xa0000);

void set(u16 port, u8 index, u8 value) {
  out8(port, index);
  out8(port + 1, value);
}
u8 get(u16 port, u8 index) {
  out8(port, index);
  return in8(port + 1);
}
u8 get_attribute(u8 index) {
  in8(input_status);
  out8(attribute, index);
  return in8(attribute_data);
}
void set_attribute(u8 index, u8 value) {
  in8(input_status);
  out8(attribute, index);
  out8(attribute, value);
}

// The registers of memory access, in text mode and with all planes at 0xa0000.
void use_text() {
  set(sequencer, 2, 0x03);
  set(sequencer, 4, 0x02);
  set(graphics, 0, 0);
  set(graphics, 1, 0);
  set(graphics, 3, 0);
  set(graphics, 4, 0);
  set(graphics, 5, 0x10);
  set(graphics, 6, 0x0e);
  set(graphics, 7, 0x0f);
  set(graphics, 8, 0xff);
}
void use_planes(u8 mask) {
  set(sequencer, 2, mask);
  set(sequencer, 4, 0x06);
  set(graphics, 5, 0x00);
  set(graphics, 6, 0x04);
}
u8 plane(u8 number, u32 at) {
  set(graphics, 5, 0x00);
  set(graphics, 4, number);
  return planes[at];
}

void test_registers() {
  const struct {
    const char* name;
    u16 port;
    u8 first, last;
  } rows[] = {{"cursor and start", crtc, 0x0a, 0x0f},
              {"graphics", graphics, 0x00, 0x04},
              {"compare and mask", graphics, 0x07, 0x08}};
  for (const auto& row : rows) {
    print(row.name, ":");
    for (u8 index = row.first; index <= row.last; ++index) {
      const u8 before = get(row.port, index);
      set(row.port, index, 0xff);
      print(" ", hex(get(row.port, index), 2));
      set(row.port, index, 0x5a);
      print(" ", hex(get(row.port, index), 2));
      set(row.port, index, before);
    }
    line();
  }
  set(crtc, 0x11, get(crtc, 0x11) | 0x80);
  const u8 width = get(crtc, 0x01);
  set(crtc, 0x01, width ^ 0x10);
  line("columns ", width + 1u, ", protected ", get(crtc, 0x01) == width);
  set(crtc, 0x11, get(crtc, 0x11) & 0x7f);
  set(crtc, 0x01, width ^ 0x10);
  line("not protected ", get(crtc, 0x01) == (width ^ 0x10));
  set(crtc, 0x01, width);
  set(crtc, 0x11, get(crtc, 0x11) | 0x80);
  line("lines of a character ", (get(crtc, 0x09) & 0x1fu) + 1, ", pitch ", get(crtc, 0x13));
}

void test_attributes_and_palette() {
  set_attribute(0x01, 0x2a);
  line("attribute ", hex(get_attribute(0x01), 2));
  set_attribute(0x01, 0x01);
  const u8 pan = get_attribute(0x33);
  set_attribute(0x33, 0x05);
  line("panning ", hex(pan, 2), " ", hex(get_attribute(0x33), 2));
  set_attribute(0x33, pan);
  in8(input_status);
  out8(attribute, 0x20);
  out8(0x3c8, 250);
  for (const u8 value : {1, 2, 3, 60, 61, 62}) out8(palette_data, value);
  out8(0x3c7, 250);
  line("palette state ", hex(in8(0x3c7), 2));
  print("palette:");
  for (unsigned i = 0; i < 6; ++i) print(" ", in8(palette_data));
  out8(0x3c8, 252);
  line(", state ", hex(in8(0x3c7), 2));
}

void test_text_memory() {
  use_text();
  for (unsigned i = 0; i < 0x8000; ++i) text[i] = static_cast<u8>(i * 7 + i / 256);
  u32 sum = 0;
  for (unsigned i = 0; i < 0x8000; ++i) sum = sum * 31 + text[i];
  line("text memory ", hex(sum));
  auto* const words = reinterpret_cast<volatile u16*>(text);
  auto* const doubles = reinterpret_cast<volatile u32*>(text);
  words[1] = 0x0741;
  doubles[1] = 0x07430742;
  *reinterpret_cast<volatile u32*>(text + 0xfff) = 0x11223344;  // over the end of a page
  line("wide accesses ", hex(doubles[0]), " ", hex(words[2], 4), " ", hex(words[3], 4), " ",
       hex(*reinterpret_cast<volatile u32*>(text + 0xffe)));
  u32 from = reinterpret_cast<u32>(text) + 160, to = reinterpret_cast<u32>(text), count = 24 * 40;
  asm volatile("cld; rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
  count = 40;
  asm volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0x07200720) : "memory");
  sum = 0;
  for (unsigned i = 0; i < 4000; ++i) sum = sum * 31 + text[i];
  line("scrolled ", hex(sum));
}

void test_windows() {
  text[10] = 0x5c;
  set(graphics, 6, 0x0a);
  line("at b0000 ", hex(mono[10], 2), ", b8000 then ", hex(text[10], 2));
  mono[11] = 0x3d;
  set(graphics, 6, 0x0e);
  line("at b8000 again ", hex(text[10], 2), " ", hex(text[11], 2), ", b0000 then ",
       hex(mono[10], 2));
  text[12] = 0x61;  // a page that was reached as a device a moment ago
  text[12] = static_cast<u8>(text[12] + 1);
  line("incremented ", hex(text[12], 2));
}

void test_font() {
  use_planes(0x04);
  set(graphics, 4, 0x02);
  u8 saved[32];
  u32 sum = 0;
  for (unsigned i = 0; i < 256 * 32; ++i) sum = sum * 31 + planes[i];
  check(sum != 0, "the firmware has left a font");
  for (unsigned i = 0; i < 32; ++i) saved[i] = planes['A' * 32 + i];
  for (unsigned i = 0; i < 32; ++i) planes['A' * 32 + i] = static_cast<u8>(0x81 + i);
  print("font:");
  for (const unsigned i : {0, 1, 15, 16, 31}) print(" ", hex(planes['A' * 32 + i], 2));
  line();
  for (unsigned i = 0; i < 32; ++i) planes['A' * 32 + i] = saved[i];
  use_text();
  line("text is as it was ", hex(text[10], 2), " ", hex(text[11], 2));
}

void test_planes() {
  constexpr u32 source = 0x9000, target = 0x9001;
  const u8 latched[4] = {0x0f, 0xf0, 0x33, 0x55};
  const struct {
    const char* name;
    u8 mode, set_reset, enable, rotate, mask, map, value;
  } rows[] = {
      {"replace", 0, 0, 0, 0, 0xff, 0xf, 0xa6},
      {"rotate", 0, 0, 0, 3, 0xff, 0xf, 0x0f},
      {"set/reset", 0, 5, 0xf, 0, 0xff, 0xf, 0xa6},
      {"two of them", 0, 1, 3, 0, 0xff, 0xf, 0xa6},
      {"bit mask", 0, 0, 0, 0, 0xf0, 0xf, 0xff},
      {"and", 0, 0, 0, 0x08, 0xff, 0xf, 0x3c},
      {"or", 0, 0, 0, 0x10, 0xff, 0xf, 0x3c},
      {"xor", 0, 0, 0, 0x18, 0xff, 0xf, 0x3c},
      {"xor, rotated", 0, 0, 0, 0x19, 0xff, 0xf, 0x3c},
      {"map mask", 0, 0, 0, 0, 0xff, 0x9, 0xa6},
      {"mode 1", 1, 0xf, 0xf, 0, 0xff, 0xf, 0x77},
      {"mode 2", 2, 0, 0, 0, 0xff, 0xf, 0x06},
      {"mode 2, masked", 2, 0, 0, 0, 0x3c, 0xf, 0x06},
      {"mode 3", 3, 9, 0, 0, 0x3f, 0xf, 0xfc},
      {"mode 3, rotated", 3, 6, 0, 1, 0xff, 0xf, 0x81},
  };
  for (const auto& row : rows) {
    use_text();
    for (u8 i = 0; i < 4; ++i) {
      use_planes(static_cast<u8>(1u << i));
      planes[source] = latched[i];
      planes[target] = 0x18;
    }
    use_planes(row.map);
    set(graphics, 0, row.set_reset);
    set(graphics, 1, row.enable);
    set(graphics, 3, row.rotate);
    set(graphics, 5, row.mode);
    set(graphics, 8, row.mask);
    static_cast<void>(planes[source]);
    planes[target] = row.value;
    print(row.name, ":");
    for (u8 i = 0; i < 4; ++i) print(" ", hex(plane(i, target), 2));
    line();
  }
  use_text();
  use_planes(0xf);
  set(graphics, 5, 0x08);
  print("read mode 1:");
  for (u8 colour = 0; colour < 16; ++colour) {
    set(graphics, 2, colour);
    print(" ", hex(planes[source], 2));
  }
  set(graphics, 7, 0x05);
  set(graphics, 2, 0x01);
  line(", of two planes ", hex(planes[source], 2));
}

void test_256_colours() {
  use_text();
  set(sequencer, 2, 0x0f);
  set(sequencer, 4, 0x0e);
  set(graphics, 5, 0x40);
  set(graphics, 6, 0x05);
  for (unsigned i = 0; i < 4096; ++i) planes[0xc000 + i] = static_cast<u8>(i * 13);
  u32 sum = 0;
  for (unsigned i = 0; i < 4096; ++i) sum = sum * 31 + planes[0xc000 + i];
  line("256 colours ", hex(sum));
  use_text();
}

}  // namespace

void test() {
  test_registers();
  test_attributes_and_palette();
  test_text_memory();
  test_windows();
  test_font();
  test_planes();
  test_256_colours();
  use_text();
  for (unsigned i = 0; i < 4000; i += 2) {
    text[i] = ' ';
    text[i + 1] = 7;
  }
}
