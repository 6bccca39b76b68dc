// INT 10h: text on the VGA, mode 3. Graphics modes are not there, nor VBE; what a caller asks of
// them changes nothing.
#include "video.h"

enum { font_segment = 0xc000, font_offset = 0x100 };
enum { sequencer = 0x3c4, graphics = 0x3ce, attributes = 0x3c0, status_1 = 0x3da };
enum { no_cursor_emulation = 0x01, page_count = 8 };

// Mode 3 with 16 lines a character: IBM VGA, Video Subsystem.
static ROM u8 sequencer_values[] = {0x00, 0x03, 0x00, 0x02};  // from index 1 on
static ROM u8 graphics_values[] = {0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff};
static ROM u8 crtc_values[] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                               0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                               0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
static ROM u8 attribute_values[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                    0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                    0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

static void write_attribute(u8 index, u8 value) {
  in8(status_1);
  out8(attributes, index);
  out8(attributes, value);
  out8(attributes, 0x20);  // the picture is shown
}

// The first 64 colours are those that attributes name: two thirds for a colour's low bit, one third
// for its high one.
static void set_colours(void) {
  out8(0x3c6, 0xff);
  out8(0x3c8, 0);
  for (u32 i = 0; i < 64; ++i) {
    for (u32 bit = 4; bit > 0; bit >>= 1) {
      out8(0x3c9, (u8)((i & bit ? 0x2a : 0) + (i & bit << 3 ? 0x15 : 0)));
    }
  }
}

// Plane 2, 32 bytes a character, of which 16 count.
static void load_font(void) {
  out_indexed(sequencer, 2, 0x04);
  out_indexed(sequencer, 4, 0x06);
  out_indexed(graphics, 4, 0x02);
  out_indexed(graphics, 5, 0x00);
  out_indexed(graphics, 6, 0x04);
  for (u32 i = 0; i < 256 * 16; i += 4) {
    far_write32(0xa000, (u16)((i & ~15u) * 2 + (i & 15)),
                far_read32(font_segment, (u16)(font_offset + i)));
  }
}

static void set_registers(void) {
  out8(0x3c2, 0x67);
  out_indexed(sequencer, 0, 0x03);
  load_font();
  for (u32 i = 0; i < sizeof sequencer_values; ++i) {
    out_indexed(sequencer, (u8)(i + 1), i == 1 ? 0x03 : sequencer_values[i]);
  }
  for (u32 i = 0; i < sizeof graphics_values; ++i) out_indexed(graphics, (u8)i, graphics_values[i]);
  out_indexed(crtc, 0x11, 0x0e);  // lets the first eight be written
  for (u32 i = 0; i < sizeof crtc_values; ++i) out_indexed(crtc, (u8)i, crtc_values[i]);
  for (u32 i = 0; i < sizeof attribute_values; ++i) write_attribute((u8)i, attribute_values[i]);
}

// Programs of the CGA's time think of eight lines.
static u16 emulated_shape(u16 shape) {
  u32 first = shape >> 8, last = shape & 0xff;
  const u32 height = bda->character_height;
  if ((bda->video_control & no_cursor_emulation) || height <= 8 || last >= 8 || first >= 0x20) {
    return shape;
  }
  first = last == first + 1 ? (last + 1) * height / 8 - 2 : (first + 1) * height / 8 - 1;
  last = (last + 1) * height / 8 - 1;
  return (u16)(first << 8 | last);
}

// The data area keeps what was asked for.
static void set_cursor_shape(u16 shape) {
  bda->cursor_shape = shape;
  write_crtc_pair(0x0a, emulated_shape(shape));
}

static void set_page(u8 page) {
  bda->page = page;
  bda->page_start = (u16)(page * bda->page_bytes);
  write_crtc_pair(0x0c, bda->page_start / 2);
  move_cursor(page, bda->cursor[page]);
}

// Bit 7 of the mode keeps what is in the memory.
static void set_mode(struct Registers* r) {
  const u8 mode = r->al & 0x7f;
  if (mode != 2 && mode != 3) return;
  bda->video_control = (u8)((bda->video_control & 0x7f) | (r->al & 0x80));
  bda->video_mode = mode;
  bda->columns = 80;
  bda->page_bytes = 0x1000;
  bda->last_row = 24;
  bda->character_height = 16;
  bda->crtc = crtc;
  set_registers();
  set_colours();
  for (u32 page = 0; page < page_count; ++page) bda->cursor[page] = 0;
  if (!(r->al & 0x80)) fill_cells(0, blank, page_count * 0x800);
  set_page(0);
  bda->cursor_shape = 0x0607;  // the registers' values are 0d0e
  r->al = 0x30;                // as IBM's: a mode below 7
}

static void write_cells(struct Registers* r, int with_attribute) {
  u16 offset = cell_offset(r->bh & 7, bda->cursor[r->bh & 7]);
  for (u32 count = r->cx; count > 0; --count, offset += 2) {
    far_write8(text_segment, offset, r->al);
    if (with_attribute) far_write8(text_segment, offset | 1, r->bl);
  }
}

// AL bit 0: the cursor goes along; bit 1: each character is followed by its attribute.
static void write_string(struct Registers* r) {
  const u8 page = r->bh & 7;
  const u16 before = bda->cursor[page];
  u16 from = r->bp;
  move_cursor(page, r->dx);
  for (u32 count = r->cx; count > 0; --count) {
    const u8 character = far_read8(r->es, from++);
    const u8 attribute = r->al & 2 ? far_read8(r->es, from++) : r->bl;
    const int control =
        character == '\r' || character == '\n' || character == '\b' || character == '\a';
    if (!control) far_write8(text_segment, cell_offset(page, bda->cursor[page]) | 1, attribute);
    type_character(page, character);
  }
  if (!(r->al & 1)) move_cursor(page, before);
}

static void palette(struct Registers* r) {
  switch (r->al) {
    case 0x00:
      write_attribute(r->bl & 0x1f, r->bh);
      break;
    case 0x01:
      write_attribute(0x11, r->bh);
      break;
    case 0x03:  // bit 7 of an attribute: blinks, or is a colour
      write_attribute(0x10, r->bl & 1 ? 0x0c : 0x04);
      break;
    case 0x10:
      out8(0x3c8, r->bl);
      out8(0x3c9, r->dh);
      out8(0x3c9, r->ch);
      out8(0x3c9, r->cl);
      break;
    case 0x15:
      out8(0x3c7, r->bl);
      r->dh = in8(0x3c9);
      r->ch = in8(0x3c9);
      r->cl = in8(0x3c9);
      break;
  }
}

static void font(struct Registers* r) {
  if (r->al != 0x30) return;
  const u16 vector = r->bh == 0 ? 0x1f * 4 : 0x43 * 4;
  r->bp = far_read16(0, vector);
  r->es = far_read16(0, vector + 2);
  r->cx = bda->character_height;
  r->dl = bda->last_row;
}

static void alternate_select(struct Registers* r) {
  if (r->bl == 0x10) {
    r->bx = 0x0003;  // colour, 256 KB
    r->ch = 0;
    r->cl = bda->video_switches & 0x0f;
  } else if (r->bl >= 0x30 && r->bl <= 0x36) {
    if (r->bl == 0x34) {
      bda->video_control = (u8)((bda->video_control & 0xfe) | (r->al & no_cursor_emulation));
    }
    r->al = 0x12;
  }
}

void video_service(struct Registers* r) {
  const u8 page = r->bh & 7;
  switch (r->ah) {
    case 0x00:
      return set_mode(r);
    case 0x01:
      return set_cursor_shape(r->cx);
    case 0x02:
      return move_cursor(page, r->dx);
    case 0x03:
      r->cx = bda->cursor_shape;
      r->dx = bda->cursor[page];
      return;
    case 0x05:
      if (r->al < page_count) set_page(r->al);
      return;
    case 0x06:
    case 0x07:
      return scroll(bda->page, r->al, r->ah == 0x06, r->bh, r->cx, r->dx);
    case 0x08:
      r->ax = far_read16(text_segment, cell_offset(page, bda->cursor[page]));
      return;
    case 0x09:
    case 0x0a:
      return write_cells(r, r->ah == 0x09);
    case 0x0e:
      return put_character(r->al);
    case 0x0f:
      r->al = bda->video_mode | (bda->video_control & 0x80);
      r->ah = (u8)bda->columns;
      r->bh = bda->page;
      return;
    case 0x10:
      return palette(r);
    case 0x11:
      return font(r);
    case 0x12:
      return alternate_select(r);
    case 0x13:
      return write_string(r);
    case 0x1a:
      if (r->al == 0x00) r->bx = 0x0008;  // a VGA with a colour screen, and no other
      r->al = 0x1a;
      return;
  }
}
