// Text on the VGA in mode 3: the cursor, scrolling, characters as a terminal takes them.
#include "video.h"

u16 cell_offset(u8 page, u16 position) {
  return (u16)(page * bda->page_bytes + ((position >> 8) * bda->columns + (position & 0xff)) * 2);
}

void write_crtc_pair(u8 high, u16 value) {
  out_indexed(crtc, high, (u8)(value >> 8));
  out_indexed(crtc, (u8)(high + 1), (u8)value);
}

void move_cursor(u8 page, u16 position) {
  bda->cursor[page] = position;
  if (page == bda->page) write_crtc_pair(0x0e, cell_offset(page, position) / 2);
}

void fill_cells(u16 offset, u16 cell, u32 count) {
  for (; count > 0; --count, offset += 2) far_write16(text_segment, offset, cell);
}

// One row's cells to another's place.
static void copy(u16 to, u16 from, u32 count) {
  asm volatile(
      "movw %w3, %%ds; movw %w3, %%es; rep movsw; pushw %%ss; popw %%ds; pushw %%ss; popw %%es"
      : "+D"(to), "+S"(from), "+c"(count)
      : "r"(text_segment)
      : "memory");
}

// Moves the rows of a rectangle by `lines`, up or down, and blanks those that come free: all of
// them if `lines` is 0 or too many.
void scroll(u8 page, u8 lines, int up, u8 attribute, u16 upper_left, u16 lower_right) {
  const u8 left = (u8)upper_left, top = upper_left >> 8;
  u8 right = (u8)lower_right, bottom = lower_right >> 8;
  if (right >= bda->columns) right = (u8)(bda->columns - 1);
  if (bottom > bda->last_row) bottom = bda->last_row;
  if (left > right || top > bottom) return;
  const u32 width = right - left + 1u, height = bottom - top + 1u;
  if (lines == 0 || lines > height) lines = (u8)height;
  for (u32 i = 0; i < height; ++i) {
    const u32 row = up ? top + i : bottom - i;
    const u16 to = cell_offset(page, (u16)(row << 8 | left));
    if (i + lines < height) {
      copy(to, cell_offset(page, (u16)((up ? row + lines : row - lines) << 8 | left)), width);
    } else {
      fill_cells(to, (u16)(attribute << 8 | ' '), width);
    }
  }
}

void type_character(u8 page, u8 character) {
  u16 position = bda->cursor[page];
  u8 column = (u8)position, row = position >> 8;
  if (character == '\r') {
    column = 0;
  } else if (character == '\n') {
    ++row;
  } else if (character == '\b') {
    if (column > 0) --column;
  } else if (character != '\a') {
    far_write8(text_segment, cell_offset(page, position), character);
    ++column;
  }
  if (column >= bda->columns) {
    column = 0;
    ++row;
  }
  if (row > bda->last_row) {
    row = bda->last_row;
    const u8 attribute = far_read8(text_segment, cell_offset(page, position) | 1);
    scroll(page, 1, 1, attribute, 0, 0xffff);
  }
  move_cursor(page, (u16)(row << 8 | column));
}

void put_character(u8 character) { type_character(bda->page, character); }

void put_text(ROM char* text) {
  for (; *text; ++text) put_character((u8)*text);
}
