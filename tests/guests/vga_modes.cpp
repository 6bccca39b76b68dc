// Modes of a VGA set by its registers, as a driver without a BIOS does: 80 by 50 text with a font
// of its own, 640 by 480 in 16 colours, 320 by 200 in 256. What is drawn is read back; with one of
// the words text, planes or bytes the kernel stays in that mode, so that its picture can be looked
// at. Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "vga_modes";

namespace {

constexpr u16 sequencer = 0x3c4, graphics = 0x3ce, crtc = 0x3d4, attribute = 0x3c0;

volatile u8* const text = reinterpret_cast<volatile u8*>(0xb8000);
volatile u8* const pixels = reinterpret_cast<volatile u8*>(0xa0000);

struct Mode {
  u8 miscellaneous;
  u8 sequencer[5], crtc[25], graphics[9], attribute[21];
};

constexpr Mode text_50{
    0x67,
    {0x03, 0x00, 0x03, 0x00, 0x02},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x47, 0x06, 0x07, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
     0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00}};
constexpr Mode planes_16{
    0xe3,
    {0x03, 0x01, 0x0f, 0x00, 0x06},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
     0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00, 0x0f, 0x00, 0x00}};
constexpr Mode bytes_256{
    0x63,
    {0x03, 0x01, 0x0f, 0x00, 0x0e},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
     0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x41, 0x00, 0x0f, 0x00, 0x00}};

void set(u16 port, unsigned index, u8 value) {
  out8(port, static_cast<u8>(index));
  out8(port + 1, value);
}

void use(const Mode& mode) {
  out8(0x3c2, mode.miscellaneous);
  set(sequencer, 0, 0x01);
  for (unsigned i = 1; i < 5; ++i) set(sequencer, i, mode.sequencer[i]);
  set(sequencer, 0, 0x03);
  set(crtc, 0x11, mode.crtc[0x11] & 0x7f);
  for (unsigned i = 0; i < 25; ++i) {
    if (i != 0x11) set(crtc, i, mode.crtc[i]);
  }
  for (unsigned i = 0; i < 9; ++i) set(graphics, i, mode.graphics[i]);
  in8(0x3da);
  for (unsigned i = 0; i < 21; ++i) {
    out8(attribute, static_cast<u8>(i));
    out8(attribute, mode.attribute[i]);
  }
  out8(attribute, 0x20);
}

// In the mode as it is now, for ever.
void stay_if(const char* word) {
  if (!option(word)) return;
  for (;;) asm volatile("cli; hlt");
}

// For a picture: what firmware and earlier modes have left is another's. As many bytes as the
// picture has, in the planes that can be written.
void clear_if(const char* word, u32 bytes) {
  if (!option(word)) return;
  volatile u8* at = pixels;
  u32 words = bytes / 4;
  asm volatile("rep stosl" : "+D"(at), "+c"(words) : "a"(0) : "memory");
}

// Characters of eight lines: stripes that turn with the character's number.
void load_font() {
  set(sequencer, 2, 0x04);
  set(sequencer, 4, 0x06);
  set(graphics, 5, 0x00);
  set(graphics, 6, 0x04);
  for (unsigned i = 0; i < 256; ++i) {
    for (unsigned row = 0; row < 8; ++row) {
      pixels[i * 32 + row] = static_cast<u8>(i << (row & 3) | i >> (8 - (row & 3)));
    }
  }
  set(sequencer, 2, 0x03);
  set(sequencer, 4, 0x02);
  set(graphics, 5, 0x10);
  set(graphics, 6, 0x0e);
}

void test_text() {
  use(text_50);
  load_font();
  for (unsigned i = 0; i < 80 * 50; ++i) {
    text[i * 2] = static_cast<u8>(i);
    text[i * 2 + 1] = static_cast<u8>(i / 80 * 5 + 1) & 0x7f;
  }
  set(crtc, 0x0a, 0x20);  // no cursor, whose blinking would differ
  u32 sum = 0;
  for (unsigned i = 0; i < 80 * 50 * 2; ++i) sum = sum * 31 + text[i];
  line("80x50 ", hex(sum));
  stay_if("text");
}

// Bars of all colours by write mode 2, and over them a diagonal by mode 0 with a bit mask.
void test_planes() {
  use(planes_16);
  clear_if("planes", 640 / 8 * 480);
  set(graphics, 5, 0x02);
  for (unsigned y = 0; y < 480; y += 12) {
    for (unsigned x = 0; x < 80; ++x) pixels[y * 80 + x] = static_cast<u8>(x / 5);
  }
  set(graphics, 5, 0x00);
  set(graphics, 0, 0x0a);
  set(graphics, 1, 0x0f);
  for (unsigned y = 0; y < 480; ++y) {
    set(graphics, 8, static_cast<u8>(0x80 >> (y & 7)));
    const u32 at = y * 80 + y / 8;
    static_cast<void>(pixels[at]);
    pixels[at] = 0xff;
  }
  set(graphics, 1, 0x00);
  set(graphics, 8, 0xff);
  print("640x480:");
  for (u8 plane = 0; plane < 4; ++plane) {
    set(graphics, 4, plane);
    u32 sum = 0;
    for (unsigned y = 0; y < 120; y += 12) {  // what lies between the bars was there before
      for (unsigned x = 0; x < 80; ++x) sum = sum * 31 + pixels[y * 80 + x];
    }
    print(" ", hex(sum));
  }
  line();
  stay_if("planes");
}

void test_bytes() {
  use(bytes_256);
  clear_if("bytes", 320 * 200);
  out8(0x3c8, 0);
  for (unsigned i = 0; i < 256; ++i) {
    out8(0x3c9, static_cast<u8>(i >> 2));
    out8(0x3c9, static_cast<u8>(63 - (i >> 2)));
    out8(0x3c9, static_cast<u8>(i & 63));
  }
  for (unsigned y = 0; y < 200; y += 8) {
    for (unsigned x = 0; x < 320; ++x) pixels[y * 320 + x] = static_cast<u8>(x + y);
  }
  u32 sum = 0;
  for (unsigned y = 0; y < 80; y += 8) {
    for (unsigned x = 0; x < 320; ++x) sum = sum * 31 + pixels[y * 320 + x];
  }
  line("320x200 ", hex(sum));
  stay_if("bytes");
}

}  // namespace

void test() {
  test_text();
  test_planes();
  test_bytes();
}
