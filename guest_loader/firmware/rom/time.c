// INT 1Ah: the ticks of the day, which IRQ 0 counts (entry.S), and the real-time clock. AH = B1h is
// the PCI BIOS.
#include "rom.h"

enum { seconds = 0x00, minutes = 0x02, hours = 0x04, day = 0x07, month = 0x08, year = 0x09 };
enum { status_a = 0x0a, status_b = 0x0b, century = 0x32 };

static void wait_for_clock(void) {
  while (read_cmos(status_a) & 0x80) {
  }
}

static void read_time(struct Registers* r) {
  wait_for_clock();
  r->dh = read_cmos(seconds);
  r->cl = read_cmos(minutes);
  r->ch = read_cmos(hours);
  r->dl = read_cmos(status_b) & 1;
}

static void read_date(struct Registers* r) {
  wait_for_clock();
  r->cl = read_cmos(year);
  r->dh = read_cmos(month);
  r->dl = read_cmos(day);
  r->ch = read_cmos(century);
}

static void set_time(const struct Registers* r) {
  const u8 b = read_cmos(status_b);
  write_cmos(status_b, b | 0x80);
  write_cmos(seconds, r->dh);
  write_cmos(minutes, r->cl);
  write_cmos(hours, r->ch);
  write_cmos(status_b, (u8)((b & 0x7e) | (r->dl & 1)));
}

static void set_date(const struct Registers* r) {
  const u8 b = read_cmos(status_b);
  write_cmos(status_b, b | 0x80);
  write_cmos(year, r->cl);
  write_cmos(month, r->dh);
  write_cmos(day, r->dl);
  write_cmos(century, r->ch);
  write_cmos(status_b, b & 0x7f);
}

void time_service(struct Registers* r) {
  succeed(r);
  switch (r->ah) {
    case 0x00: {
      const u32 ticks = bda->ticks;
      r->cx = (u16)(ticks >> 16);
      r->dx = (u16)ticks;
      r->al = bda->midnight;
      bda->midnight = 0;
      return;
    }
    case 0x01:
      bda->ticks = (u32)r->cx << 16 | r->dx;
      bda->midnight = 0;
      return;
    case 0x02:
      return read_time(r);
    case 0x03:
      return set_time(r);
    case 0x04:
      return read_date(r);
    case 0x05:
      return set_date(r);
    case 0xb1:
      return pci_bios(r);
  }
  r->flags |= flag_carry;
}
