// What the parts of INT 10h share. Cells are words at 0xb800:0, character below and attribute
// above, a page behind the other; a position is row * 256 + column.
#pragma once

#include "rom.h"

enum { text_segment = 0xb800, blank = 0x0720 };
enum { crtc = 0x3d4 };

u16 cell_offset(u8 page, u16 position);
// Registers `high` and the next one.
void write_crtc_pair(u8 high, u16 value);
void move_cursor(u8 page, u16 position);
void fill_cells(u16 offset, u16 cell, u32 count);
// Moves the rows of a rectangle by `lines`, up or down, and blanks those that come free: all of
// them if `lines` is 0 or too many.
void scroll(u8 page, u8 lines, int up, u8 attribute, u16 upper_left, u16 lower_right);
// At the cursor, which moves on; the attribute that stands there stays.
void type_character(u8 page, u8 character);
