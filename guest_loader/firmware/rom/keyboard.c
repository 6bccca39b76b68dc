// The keyboard: IRQ 1 turns scan codes (set 1) into keys in the BIOS data area's ring, INT 16h
// gives them out. A key is a word: the scan code above, the character below; 0xe0 or 0 for keys
// without one.
#include "rom.h"

enum { right_shift = 1, left_shift = 2, control = 4, alt = 8, num_lock = 0x20, caps_lock = 0x40 };
enum { insert = 0x80 };                                                        // shifts, first byte
enum { left_control = 1, left_alt = 2 };                                       // second byte
enum { right_control = 4, right_alt = 8, extended_next = 2, pause_next = 1 };  // keyboard_mode

// By scan code from 1 to 0x39: alone, with shift.
static ROM char characters[][2] = {
    {27, 27},    {'1', '!'}, {'2', '@'}, {'3', '#'}, {'4', '$'},  {'5', '%'}, {'6', '^'},
    {'7', '&'},  {'8', '*'}, {'9', '('}, {'0', ')'}, {'-', '_'},  {'=', '+'}, {8, 8},
    {9, 0},      {'q', 'Q'}, {'w', 'W'}, {'e', 'E'}, {'r', 'R'},  {'t', 'T'}, {'y', 'Y'},
    {'u', 'U'},  {'i', 'I'}, {'o', 'O'}, {'p', 'P'}, {'[', '{'},  {']', '}'}, {13, 13},
    {0, 0},      {'a', 'A'}, {'s', 'S'}, {'d', 'D'}, {'f', 'F'},  {'g', 'G'}, {'h', 'H'},
    {'j', 'J'},  {'k', 'K'}, {'l', 'L'}, {';', ':'}, {'\'', '"'}, {'`', '~'}, {0, 0},
    {'\\', '|'}, {'z', 'Z'}, {'x', 'X'}, {'c', 'C'}, {'v', 'V'},  {'b', 'B'}, {'n', 'N'},
    {'m', 'M'},  {',', '<'}, {'.', '>'}, {'/', '?'}, {0, 0},      {'*', '*'}, {0, 0},
    {' ', ' '}};
enum { first_pad = 0x47, last_pad = 0x53 };
static ROM char pad_digits[] = "789-456+1230.";
// With control: the scan code that is told; 0: none.
static ROM u8 pad_with_control[] = {0x77, 0x8d, 0x84, 0x8e, 0x73, 0x8f, 0x74,
                                    0x90, 0x75, 0x91, 0x76, 0x92, 0x93};

static void store(u16 key) {
  u16 next = (u16)(bda->key_end + 2);
  if (next >= bda->keys_behind) next = bda->keys_first;
  if (next == bda->key_next) return;  // full
  far_write16(0x40, bda->key_end, key);
  bda->key_end = next;
}

static u16 control_key(u8 code, u8 character) {
  if (code == 0x03) return 0x0300;
  if (code == 0x07) return 0x071e;
  if (code == 0x0c) return 0x0c1f;
  if (code == 0x0e) return 0x0e7f;
  if (code == 0x0f) return 0x9400;
  if (code == 0x1c) return 0x1c0a;
  if (code == 0x39) return 0x3920;
  const u8 lower = character | 0x20;
  const int has_control =
      (lower >= 'a' && lower <= 'z') || character == 27 || (character >= '[' && character <= ']');
  return has_control ? (u16)(code << 8 | (character & 0x1f)) : 0;
}

static u16 alt_key(u8 code) {
  if (code >= 0x02 && code <= 0x0d) return (u16)((code + 0x76) << 8);
  if (code == 0x0f) return 0xa500;
  if (code == 0x39) return 0x3920;
  return (u16)(code << 8);
}

static u16 main_key(u8 code, u8 shifts) {
  const u8 plain = (u8)characters[code - 1][0];
  if (plain == 0) return 0;
  if (shifts & alt) return alt_key(code);
  if (shifts & control) return control_key(code, plain);
  int shifted = (shifts & (left_shift | right_shift)) != 0;
  if (plain >= 'a' && plain <= 'z' && (shifts & caps_lock)) shifted = !shifted;
  return (u16)(code << 8 | (shifted ? (u8)characters[code - 1][1] : plain));
}

// F1 to F10, F11, F12: alone, with shift, with control, with alt.
static u16 function_key(u8 code, u8 shifts) {
  const u8 step = shifts & alt                          ? 3
                  : shifts & control                    ? 2
                  : shifts & (left_shift | right_shift) ? 1
                                                        : 0;
  if (code >= 0x57) return (u16)((code - 0x57 + 0x85 + 2 * step) << 8);
  return (u16)((code + (step == 0 ? 0 : 0x0f + 10 * step)) << 8);
}

static u16 pad_key(u8 code, u8 shifts, int extended) {
  const u8 index = (u8)(code - first_pad);
  const u8 none = extended ? 0xe0 : 0x00;
  const u8 sign = (u8)pad_digits[index];
  if (!extended && (sign == '-' || sign == '+') && !(shifts & (alt | control))) {
    return (u16)(code << 8 | sign);
  }
  if (shifts & alt) return extended ? (u16)((code + 0x50) << 8) : 0;
  if (shifts & control) return (u16)(pad_with_control[index] << 8 | none);
  const int digits = ((shifts & num_lock) != 0) != ((shifts & (left_shift | right_shift)) != 0);
  return (u16)(code << 8 | (!extended && digits ? sign : none));
}

// Whether the code is a shift key's; notes that it has gone down or up.
static int shift_key(u8 code, int up, int extended) {
  u8 bit = 0, side = 0;
  if (code == 0x2a) bit = left_shift;
  if (code == 0x36) bit = right_shift;
  if (code == 0x1d) bit = control, side = left_control;
  if (code == 0x38) bit = alt, side = left_alt;
  if (code == 0x3a || code == 0x45) {
    if (!up) bda->shifts ^= code == 0x3a ? caps_lock : num_lock;
    return 1;
  }
  if (bit == 0) return 0;
  if (bit <= left_shift && extended) return 1;  // what the cursor keys send around themselves
  if (extended) {
    const u8 right = bit == control ? right_control : right_alt;
    bda->keyboard_mode = up ? bda->keyboard_mode & (u8)~right : bda->keyboard_mode | right;
  } else if (side) {
    bda->shifts_more = up ? bda->shifts_more & (u8)~side : bda->shifts_more | side;
  }
  const int other = side && ((bda->shifts_more & side) ||
                             (bda->keyboard_mode & (bit == control ? right_control : right_alt)));
  bda->shifts = up && !other ? bda->shifts & (u8)~bit : bda->shifts | bit;
  return 1;
}

static u16 key_of(u8 code, u8 shifts, int extended) {
  if (extended && code == 0x1c) return shifts & alt ? 0xa600 : shifts & control ? 0xe00a : 0xe00d;
  if (extended && code == 0x35) return shifts & alt ? 0xa400 : shifts & control ? 0x9500 : 0xe02f;
  if (code >= 1 && code <= 0x39) return main_key(code, shifts);
  if ((code >= 0x3b && code <= 0x44) || code == 0x57 || code == 0x58)
    return function_key(code, shifts);
  if (code >= first_pad && code <= last_pad) return pad_key(code, shifts, extended);
  return 0;
}

static void take(u8 byte) {
  const int extended = (bda->keyboard_mode & extended_next) != 0;
  if (byte == 0xe0 || byte == 0xe1) {
    bda->keyboard_mode |= byte == 0xe0 ? extended_next : pause_next;
    return;
  }
  if (bda->keyboard_mode & pause_next) {  // e1 1d 45, e1 9d c5: the key means nothing here
    if ((byte & 0x7f) == 0x45) bda->keyboard_mode &= (u8)~pause_next;
    return;
  }
  bda->keyboard_mode &= (u8)~extended_next;
  const u8 code = byte & 0x7f;
  if (shift_key(code, byte & 0x80, extended) || (byte & 0x80)) return;
  const u8 shifts = bda->shifts;
  if ((shifts & (control | alt)) == (control | alt) && code == 0x53) {
    bda->reset_flag = 0x1234;
    asm volatile("ljmpw $0xf000, $power_on");
  }
  const u16 key = key_of(code, shifts, extended);
  if (key) store(key);
  if (code == 0x52 && key && (u8)key != '0') bda->shifts ^= insert;
}

// IRQ 1. INT 15h, 4Fh may change the code or, without carry, swallow it.
void key_interrupt(struct Registers* r) {
  (void)r;
  u8 byte = in8(0x60), wanted;
  u16 ax = (u16)(0x4f00 | byte);
  asm volatile("stc; int $0x15; setc %1" : "+a"(ax), "=q"(wanted) : : "memory", "cc");
  if (wanted) take((u8)ax);
  out8(0x20, 0x20);
}

static u16 first_key(void) { return far_read16(0x40, bda->key_next); }

static u16 take_key(void) {
  while (bda->key_next == bda->key_end) wait_for_interrupt();
  const u16 key = first_key();
  const u16 next = (u16)(bda->key_next + 2);
  bda->key_next = next >= bda->keys_behind ? bda->keys_first : next;
  return key;
}

// As a keyboard with 84 keys would have it, for AH = 00h and 01h.
static u16 narrowed(u16 key) {
  if (key >> 8 == 0xe0) return (u8)key == '/' ? 0x352f : (u16)(0x1c00 | (u8)key);
  if ((u8)key == 0xe0 && key >> 8) return key & 0xff00;
  return key;
}

void keyboard_service(struct Registers* r) {
  const int wide = r->ah & 0x10;
  switch (r->ah) {
    case 0x00:
    case 0x10:
      r->ax = wide ? take_key() : narrowed(take_key());
      return;
    case 0x01:
    case 0x11:
      if (bda->key_next == bda->key_end) {
        r->flags |= flag_zero;
        let_interrupts_in();  // who polls with interrupts off gets keys all the same
        return;
      }
      r->flags &= (u16)~flag_zero;
      r->ax = wide ? first_key() : narrowed(first_key());
      return;
    case 0x02:
      r->al = bda->shifts;
      return;
    case 0x12:
      r->al = bda->shifts;
      r->ah = (u8)((bda->shifts_more & 0x73) | (bda->keyboard_mode & (right_control | right_alt)) |
                   (bda->shifts_more & 0x04 ? 0x80 : 0));
      return;
    case 0x05: {
      const u16 before = bda->key_end;
      store(r->cx);
      r->al = bda->key_end == before;
      return;
    }
  }
}
